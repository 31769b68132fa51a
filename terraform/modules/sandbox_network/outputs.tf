output "name" {
  description = "Name of the network in the container engine."
  value       = "flaskfleet-${terraform_data.network.output.fleet}"
}

output "ssh_key_file" {
  description = "Private key that logs in to every host of the fleet."
  value       = terraform_data.ssh_key.output.file
}
