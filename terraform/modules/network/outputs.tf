output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.fleet.id
}

output "subnets" {
  description = "Id and network of each subnet, by availability zone."
  value       = { for zone, subnet in aws_subnet.zone : zone => { id = subnet.id, cidr = subnet.cidr_block } }
}
