variable "fleet" {
  type        = string
  description = "Name of the fleet, in the tag Name of everything."
}

variable "cidr" {
  type        = string
  description = "IPv4 network of the VPC; each zone gets a quarter of it."
}

variable "zones" {
  type        = list(string)
  description = "Availability zones, at most four: each has one subnet."

  validation {
    condition     = length(var.zones) <= 4 && length(distinct(var.zones)) == length(var.zones)
    error_message = "zones = ${jsonencode(var.zones)} must name each zone once, and at most four: each takes a quarter of the network."
  }
}
