# The topology for given variables, and rejected variables. Every run is a plan, so nothing is created.

run "the_default_fleet_has_ten_hosts" {
  command = plan

  assert {
    condition     = join(" ", keys(module.topology.hosts)) == "app1 app2 cache1 cache2 db1 db2 lb1 lb2 mon1 worker1"
    error_message = "the default fleet must have the ten hosts of docs/architecture.md"
  }
  assert {
    condition     = module.topology.groups.etcd == ["db1", "db2", "mon1"]
    error_message = "etcd must be on both Postgres hosts and the witness"
  }
  assert {
    condition     = module.topology.groups.sentinel == ["cache1", "cache2", "mon1"]
    error_message = "Sentinel must be on both Redis hosts and the witness"
  }
  assert {
    condition     = module.topology.groups.backup == ["mon1"]
    error_message = "the repository of the backups must not be on a database host"
  }
}

run "a_growing_tier_changes_no_other_host" {
  command = plan
  variables { app_hosts = 3 }

  assert {
    condition     = module.topology.hosts["app3"].number == 23 && module.topology.hosts["worker1"].number == 31
    error_message = "a third application host must get the next number of its tier, and the others must keep theirs"
  }
  assert {
    condition     = length(module.topology.hosts) == 11
    error_message = "there must be exactly one more host"
  }
}

run "ten_hosts_in_every_tier_have_different_addresses" {
  command = plan
  variables {
    loadbalancer_hosts = 10
    app_hosts          = 10
    worker_hosts       = 10
    postgres_hosts     = 10
    redis_hosts        = 10
    monitoring_hosts   = 10
  }

  assert {
    condition     = length(distinct([for host in module.topology.hosts : host.number])) == 60
    error_message = "no two hosts may have the same address"
  }
}

run "application_and_worker_hosts_share_a_folder" {
  command = plan
  variables { shared_folder = "/mnt/shared" }

  assert {
    condition     = local.shared_folders == { for name in ["app1", "app2", "worker1"] : name => "/mnt/shared" }
    error_message = "only application and worker hosts must mount the shared folder"
  }
}

run "a_single_host_is_in_every_group" {
  command = plan
  variables { single_host = true }

  assert {
    condition     = keys(module.topology.hosts) == ["node1"] && length(module.topology.hosts["node1"].groups) == 9
    error_message = "node1 must be in all nine groups"
  }
}

run "a_fleet_without_standby_has_one_voter" {
  command = plan
  variables {
    postgres_hosts = 1
    redis_hosts    = 1
  }

  assert {
    condition     = module.topology.groups.etcd == ["db1"] && module.topology.groups.sentinel == ["cache1"]
    error_message = "a tier with one host must have one voter"
  }
}

run "every_fleet_has_its_own_subnet" {
  command = plan
  variables { fleet = "blue" }

  assert {
    condition = (
      local.subnet != "10.77.0.0/24" && startswith(local.subnet, "10.77.") && local.vip == cidrhost(local.subnet, 5)
    )
    error_message = "a second fleet must not use the network of the first one"
  }
}

run "a_given_subnet_is_used" {
  command = plan
  variables { subnet = "10.78.3.0/24" }

  assert {
    condition     = local.vip == "10.78.3.5" && local.gateway == "10.78.3.1"
    error_message = "addresses must be in the given subnet"
  }
}

run "a_fleet_is_created_with_a_given_subnet" {
  command = apply
  plan_options {
    target = [terraform_data.subnet]
  }
  variables { subnet = "10.78.3.0/24" }
}

run "a_fleet_keeps_its_subnet_if_none_is_given" {
  command = plan
  plan_options {
    target = [terraform_data.subnet]
  }

  assert {
    condition     = terraform_data.subnet.input == "10.78.3.0/24"
    error_message = "another network would replace every host"
  }
}

run "a_fleet_refuses_another_subnet" {
  command = plan
  plan_options {
    target = [terraform_data.subnet]
  }
  variables { subnet = "10.78.4.0/24" }
  expect_failures = [terraform_data.subnet]
}

run "a_small_subnet_and_a_fleet_name_that_engines_refuse_are_refused" {
  command = plan
  variables {
    fleet  = "Blue Fleet"
    subnet = "10.78.0.0/26"
  }
  expect_failures = [var.fleet, var.subnet]
}

run "a_host_address_as_subnet_is_refused" {
  command = plan
  variables { subnet = "10.78.0.7/24" }
  expect_failures = [var.subnet]
}
