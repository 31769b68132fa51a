# The presets of `fleet_size`; see docs/aws.md. memory_mb is the minimum for the settings of each tier.

locals {
  hosts_per_size = {
    small    = { loadbalancers = 2, app = 2, workers = 1, postgres = 2, redis = 2, monitoring = 1 }
    standard = { loadbalancers = 2, app = 3, workers = 2, postgres = 3, redis = 2, monitoring = 1 }
    large    = { loadbalancers = 3, app = 6, workers = 4, postgres = 3, redis = 3, monitoring = 1 }
  }
  types_per_size = {
    small = {
      loadbalancers = "t3.small", app = "t3.small", workers = "t3.small",
      postgres      = "t3.medium", redis = "t3.small", monitoring = "t3.medium"
    }
    standard = {
      loadbalancers = "c7i.large", app = "c7i.large", workers = "c7i.large",
      postgres      = "m7i.large", redis = "m7i.large", monitoring = "m7i.large"
    }
    large = {
      loadbalancers = "c7i.xlarge", app = "c7i.xlarge", workers = "c7i.xlarge",
      postgres      = "r7i.xlarge", redis = "r7i.large", monitoring = "m7i.large"
    }
  }
  data_gb_per_size = {
    small    = { postgres = 20, redis = 10, monitoring = 20 }
    standard = { postgres = 100, redis = 20, monitoring = 50 }
    large    = { postgres = 500, redis = 50, monitoring = 100 }
  }
  # The folder of each tier whose data must outlive an instance.
  data_path = { postgres = "/var/lib/postgresql", redis = "/var/lib/redis", monitoring = "/var/lib/prometheus" }
  memory_mb = { loadbalancers = 1024, app = 2048, workers = 2048, postgres = 4096, redis = 2048, monitoring = 4096 }

  hosts_given = {
    loadbalancers = var.loadbalancer_hosts
    app           = var.app_hosts
    workers       = var.worker_hosts
    postgres      = var.postgres_hosts
    redis         = var.redis_hosts
    monitoring    = var.monitoring_hosts
  }
  hosts_per_tier = {
    for tier, hosts in local.hosts_per_size[var.fleet_size] : tier => coalesce(local.hosts_given[tier], hosts)
  }

  tiers = {
    for tier, instance_type in local.types_per_size[var.fleet_size] : tier => {
      instance_type = lookup(var.instance_types, tier, instance_type)
      memory_mb     = local.memory_mb[tier]
      data_gb       = lookup(merge(local.data_gb_per_size[var.fleet_size], var.data_gb), tier, 0)
      data_path     = lookup(local.data_path, tier, "")
    }
  }
}
