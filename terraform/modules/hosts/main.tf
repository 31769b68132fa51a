# One instance per host, spread over zones, and a data volume of its own where its tier keeps data.

locals {
  # The witness stands in the third zone, so that it outvotes a lost one: db1 and cache1 are in the first, db2 and cache2 in the second.
  first_zone = { monitoring = 2 }
  zones      = keys(var.subnets)

  hosts = {
    for name, host in var.hosts : name => {
      tier    = one([for group in host.groups : group if contains(keys(var.tiers), group)])
      groups  = host.groups
      address = host.number
      zone = local.zones[(
        host.number % 10 - 1 + lookup(local.first_zone, one([for group in host.groups : group if contains(keys(var.tiers), group)]), 0)
      ) % length(local.zones)]
    }
  }
  data = { for name, host in local.hosts : name => host if var.tiers[host.tier].data_gb > 0 }

  voters = {
    for quorum in ["etcd", "sentinel"] :
    quorum => [for name, host in local.hosts : host.zone if contains(host.groups, quorum)]
  }
  crowded = [
    for quorum, zones in local.voters : quorum
    if length(zones) > 1 && anytrue([for zone in distinct(zones) : 2 * length([for other in zones : other if other == zone]) > length(zones)])
  ]
}

data "aws_ami" "debian" {
  count = var.ami_id == null ? 1 : 0

  most_recent = true
  owners      = ["136693071363"] # Debian's own account

  filter {
    name   = "name"
    values = ["debian-13-amd64-*"]
  }
}

data "aws_ec2_instance_type" "tier" {
  for_each = toset([for tier in var.tiers : tier.instance_type])

  instance_type = each.key
}

resource "aws_key_pair" "admin" {
  key_name   = var.fleet
  public_key = var.ssh_public_key
}

resource "aws_instance" "host" {
  for_each = local.hosts

  ami                         = var.ami_id == null ? data.aws_ami.debian[0].id : var.ami_id
  instance_type               = var.tiers[each.value.tier].instance_type
  subnet_id                   = var.subnets[each.value.zone].id
  private_ip                  = cidrhost(var.subnets[each.value.zone].cidr, each.value.address)
  associate_public_ip_address = true
  key_name                    = aws_key_pair.admin.key_name
  vpc_security_group_ids      = [for group in concat(["all"], each.value.groups) : var.security_groups[group]]
  ebs_optimized               = true
  iam_instance_profile        = each.value.tier == "postgres" ? var.backup_profile : null
  tags                        = { Name = each.key, Fleet = var.fleet }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.tiers[each.value.tier].root_gb
    encrypted   = true
    tags        = { Name = "${each.key}-root", Fleet = var.fleet }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  lifecycle {
    # A newer image or another key must not replace a running host; `terraform apply -replace` does, one host at a time.
    ignore_changes = [ami, key_name]

    precondition {
      condition = data.aws_ec2_instance_type.tier[var.tiers[each.value.tier].instance_type].memory_size >= var.tiers[each.value.tier].memory_mb
      error_message = join(" ", [
        "${var.tiers[each.value.tier].instance_type} has too little memory for the tier ${each.value.tier}, which needs",
        "${var.tiers[each.value.tier].memory_mb} MiB: choose a larger type in instance_types.",
      ])
    }
    precondition {
      condition = contains(data.aws_ec2_instance_type.tier[var.tiers[each.value.tier].instance_type].supported_architectures, "x86_64")
      error_message = join(" ", [
        "${var.tiers[each.value.tier].instance_type} of the tier ${each.value.tier} does not run amd64, which the image and the application's",
        "wheels are for: choose a type with an Intel or AMD processor in instance_types.",
      ])
    }
    precondition {
      condition = data.aws_ec2_instance_type.tier[var.tiers[each.value.tier].instance_type].hypervisor == "nitro"
      error_message = join(" ", [
        "${var.tiers[each.value.tier].instance_type} of the tier ${each.value.tier} is too old to name its data volume by its id:",
        "choose a type of the Nitro system, such as t3 or m7i, in instance_types.",
      ])
    }
  }
}

resource "aws_ebs_volume" "data" {
  for_each = local.data

  availability_zone = each.value.zone
  type              = "gp3"
  size              = var.tiers[each.value.tier].data_gb
  encrypted         = true
  tags              = { Name = "${each.key}-data", Fleet = var.fleet }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "data" {
  for_each = local.data

  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data[each.key].id
  instance_id = aws_instance.host[each.key].id
  # A volume that is in use does not come off: its host stops first, as it does before it is replaced.
  stop_instance_before_detaching = true
}
