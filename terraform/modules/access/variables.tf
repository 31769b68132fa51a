variable "fleet" {
  type        = string
  description = "Name of the fleet, used in the names of its security groups."
}

variable "vpc_id" {
  type        = string
  description = "Id of the VPC of the groups."
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
  description = "The port matrix: fleet_ports in inventories/shared/ports.yml."
}

variable "admin_networks" {
  type        = list(string)
  description = "Networks for `admin` in the matrix."

  validation {
    condition = (
      length(var.admin_networks) > 0 && !anytrue([for network in var.admin_networks : endswith(network, "/0")])
    )
    error_message = join(" ", [
      "admin_networks = ${jsonencode(var.admin_networks)} must have at least one network, but not the whole",
      "Internet: these networks get access to SSH and the consoles.",
    ])
  }
}
