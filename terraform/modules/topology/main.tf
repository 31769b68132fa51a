# Computes the hosts and their groups from variables, for all roots.

locals {
  # Tier and position determine a host's number in the network, so that a growing tier changes no other host.
  tiers = {
    loadbalancers = { prefix = "lb", offset = 10 }
    app           = { prefix = "app", offset = 20 }
    workers       = { prefix = "worker", offset = 30 }
    postgres      = { prefix = "db", offset = 40 }
    redis         = { prefix = "cache", offset = 50 }
    monitoring    = { prefix = "mon", offset = 60 }
  }
  groups = concat(keys(local.tiers), ["backup", "etcd", "sentinel"])

  quorum = {
    etcd = (
      length(var.etcd_on) > 0 ? var.etcd_on :
      var.single_host ? ["node1"] :
      var.hosts_per_tier.postgres > 1 ? ["db1", "db2", "mon1"] : ["db1"]
    )
    sentinel = (
      length(var.sentinel_on) > 0 ? var.sentinel_on :
      var.single_host ? ["node1"] :
      var.hosts_per_tier.redis > 1 ? ["cache1", "cache2", "mon1"] : ["cache1"]
    )
  }

  # The host that has the repository of the backups, and starts them.
  backup = [var.single_host ? "node1" : "mon1"]

  tier_hosts = merge([
    for tier, plan in local.tiers : {
      for position in range(1, var.hosts_per_tier[tier] + 1) :
      "${plan.prefix}${position}" => { number = plan.offset + position, groups = [tier] }
    }
  ]...)
  placed_hosts = var.single_host ? { node1 = { number = 11, groups = keys(local.tiers) } } : local.tier_hosts

  hosts = {
    for name, host in local.placed_hosts : name => {
      number = host.number
      groups = sort(concat(
        host.groups,
        [for group, names in local.quorum : group if contains(names, name)],
        contains(local.backup, name) ? ["backup"] : [],
      ))
    }
  }

  # Variables that contain an unknown host, or an even number of hosts.
  unknown = [
    for quorum, names in local.quorum : "${quorum}_on = ${jsonencode(names)}"
    if length(setsubtract(names, keys(local.placed_hosts))) > 0
  ]
  even = [
    for quorum, names in local.quorum : "${quorum}_on = ${jsonencode(names)}" if length(distinct(names)) % 2 == 0
  ]
}
