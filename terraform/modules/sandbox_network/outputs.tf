output "name" {
  description = "Name of the network in the container engine."
  value       = "flaskfleet-${terraform_data.network.output.fleet}"
}

output "ssh_key_file" {
  description = "File with the private key for all hosts of the fleet."
  value       = terraform_data.ssh_key.output.file
}
