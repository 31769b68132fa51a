output "groups" {
  description = "Id of each security group, by inventory group, and of the group \"all\"."
  value       = { for name, group in aws_security_group.group : name => group.id }
}

output "rules" {
  description = "Rules by name: protocol, port, group, and the network or group with access."
  value       = local.rules
}
