# Topologies that are refused. Only a run of the module itself can expect its checks to fail.

variables {
  hosts_per_tier = { loadbalancers = 2, app = 2, workers = 1, postgres = 2, redis = 2, monitoring = 1 }
  etcd_on        = []
  sentinel_on    = []
  single_host    = false
}

run "an_even_quorum_is_refused" {
  command = plan
  module { source = "../modules/topology" }
  variables { etcd_on = ["db1", "db2"] }
  expect_failures = [output.hosts]
}

run "an_unknown_quorum_host_is_refused" {
  command = plan
  module { source = "../modules/topology" }
  variables { sentinel_on = ["cache1", "cache2", "cache9"] }
  expect_failures = [output.hosts]
}

run "an_empty_tier_is_refused" {
  command = plan
  module { source = "../modules/topology" }
  variables { hosts_per_tier = { loadbalancers = 2, app = 0, workers = 1, postgres = 2, redis = 2, monitoring = 1 } }
  expect_failures = [var.hosts_per_tier]
}

run "more_hosts_than_addresses_of_a_tier_are_refused" {
  command = plan
  module { source = "../modules/topology" }
  variables { hosts_per_tier = { loadbalancers = 2, app = 11, workers = 1, postgres = 2, redis = 2, monitoring = 1 } }
  expect_failures = [var.hosts_per_tier]
}

run "a_fractional_number_of_hosts_is_refused" {
  command = plan
  module { source = "../modules/topology" }
  variables { hosts_per_tier = { loadbalancers = 2, app = 2, workers = 1, postgres = 2, redis = 1.5, monitoring = 1 } }
  expect_failures = [var.hosts_per_tier]
}
