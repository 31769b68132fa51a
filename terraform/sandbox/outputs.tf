output "inventory" {
  description = "The Ansible inventory, in the form that executable inventories print."
  value = merge(
    { for group, names in module.topology.groups : group => { hosts = names } },
    {
      _meta = {
        hostvars = { for name, host in module.host : name => { ansible_host = host.address, fleet_address = host.address } }
      }
      all = {
        children = keys(module.topology.groups)
        vars = {
          ansible_user                 = "admin"
          ansible_ssh_private_key_file = module.network.ssh_key_file
          # What is sent stays on this machine, whose processors both sides of a connection share: Debian 12's ssh would spend 55 ms of theirs on
          # a key exchange that withstands quantum computers; newer ones have a faster one.
          ansible_ssh_common_args = "-o UserKnownHostsFile=${local.state_directory}/known_hosts -o StrictHostKeyChecking=yes -o KexAlgorithms=-sntrup*"
          fleet_name              = local.fleet
          fleet_subnet            = local.subnet
          fleet_vip               = local.vip
          # This machine, as the hosts see it: where Ansible logs in from and where the consoles may be opened.
          fleet_admin_networks = ["${local.gateway}/32"]
        }
      }
    },
  )
}

output "urls" {
  description = "What can be opened in a browser on this machine."
  value = {
    site         = "https://${local.vip}/"
    prometheus   = "http://${module.host[module.topology.groups.monitoring[0]].address}:9090/"
    alertmanager = "http://${module.host[module.topology.groups.monitoring[0]].address}:9093/"
    grafana      = "http://${module.host[module.topology.groups.monitoring[0]].address}:3000/"
  }
}
