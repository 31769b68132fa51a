output "hosts" {
  description = "Hosts by name: number in the network and inventory groups."
  value       = local.hosts

  precondition {
    condition     = length(local.unknown) == 0
    error_message = "${join(", ", local.unknown)} has an unknown host; use ${join(", ", keys(local.placed_hosts))}."
  }
  precondition {
    condition = length(local.even) == 0
    error_message = join(" ", [
      "${join(", ", local.even)} must be an odd number of hosts: an even quorum survives no more failures and splits",
      "more easily.",
    ])
  }
}

output "groups" {
  description = "Host names by inventory group."
  value = {
    for group in local.groups : group => [for name, host in local.hosts : name if contains(host.groups, group)]
  }
}
