output "hosts" {
  description = "Host name → { number in the network, inventory groups }."
  value       = local.hosts

  precondition {
    condition     = alltrue([for name in local.quorum.etcd : contains(keys(local.placed_hosts), name)])
    error_message = "etcd_on = ${jsonencode(local.quorum.etcd)} names a host that the fleet does not have; it has ${join(", ", keys(local.placed_hosts))}."
  }
  precondition {
    condition     = length(distinct(local.quorum.etcd)) % 2 == 1
    error_message = "etcd_on = ${jsonencode(local.quorum.etcd)} must name an odd number of hosts: an even quorum survives no more failures and splits more easily."
  }
  precondition {
    condition     = alltrue([for name in local.quorum.sentinel : contains(keys(local.placed_hosts), name)])
    error_message = "sentinel_on = ${jsonencode(local.quorum.sentinel)} names a host that the fleet does not have; it has ${join(", ", keys(local.placed_hosts))}."
  }
  precondition {
    condition     = length(distinct(local.quorum.sentinel)) % 2 == 1
    error_message = "sentinel_on = ${jsonencode(local.quorum.sentinel)} must name an odd number of hosts: an even quorum survives no more failures and splits more easily."
  }
}

output "groups" {
  description = "Inventory group → names of its hosts."
  value       = { for group in local.groups : group => [for name, host in local.hosts : name if contains(host.groups, group)] }
}
