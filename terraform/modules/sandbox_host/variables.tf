variable "fleet" {
  type        = string
  description = "Name of the host's fleet."
}

variable "name" {
  type        = string
  description = "Host name, unique in the fleet."
}

variable "address" {
  type        = string
  description = "IPv4 address in the fleet's network."
}

variable "network" {
  type        = string
  description = "Name of the fleet's network in the container engine."
}

variable "state_directory" {
  type        = string
  description = "Folder with the fleet's SSH key and known hosts."
}

variable "shared_folder" {
  type        = string
  default     = ""
  description = "Path on the host at which it mounts a folder of this machine that other hosts mount too. Empty: none."
}
