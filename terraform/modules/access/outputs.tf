output "groups" {
  description = "Inventory group, or all → its security group's id."
  value       = { for name, group in aws_security_group.group : name => group.id }
}

output "rules" {
  description = "Name of each rule → protocol, port, receiving group, and the network or the group it is open to."
  value       = local.rules
}
