# The fleet for given variables. Every run is a plan with mocked resources, so it needs no AWS account.

mock_provider "aws" {
  mock_data "aws_ec2_instance_type" {
    defaults = { memory_size = 8192, hypervisor = "nitro", supported_architectures = ["x86_64"] }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_route53_zone" {
    defaults = { zone_id = "Z1" }
  }
}

variables {
  region         = "eu-central-1"
  domain         = "news.example.org"
  dns_zone       = "example.org"
  admin_networks = ["198.51.100.7/32"]
  ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
}

run "small_has_ten_hosts" {
  command = plan
  variables { fleet_size = "small" }

  assert {
    condition     = length(module.topology.hosts) == 10 && local.tiers.postgres.instance_type == "t3.medium"
    error_message = "small must have the ten hosts of docs/architecture.md"
  }
}

run "large_has_twenty_hosts" {
  command = plan
  variables { fleet_size = "large" }

  assert {
    condition     = length(module.topology.groups.app) == 6 && length(module.topology.hosts) == 20
    error_message = "large must have twenty hosts, six of them application hosts"
  }
}

run "a_tier_variable_overrides_the_preset" {
  command = plan
  variables {
    app_hosts      = 5
    instance_types = { redis = "r7i.large" }
  }

  assert {
    condition = [
      length(module.topology.groups.app), local.tiers.redis.instance_type, local.tiers.app.instance_type,
    ] == [5, "r7i.large", "c7i.large"]
    error_message = "the variables of a tier must change only that tier"
  }
}

run "a_lost_zone_leaves_every_tier_and_every_quorum" {
  command = plan

  assert {
    condition = alltrue([
      for group, names in module.topology.groups :
      length(names) < 2 || length(distinct([for name in names : output.inventory._meta.hostvars[name].fleet_zone])) >= 2
    ])
    error_message = "every tier must be in more than one zone"
  }
  assert {
    condition = alltrue([
      for group in ["etcd", "sentinel"] :
      length(distinct([
        for name in module.topology.groups[group] : output.inventory._meta.hostvars[name].fleet_zone
      ])) == 3
    ])
    error_message = "the three voters must be in three zones"
  }
}

run "every_port_of_the_matrix_has_its_rules" {
  command = plan

  variables {
    app_port = 5000
  }

  assert {
    condition = alltrue([
      for port in yamldecode(file("../../inventories/shared/ports.yml")).fleet_ports : alltrue([
        for pair in setproduct(port.to, port.from) : length([
          for rule in module.access.rules : rule
          if rule.port == tonumber(port.name == "app" ? 5000 : port.port) && rule.protocol == port.protocol && rule.to == pair[0] && (
            pair[1] == "any" ? rule.network == "0.0.0.0/0" :
            pair[1] == "admin" ? rule.network == "198.51.100.7/32" : rule.from == pair[1]
          )
        ]) == 1
      ]) if port.protocol != "vrrp"
    ])
    error_message = "every port of inventories/shared/ports.yml must have a rule"
  }
  assert {
    condition = (
      toset([for rule in module.access.rules : rule.port if rule.network == "0.0.0.0/0"]) == toset([80, 443])
    )
    error_message = "only the site's two ports may be open to everybody"
  }
}

run "an_extra_port_is_opened_by_security_groups_and_firewalls" {
  command = plan
  variables {
    extra_ports = [{ name = "relay", port = 2525, protocol = "tcp", to = ["monitoring"], from = ["app", "workers"] }]
  }

  assert {
    condition = (
      toset([for rule in module.access.rules : rule.from if rule.port == 2525]) == toset(["app", "workers"]) &&
      output.inventory.all.vars.fleet_extra_ports[0].port == 2525
    )
    error_message = "an extra port must have rules, and be a variable of the inventory"
  }
}

run "the_bucket_for_uploads_is_known_to_the_application" {
  command = plan
  variables { uploads_bucket = true }

  override_resource {
    target          = module.uploads[0].aws_s3_bucket.this
    values          = { bucket = "production-uploads-1" }
    override_during = plan
  }

  assert {
    condition = (
      output.inventory.all.vars.app_s3_bucket == "production-uploads-1" &&
      output.inventory.all.vars.app_s3_region == "eu-central-1"
    )
    error_message = "the application must get the name and the region of its bucket"
  }
}

run "backups_are_stored_in_the_bucket_by_the_role_of_the_hosts" {
  command = plan
  variables { backup_days = 21 }

  override_resource {
    target          = module.backups.aws_s3_bucket.this
    values          = { bucket = "production-backups-1" }
    override_during = plan
  }
  override_resource {
    target          = module.backups.aws_iam_instance_profile.this
    values          = { name = "backups" }
    override_during = plan
  }

  assert {
    condition = output.inventory.all.vars.fleet_backup_repositories == [
      { type = "s3", bucket = "production-backups-1", region = "eu-central-1", keep_days = 21 }
    ]
    error_message = "the inventory must store backups in the bucket, without a key"
  }
  assert {
    condition = toset([for name, host in module.hosts.profiles : name if host == "backups"]) == toset(concat(
      module.topology.groups.postgres, module.topology.groups.backup
    ))
    error_message = "the hosts of Postgres and the one that starts backups must have the bucket's role, and no other"
  }
}

run "a_fleet_may_have_no_backups" {
  command = plan
  variables { backup_days = 0 }

  assert {
    condition     = length(output.inventory.all.vars.fleet_backup_repositories) == 0
    error_message = "without days to keep, the inventory must have no repository"
  }
}

run "without_a_bucket_for_uploads_only_hosts_of_backups_have_a_role" {
  command = plan

  assert {
    condition     = length(module.uploads) == 0 && !contains(keys(output.inventory.all.vars), "app_s3_bucket")
    error_message = "a fleet must have a bucket for uploads only if it is wanted"
  }
}

run "a_record_may_be_created_elsewhere" {
  command = plan
  variables { dns_zone = "" }

  assert {
    condition     = length(data.aws_route53_zone.site) == 0
    error_message = "without a zone, none must be read"
  }
}

run "an_address_as_domain_is_refused" {
  command = plan
  variables { domain = "https://news.example.org" }
  expect_failures = [var.domain]
}

run "other_zones_may_be_named" {
  command = plan
  variables {
    region = "ap-northeast-1"
    zones  = ["a", "c", "d"]
  }

  assert {
    condition     = output.inventory._meta.hostvars["mon1"].fleet_zone == "ap-northeast-1d"
    error_message = "the witness must be in the third zone of the list"
  }
}

run "data_volumes_are_mounted_where_the_roles_store_data" {
  command = plan
  variables { data_gb = { redis = 33 } }

  assert {
    condition = { for tier, plan in local.tiers : tier => [plan.data_gb, plan.data_path] if plan.data_gb > 0 } == {
      postgres = [100, "/var/lib/postgresql"], redis = [33, "/var/lib/redis"], monitoring = [50, "/var/lib/prometheus"]
    }
    error_message = "each tier with data must have a volume of the given size at the folder of its role"
  }
}

# Terraform names each variable whose mistake is not refused.
run "a_mistake_in_a_variable_is_refused" {
  command = plan
  variables {
    admin_networks = ["0.0.0.0/0"]        # SSH open to the world
    data_gb        = { app = 10 }         # no role would use the volume
    dns_zone       = "example.com"        # not the zone of the domain
    fleet_size     = "huge"               # no such preset
    instance_types = { db = "r7i.large" } # no such tier
    region         = "eu-central-1a"      # a zone
    ssh_public_key = ""                   # missing
    vpc_cidr       = "10.80.0.0/24"       # too small
    zones          = ["a"]                # only one

    # not a port
    extra_ports = [{ name = "x", port = 0, protocol = "tcp", to = ["app"], from = ["any"] }]
  }
  expect_failures = [
    var.admin_networks, var.data_gb, var.dns_zone, var.extra_ports, var.fleet_size, var.instance_types, var.region,
    var.ssh_public_key, var.vpc_cidr, var.zones,
  ]
}

run "another_mistake_in_a_variable_is_refused" {
  command = plan
  variables {
    admin_networks = []                                 # nobody could log in
    backup_days    = 0.5                                # a fraction
    data_gb        = { redis = 0.5 }                    # a fraction
    dns_zone       = null                               # no record for the domain
    zones          = ["eu-central-1a", "eu-central-1b"] # full names
  }
  expect_failures = [var.admin_networks, var.backup_days, var.data_gb, var.dns_zone, var.zones]
}
