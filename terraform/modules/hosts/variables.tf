variable "fleet" {
  type        = string
  description = "Name of the fleet and of its key pair."
}

variable "hosts" {
  type        = map(object({ number = number, groups = list(string) }))
  description = "Hosts by name: number in the network and inventory groups, as returned by module topology."
}

variable "tiers" {
  type = map(object({
    instance_type = string
    memory_mb     = number
    data_gb       = number
    data_path     = optional(string)
  }))
  description = "Tiers by name: instance type, minimum memory, size of the data volume (0: none), mount point."
}

variable "subnets" {
  type        = map(object({ id = string, cidr = string }))
  description = "Subnets by availability zone."

  validation {
    condition = length(var.subnets) >= 2
    error_message = join(" ", [
      "subnets has only one zone, whose loss would stop the fleet; use at least two, or three if a quorum has three",
      "members.",
    ])
  }
}

variable "security_groups" {
  type        = map(string)
  description = "Ids of the security groups by inventory group, and of the group \"all\"."
}

variable "ssh_public_key" {
  type        = string
  description = "Public key for logins as admin."
}

variable "ami_id" {
  type        = string
  default     = null
  description = "Machine image. By default the newest Debian 13 image."
}

variable "profiles" {
  type        = map(string)
  description = "Instance profiles by inventory group. Hosts of other groups have none."
}
