output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.fleet.id
}

output "subnets" {
  description = "Availability zone → its subnet's id and network."
  value       = { for zone, subnet in aws_subnet.zone : zone => { id = subnet.id, cidr = subnet.cidr_block } }
}
