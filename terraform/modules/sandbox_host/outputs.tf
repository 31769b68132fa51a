output "address" {
  description = "Address at which the host answers SSH."
  value       = terraform_data.host.output.address
}
