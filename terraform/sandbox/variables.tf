variable "fleet" {
  type        = string
  default     = null
  description = "Name of the fleet. By default the name of the workspace, or `sandbox` in the workspace `default`."

  validation {
    condition = var.fleet == null || can(regex("^[a-z][a-z0-9-]{0,19}$", var.fleet))
    error_message = join(" ", [
      "fleet = ${jsonencode(var.fleet)} must be 1 to 20 lower-case letters, digits and dashes, starting with a letter.",
    ])
  }
}

variable "subnet" {
  type        = string
  default     = null
  description = "IPv4 network (CIDR, /24 or larger). By default 10.77.0.0/24 for `sandbox`, 10.77.N.0/24 for others."

  validation {
    condition = var.subnet == null || can(cidrhost(var.subnet, 70)) && can(regex("^[0-9.]+/[0-9]+$", var.subnet))
    error_message = join(" ", [
      "subnet = ${jsonencode(var.subnet)} must be an IPv4 network with at least 70 addresses, such as",
      "\"10.78.0.0/24\".",
    ])
  }
  validation {
    condition = var.subnet == null || try(cidrhost(var.subnet, 0) == split("/", var.subnet)[0], false)
    error_message = join(" ", [
      "subnet = ${jsonencode(var.subnet)} must be the network's first address, such as \"10.78.0.0/24\", and not a",
      "host's.",
    ])
  }
}

variable "loadbalancer_hosts" {
  type        = number
  default     = 2
  description = "Nginx hosts that share the virtual address. Two, so that one may fail."
}

variable "app_hosts" {
  type        = number
  default     = 2
  description = "Gunicorn hosts."
}

variable "worker_hosts" {
  type        = number
  default     = 1
  description = "Celery hosts."
}

variable "postgres_hosts" {
  type        = number
  default     = 2
  description = "Postgres hosts: one primary, the others standbys."
}

variable "redis_hosts" {
  type        = number
  default     = 2
  description = "Redis hosts, each with the instances cache and store."
}

variable "monitoring_hosts" {
  type        = number
  default     = 1
  description = "Prometheus hosts. The first is also the witness: the third vote of etcd and Sentinel."
}

variable "etcd_on" {
  type        = list(string)
  default     = []
  description = "An odd number of hosts that vote for the Postgres primary. By default db1, db2 and mon1."
}

variable "sentinel_on" {
  type        = list(string)
  default     = []
  description = "An odd number of hosts that vote for the Redis masters. By default cache1, cache2 and mon1."
}

variable "single_host" {
  type        = bool
  default     = false
  description = "Whether to create one host, node1, in every group: the smallest fleet, without redundancy."
}

variable "shared_folder" {
  type        = string
  default     = ""
  description = <<-EOT
    Path at which application and worker hosts mount one folder of this machine when they are created, like NFS on VMs:
    the value of app_shared_mount. Empty: none.
  EOT

  validation {
    condition = var.shared_folder == "" || can(regex("^(/[A-Za-z0-9._-]+)+$", var.shared_folder))
    error_message = join(" ", [
      "shared_folder = ${jsonencode(var.shared_folder)} must be an absolute path without spaces, such as",
      "\"/mnt/shared\".",
    ])
  }
}
