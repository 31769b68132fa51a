variable "fleet" {
  type        = string
  description = "Name of the fleet, used in the names of its containers and network."
}

variable "subnet" {
  type        = string
  description = "IPv4 network of the fleet, in CIDR form."
}

variable "state_directory" {
  type        = string
  description = "Folder for the fleet's SSH key and known hosts."
}
