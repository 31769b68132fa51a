# Hosts as EC2 instances, with the same topology and inventory as terraform/sandbox. See docs/aws.md.

terraform {
  # use_lockfile needs 1.10.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.80"
    }
  }

  # `init -backend-config` sets bucket, key and region.
  backend "s3" {
    use_lockfile = true
    encrypt      = true
  }
}

provider "aws" {
  region = var.region

  access_key                  = var.aws_endpoint_url == null ? null : "test"
  secret_key                  = var.aws_endpoint_url == null ? null : "test"
  skip_credentials_validation = var.aws_endpoint_url != null
  skip_metadata_api_check     = var.aws_endpoint_url != null
  s3_use_path_style           = var.aws_endpoint_url != null

  dynamic "endpoints" {
    for_each = var.aws_endpoint_url[*]

    content {
      ec2     = endpoints.value
      elbv2   = endpoints.value
      iam     = endpoints.value
      route53 = endpoints.value
      s3      = endpoints.value
      sts     = endpoints.value
    }
  }
}

data "aws_route53_zone" "site" {
  count = var.dns_zone == "" ? 0 : 1

  name = var.dns_zone
}

module "topology" {
  source = "../modules/topology"

  hosts_per_tier = local.hosts_per_tier
  etcd_on        = var.etcd_on
  sentinel_on    = var.sentinel_on
  single_host    = false
}

module "network" {
  source = "../modules/network"

  fleet = var.fleet
  cidr  = var.vpc_cidr
  # Not from a data source: if AWS reported a zone as impaired, hosts would move to other zones.
  zones = [for letter in var.zones : "${var.region}${letter}"]
}

module "access" {
  source = "../modules/access"

  fleet  = var.fleet
  vpc_id = module.network.vpc_id
  groups = keys(module.topology.groups)
  ports = concat(
    [
      for entry in yamldecode(file("${path.root}/../../inventories/shared/ports.yml")).fleet_ports :
      merge(entry, { for name in ["port"] : name => var.app_port if entry.name == "app" })
    ],
    var.extra_ports,
  )
  admin_networks = var.admin_networks
}

module "backups" {
  source = "../modules/bucket"

  fleet         = var.fleet
  purpose       = "backups"
  encryption    = "aws:kms"
  read_versions = true
}

module "uploads" {
  source = "../modules/bucket"
  count  = var.uploads_bucket ? 1 : 0

  fleet           = var.fleet
  purpose         = "uploads"
  encryption      = "AES256"
  browser_origins = ["https://${var.domain}"]
}

module "hosts" {
  source = "../modules/hosts"

  fleet           = var.fleet
  hosts           = module.topology.hosts
  tiers           = local.tiers
  subnets         = module.network.subnets
  security_groups = module.access.groups
  ssh_public_key  = var.ssh_public_key
  ami_id          = var.ami_id
  # WAL is archived by the hosts of Postgres, backups are stored by the host of the group backup.
  profiles = merge(
    { for group in ["postgres", "backup"] : group => module.backups.instance_profile },
    { for group in ["app", "workers"] : group => module.uploads[0].instance_profile if var.uploads_bucket },
  )
}

module "entry" {
  source = "../modules/entry"

  fleet      = var.fleet
  vpc_id     = module.network.vpc_id
  subnet_ids = [for subnet in module.network.subnets : subnet.id]
  instances  = { for name in module.topology.groups.loadbalancers : name => module.hosts.hosts[name].id }
  domain     = var.domain
  zone_id    = one(data.aws_route53_zone.site[*].zone_id)
}
