output "dns_name" {
  description = "Name of the load balancer."
  value       = aws_lb.entry.dns_name
}
