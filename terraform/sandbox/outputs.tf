output "inventory" {
  description = "The Ansible inventory, in the format of an inventory script."
  value = merge(
    { for group, names in module.topology.groups : group => { hosts = names } },
    {
      _meta = {
        hostvars = {
          for name, host in module.host : name => { ansible_host = host.address, fleet_address = host.address }
        }
      }
      all = {
        children = keys(module.topology.groups)
        vars = {
          ansible_user                 = "admin"
          ansible_ssh_private_key_file = module.network.ssh_key_file
          # No post-quantum key exchange, because connections stay on this machine. It takes 55 ms in Debian 12's ssh,
          # and less in newer versions.
          ansible_ssh_common_args = join(" ", [
            "-o UserKnownHostsFile=${local.state_directory}/known_hosts",
            "-o StrictHostKeyChecking=yes -o KexAlgorithms=-sntrup*",
          ])
          fleet_name   = local.fleet
          fleet_subnet = local.subnet
          fleet_vip    = local.vip
          # This machine as the hosts see it. Ansible and browsers connect from here.
          fleet_admin_networks = ["${local.gateway}/32"]
        }
      }
    },
  )
}

output "urls" {
  description = "URLs for a browser on this machine."
  value = {
    site         = "https://${local.vip}/"
    prometheus   = "http://${module.host[module.topology.groups.monitoring[0]].address}:9090/"
    alertmanager = "http://${module.host[module.topology.groups.monitoring[0]].address}:9093/"
    grafana      = "http://${module.host[module.topology.groups.monitoring[0]].address}:3000/"
  }
}
