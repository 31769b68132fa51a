variable "fleet" {
  type        = string
  description = "Name of the fleet, used in the tag Name of all resources."
}

variable "cidr" {
  type        = string
  description = "IPv4 network of the VPC. Each zone gets a quarter of it."
}

variable "zones" {
  type        = list(string)
  description = "Availability zones, at most four, with one subnet each."

  validation {
    condition = length(var.zones) <= 4 && length(distinct(var.zones)) == length(var.zones)
    error_message = join(" ", [
      "zones = ${jsonencode(var.zones)} must have at most four different zones: each needs a quarter of the network.",
    ])
  }
}
