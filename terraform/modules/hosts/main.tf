# One instance for each host, spread over zones, with a data volume if its tier stores data.

locals {
  # db1 and cache1 are in the first zone, db2 and cache2 in the second. The witness is in the third, so that the loss of
  # any zone leaves a majority.
  first_zone = { monitoring = 2 }
  zones      = keys(var.subnets)

  tier_of = {
    for name, host in var.hosts : name => one([for group in host.groups : group if contains(keys(var.tiers), group)])
  }
  hosts = {
    for name, host in var.hosts : name => {
      tier    = local.tier_of[name]
      groups  = host.groups
      address = host.number
      zone = local.zones[(
        host.number % 10 - 1 + lookup(local.first_zone, local.tier_of[name], 0)
      ) % length(local.zones)]
    }
  }
  # An instance has at most one.
  profile_of = {
    for name, host in local.hosts : name => try(
      [for group in host.groups : var.profiles[group] if contains(keys(var.profiles), group)][0], null
    )
  }
  data = { for name, host in local.hosts : name => host if var.tiers[host.tier].data_gb > 0 }

  voters = {
    for quorum in ["etcd", "sentinel"] :
    quorum => [for name, host in local.hosts : host.zone if contains(host.groups, quorum)]
  }
  in_one_zone = [
    for quorum, zones in local.voters : quorum
    if length(zones) > 1 && anytrue([
      for zone in distinct(zones) : 2 * length([for other in zones : other if other == zone]) > length(zones)
    ])
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

locals {
  type_of = { for name, tier in local.tier_of : name => data.aws_ec2_instance_type.tier[var.tiers[tier].instance_type] }
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
  iam_instance_profile        = local.profile_of[each.key]
  tags                        = { Name = each.key, Fleet = var.fleet }

  root_block_device {
    volume_type = "gp3"
    volume_size = 20
    encrypted   = true
    tags        = { Name = "${each.key}-root", Fleet = var.fleet }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  lifecycle {
    # A newer image or another key must not replace a running host. Use `terraform apply -replace`, one host at a time.
    ignore_changes = [ami, key_name]

    precondition {
      condition = local.type_of[each.key].memory_size >= var.tiers[each.value.tier].memory_mb
      error_message = join(" ", [
        "instance_types: ${local.type_of[each.key].instance_type} has too little memory for the tier",
        "${each.value.tier}, which needs ${var.tiers[each.value.tier].memory_mb} MiB; choose a larger type.",
      ])
    }
    precondition {
      condition = contains(local.type_of[each.key].supported_architectures, "x86_64")
      error_message = join(" ", [
        "instance_types: ${local.type_of[each.key].instance_type} of the tier ${each.value.tier} cannot run the image",
        "and the application's wheels, which are for amd64; choose a type with an Intel or AMD processor.",
      ])
    }
    precondition {
      condition = local.type_of[each.key].hypervisor == "nitro"
      error_message = join(" ", [
        "instance_types: ${local.type_of[each.key].instance_type} of the tier ${each.value.tier} does not show the ids",
        "of its volumes to the operating system; choose a type of the Nitro system, such as t3 or m7i.",
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
  # A mounted volume cannot be detached, so the host stops first.
  stop_instance_before_detaching = true
}
