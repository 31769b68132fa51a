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

  assert {
    condition = alltrue([
      for port in yamldecode(file("../../inventories/shared/ports.yml")).fleet_ports : alltrue([
        for pair in setproduct(port.to, port.from) : length([
          for rule in module.access.rules : rule
          if rule.port == port.port && rule.protocol == port.protocol && rule.to == pair[0] && (
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

run "an_unknown_preset_is_refused" {
  command = plan
  variables { fleet_size = "huge" }
  expect_failures = [var.fleet_size]
}

run "a_small_network_is_refused" {
  command = plan
  variables { vpc_cidr = "10.80.0.0/24" }
  expect_failures = [var.vpc_cidr]
}

run "ssh_open_to_the_world_is_refused" {
  command = plan
  variables { admin_networks = ["0.0.0.0/0"] }
  expect_failures = [var.admin_networks]
}

run "no_admin_network_is_refused" {
  command = plan
  variables { admin_networks = [] }
  expect_failures = [var.admin_networks]
}

run "a_missing_key_is_refused" {
  command = plan
  variables { ssh_public_key = "" }
  expect_failures = [var.ssh_public_key]
}

run "a_domain_outside_its_zone_is_refused" {
  command = plan
  variables { dns_zone = "example.com" }
  expect_failures = [var.dns_zone]
}

run "a_domain_without_a_zone_is_refused" {
  command = plan
  variables { dns_zone = null }
  expect_failures = [var.dns_zone]
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

run "a_zone_as_region_is_refused" {
  command = plan
  variables { region = "eu-central-1a" }
  expect_failures = [var.region]
}

run "one_zone_is_refused" {
  command = plan
  variables { zones = ["a"] }
  expect_failures = [var.zones]
}

run "a_full_zone_name_is_refused" {
  command = plan
  variables { zones = ["eu-central-1a", "eu-central-1b"] }
  expect_failures = [var.zones]
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

run "a_data_volume_without_a_role_to_use_it_is_refused" {
  command = plan
  variables { data_gb = { app = 10 } }
  expect_failures = [var.data_gb]
}

run "a_fractional_data_volume_is_refused" {
  command = plan
  variables { data_gb = { redis = 0.5 } }
  expect_failures = [var.data_gb]
}

run "an_unknown_tier_is_refused" {
  command = plan
  variables { instance_types = { db = "r7i.large" } }
  expect_failures = [var.instance_types]
}
