# Hosts as containers on this machine. `make up` runs it, like `terraform -chdir=terraform/sandbox apply`.

terraform {
  required_version = ">= 1.9"
}

locals {
  fleet           = coalesce(var.fleet, terraform.workspace == "default" ? "sandbox" : terraform.workspace)
  state_directory = abspath("${path.root}/../../.fleets/${local.fleet}")
  hash            = parseint(substr(sha256(local.fleet), 0, 8), 16)
  default_subnet  = local.fleet == "sandbox" ? "10.77.0.0/24" : "10.77.${1 + local.hash % 254}.0/24"
  subnet          = terraform_data.subnet.input
  gateway         = cidrhost(local.subnet, 1)
  vip             = cidrhost(local.subnet, 5)
  shared_folders = {
    for name, host in module.topology.hosts : name => var.shared_folder
    if var.shared_folder != "" && length(setintersection(host.groups, ["app", "workers"])) > 0
  }
}

# Chosen when the fleet is created, and never changed: another network would replace every host by an empty one.
resource "terraform_data" "subnet" {
  input = coalesce(var.subnet, local.default_subnet)

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition = var.subnet == null || var.subnet == self.input
      error_message = join(" ", [
        "subnet = ${jsonencode(var.subnet)}, but the fleet ${local.fleet} already uses ${self.input};",
        "remove the variable, or remove the fleet first (make down FLEET=${local.fleet}).",
      ])
    }
  }
}

module "topology" {
  source = "../modules/topology"

  hosts_per_tier = {
    loadbalancers = var.loadbalancer_hosts
    app           = var.app_hosts
    workers       = var.worker_hosts
    postgres      = var.postgres_hosts
    redis         = var.redis_hosts
    monitoring    = var.monitoring_hosts
  }
  etcd_on     = var.etcd_on
  sentinel_on = var.sentinel_on
  single_host = var.single_host
}

module "network" {
  source = "../modules/sandbox_network"

  fleet           = local.fleet
  subnet          = local.subnet
  state_directory = local.state_directory
}

module "host" {
  source   = "../modules/sandbox_host"
  for_each = module.topology.hosts

  fleet           = local.fleet
  name            = each.key
  address         = cidrhost(local.subnet, each.value.number)
  network         = module.network.name
  state_directory = dirname(module.network.ssh_key_file)
  shared_folder   = lookup(local.shared_folders, each.key, "")

  depends_on = [module.network]
}
