variable "fleet" {
  type        = string
  description = "Name of the fleet; names its key pair."
}

variable "hosts" {
  type        = map(object({ number = number, groups = list(string) }))
  description = "Host name → its number in the network and its inventory groups, as module topology gives them."
}

variable "tiers" {
  type = map(object({
    instance_type = string
    memory_mb     = number
    root_gb       = number
    data_gb       = number
    data_path     = optional(string)
  }))
  description = "Tier → instance type, the memory that it must have, sizes of the root and the data volume (0: none), and where that is mounted."
}

variable "subnets" {
  type        = map(object({ id = string, cidr = string }))
  description = "Availability zone → its subnet."

  validation {
    condition     = length(var.subnets) >= 2
    error_message = "One zone only: its loss would take whole tiers along; give at least two, and three where a quorum has three members."
  }
}

variable "security_groups" {
  type        = map(string)
  description = "Inventory group, or all → its security group's id."
}

variable "ssh_public_key" {
  type        = string
  description = "Public key that logs in as admin."
}

variable "ami_id" {
  type        = string
  default     = null
  description = "Machine image; by default Debian's newest image of Debian 13."
}

variable "backup_profile" {
  type        = string
  description = "Instance profile of Postgres hosts, which alone reach the backups."
}
