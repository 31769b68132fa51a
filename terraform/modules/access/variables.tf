variable "fleet" {
  type        = string
  description = "Name of the fleet; names its security groups."
}

variable "vpc_id" {
  type        = string
  description = "The VPC that the groups belong to."
}

variable "groups" {
  type        = list(string)
  description = "Inventory groups."
}

variable "ports" {
  type = list(object({
    name     = string
    port     = optional(number)
    protocol = string
    to       = list(string)
    from     = list(string)
  }))
  description = "The port matrix: fleet_ports of inventories/shared/ports.yml."
}

variable "admin_networks" {
  type        = list(string)
  description = "Networks that `admin` in the matrix stands for."

  validation {
    condition     = length(var.admin_networks) > 0 && !anytrue([for network in var.admin_networks : endswith(network, "/0")])
    error_message = "admin_networks = ${jsonencode(var.admin_networks)} must name at least one network and never the whole world: SSH and the consoles are open to it."
  }
}
