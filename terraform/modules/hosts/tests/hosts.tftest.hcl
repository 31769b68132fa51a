# Zones of hosts, and rejected settings, with mocked resources.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type" {
    defaults = { memory_size = 4096, hypervisor = "nitro", supported_architectures = ["x86_64"] }
  }
}

variables {
  fleet          = "test"
  ssh_public_key = "ssh-ed25519 AAAA"
  profiles       = { postgres = "backups", backup = "backups", app = "uploads" }
  tiers = {
    app = { instance_type = "t3.medium", memory_mb = 2048, data_gb = 0 }
    postgres = {
      instance_type = "t3.medium", memory_mb = 4096, data_gb = 20, data_path = "/var/lib/postgresql"
    }
    monitoring = {
      instance_type = "t3.medium", memory_mb = 4096, data_gb = 20, data_path = "/var/lib/prometheus"
    }
  }
  hosts = {
    app1 = { number = 21, groups = ["app"] }
    db1  = { number = 41, groups = ["etcd", "postgres"] }
    db2  = { number = 42, groups = ["etcd", "postgres"] }
    mon1 = { number = 61, groups = ["backup", "etcd", "monitoring"] }
  }
  subnets = {
    a = { id = "subnet-a", cidr = "10.80.0.0/22" }
    b = { id = "subnet-b", cidr = "10.80.4.0/22" }
    c = { id = "subnet-c", cidr = "10.80.8.0/22" }
  }
  security_groups = {
    all = "sg-0", app = "sg-1", etcd = "sg-2", postgres = "sg-3", monitoring = "sg-4", backup = "sg-5"
  }
}

run "the_number_of_a_host_determines_its_zone_and_address" {
  command = plan

  assert {
    condition = (
      aws_instance.host["db2"].private_ip == "10.80.4.42" && aws_instance.host["mon1"].private_ip == "10.80.8.61"
    )
    error_message = "the second host of a tier must be in the second zone, the witness in the third"
  }
  assert {
    condition = (
      keys(aws_ebs_volume.data) == ["db1", "db2", "mon1"] &&
      alltrue([for volume in aws_ebs_volume.data : volume.encrypted])
    )
    error_message = "only hosts of a tier with data must have an encrypted data volume"
  }
  assert {
    condition = alltrue([
      for host in aws_instance.host :
      host.metadata_options[0].http_tokens == "required" && host.root_block_device[0].encrypted
    ])
    error_message = "instance metadata must require a token, and root volumes must be encrypted"
  }
  assert {
    condition = [
      for name in ["db1", "db2", "mon1", "app1"] : aws_instance.host[name].iam_instance_profile
    ] == ["backups", "backups", "backups", "uploads"]
    error_message = "the hosts of a group must have its profile, also the one that stores the backups"
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

run "a_type_with_another_architecture_is_refused" {
  command = plan
  override_data {
    target = data.aws_ec2_instance_type.tier
    values = { memory_size = 4096, hypervisor = "nitro", supported_architectures = ["arm64"] }
  }
  expect_failures = [aws_instance.host]
}

run "a_type_without_stable_device_names_is_refused" {
  command = plan
  override_data {
    target = data.aws_ec2_instance_type.tier
    values = { memory_size = 4096, hypervisor = "xen", supported_architectures = ["x86_64"] }
  }
  expect_failures = [aws_instance.host]
}

run "the_device_of_a_volume_is_named_by_its_id" {
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
    error_message = "role base must find the volume regardless of the order of devices"
  }
  assert {
    condition     = output.hosts["app1"].data_volumes == []
    error_message = "a tier without data must have no volume"
  }
}
