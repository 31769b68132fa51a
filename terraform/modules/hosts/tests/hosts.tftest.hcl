# Where hosts stand and what is refused, on mocked resources.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type" {
    defaults = { memory_size = 4096, hypervisor = "nitro", supported_architectures = ["x86_64"] }
  }
}

variables {
  fleet          = "test"
  ssh_public_key = "ssh-ed25519 AAAA"
  backup_profile = "backups"
  tiers = {
    postgres   = { instance_type = "t3.medium", memory_mb = 4096, root_gb = 20, data_gb = 20, data_path = "/var/lib/postgresql" }
    app        = { instance_type = "t3.medium", memory_mb = 2048, root_gb = 20, data_gb = 0 }
    monitoring = { instance_type = "t3.medium", memory_mb = 4096, root_gb = 20, data_gb = 20, data_path = "/var/lib/prometheus" }
  }
  hosts = {
    app1 = { number = 21, groups = ["app"] }
    db1  = { number = 41, groups = ["etcd", "postgres"] }
    db2  = { number = 42, groups = ["etcd", "postgres"] }
    mon1 = { number = 61, groups = ["etcd", "monitoring"] }
  }
  subnets = {
    a = { id = "subnet-a", cidr = "10.80.0.0/22" }
    b = { id = "subnet-b", cidr = "10.80.4.0/22" }
    c = { id = "subnet-c", cidr = "10.80.8.0/22" }
  }
  security_groups = { all = "sg-0", app = "sg-1", etcd = "sg-2", postgres = "sg-3", monitoring = "sg-4" }
}

run "hosts_stand_where_their_number_says" {
  command = plan

  assert {
    condition     = aws_instance.host["db2"].private_ip == "10.80.4.42" && aws_instance.host["mon1"].private_ip == "10.80.8.61"
    error_message = "the second of a tier stands in the second zone, the witness in the third"
  }
  assert {
    condition     = keys(aws_ebs_volume.data) == ["db1", "db2", "mon1"] && alltrue([for volume in aws_ebs_volume.data : volume.encrypted])
    error_message = "every host of a tier with data has an encrypted volume of its own, and no other host has"
  }
  assert {
    condition     = alltrue([for host in aws_instance.host : host.metadata_options[0].http_tokens == "required" && host.root_block_device[0].encrypted])
    error_message = "instance metadata must ask for a token, and root volumes must be encrypted"
  }
  assert {
    condition     = aws_instance.host["db1"].iam_instance_profile == "backups"
    error_message = "Postgres hosts reach the backups"
  }
}

run "a_majority_in_one_zone_is_refused" {
  command = plan
  variables {
    subnets = {
      a = { id = "subnet-a", cidr = "10.80.0.0/22" }
      b = { id = "subnet-b", cidr = "10.80.4.0/22" }
    }
  }
  expect_failures = [output.hosts]
}

run "one_zone_is_refused" {
  command = plan
  variables {
    subnets = { a = { id = "subnet-a", cidr = "10.80.0.0/22" } }
  }
  expect_failures = [var.subnets]
}

run "a_type_without_enough_memory_is_refused" {
  command = plan
  override_data {
    target = data.aws_ec2_instance_type.tier
    values = { memory_size = 2048, hypervisor = "nitro", supported_architectures = ["x86_64"] }
  }
  expect_failures = [aws_instance.host]
}

run "a_type_for_another_processor_is_refused" {
  command = plan
  override_data {
    target = data.aws_ec2_instance_type.tier
    values = { memory_size = 4096, hypervisor = "nitro", supported_architectures = ["arm64"] }
  }
  expect_failures = [aws_instance.host]
}

run "a_type_that_renames_devices_is_refused" {
  command = plan
  override_data {
    target = data.aws_ec2_instance_type.tier
    values = { memory_size = 4096, hypervisor = "xen", supported_architectures = ["x86_64"] }
  }
  expect_failures = [aws_instance.host]
}

run "each_volume_is_named_by_its_id" {
  command = plan
  override_resource {
    target          = aws_ebs_volume.data
    values          = { id = "vol-0123456789abcdef0" }
    override_during = plan
  }

  assert {
    condition = output.hosts["db1"].data_volumes == [
      { device = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0", path = "/var/lib/postgresql" }
    ]
    error_message = "role base must find the volume whatever order the instance numbers its devices in"
  }
  assert {
    condition     = output.hosts["app1"].data_volumes == []
    error_message = "a tier without data has no volume"
  }
}
