output "address" {
  description = "Address of the host for SSH."
  value       = terraform_data.host.output.address
}
