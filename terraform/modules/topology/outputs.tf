output "hosts" {
  description = "Hosts by name: number in the network and inventory groups."
  value       = local.hosts

  precondition {
    condition = alltrue([for name in local.quorum.etcd : contains(keys(local.placed_hosts), name)])
    error_message = join(" ", [
      "etcd_on = ${jsonencode(local.quorum.etcd)} has an unknown host; use",
      "${join(", ", keys(local.placed_hosts))}.",
    ])
  }
  precondition {
    condition = length(distinct(local.quorum.etcd)) % 2 == 1
    error_message = join(" ", [
      "etcd_on = ${jsonencode(local.quorum.etcd)} must be an odd number of hosts: an even quorum survives no more",
      "failures and splits more easily.",
    ])
  }
  precondition {
    condition = alltrue([for name in local.quorum.sentinel : contains(keys(local.placed_hosts), name)])
    error_message = join(" ", [
      "sentinel_on = ${jsonencode(local.quorum.sentinel)} has an unknown host; use",
      "${join(", ", keys(local.placed_hosts))}.",
    ])
  }
  precondition {
    condition = length(distinct(local.quorum.sentinel)) % 2 == 1
    error_message = join(" ", [
      "sentinel_on = ${jsonencode(local.quorum.sentinel)} must be an odd number of hosts: an even quorum survives",
      "no more failures and splits more easily.",
    ])
  }
}

output "groups" {
  description = "Host names by inventory group."
  value = {
    for group in local.groups : group => [for name, host in local.hosts : name if contains(host.groups, group)]
  }
}
