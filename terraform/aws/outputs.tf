locals {
  ssh_addresses = {
    for name, host in module.hosts.hosts : name => var.connect_by == "public" ? host.public : host.private
  }
  consoles = local.ssh_addresses[module.topology.groups.monitoring[0]]
}

output "inventory" {
  description = "The Ansible inventory, in the format of an inventory script."
  value = merge(
    { for group, names in module.topology.groups : group => { hosts = names } },
    {
      _meta = {
        hostvars = {
          for name, host in module.hosts.hosts :
          name => {
            ansible_host       = local.ssh_addresses[name]
            fleet_address      = host.private
            fleet_zone         = host.zone
            fleet_data_volumes = host.data_volumes
          }
        }
      }
      all = {
        children = keys(module.topology.groups)
        vars = merge(
          {
            ansible_user = "admin"
            fleet_name   = var.fleet
            fleet_subnet = var.vpc_cidr
            # The network load balancer replaces the virtual address.
            fleet_vip            = ""
            fleet_domain         = var.domain
            fleet_admin_networks = var.admin_networks
            fleet_extra_ports    = var.extra_ports
          },
          {
            # No key: hosts use the role of their instance. Without the variable, mon1 would keep backups.
            fleet_backup_repositories = [
              for days in [var.backup_days] :
              { type = "s3", bucket = module.backups.bucket, region = var.region, keep_days = days } if days > 0
            ]
          },
          var.uploads_bucket ? { app_s3_bucket = module.uploads[0].bucket, app_s3_region = var.region } : {},
          var.ssh_private_key_file == null ? {} : { ansible_ssh_private_key_file = var.ssh_private_key_file },
        )
      }
    },
  )
}

output "urls" {
  description = "URLs for a browser: the site from everywhere, the consoles from the admin networks."
  value = {
    site         = "https://${var.domain}/"
    entry        = module.entry.dns_name
    prometheus   = "http://${local.consoles}:9090/"
    alertmanager = "http://${local.consoles}:9093/"
    grafana      = "http://${local.consoles}:3000/"
  }
}

output "ssh" {
  description = "Login command of each host, by host name."
  value       = { for name, address in local.ssh_addresses : name => "ssh admin@${address}" }
}

output "backups" {
  description = "Name of the bucket for backups."
  value       = module.backups.bucket
}

output "uploads" {
  description = "Name of the bucket for users' files; null without uploads_bucket."
  value       = one(module.uploads[*].bucket)
}
