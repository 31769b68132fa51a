variable "hosts_per_tier" {
  type = object({
    loadbalancers = number
    app           = number
    workers       = number
    postgres      = number
    redis         = number
    monitoring    = number
  })
  description = "Number of hosts in each tier."

  validation {
    condition = alltrue([for hosts in values(var.hosts_per_tier) : contains(range(1, 11), hosts)])
    error_message = join(" ", [
      "The variables *_hosts set ${jsonencode(var.hosts_per_tier)}. Each must be an integer from 1 to 10: no tier may",
      "be empty, and each has ten addresses.",
    ])
  }
}

variable "etcd_on" {
  type        = list(string)
  description = "Hosts that vote for the Postgres primary. If empty, db1, db2 and mon1, or db1 if it is alone."
}

variable "sentinel_on" {
  type        = list(string)
  description = "Hosts that vote for the Redis masters. If empty, cache1, cache2 and mon1, or cache1 without replica."
}

variable "single_host" {
  type        = bool
  description = "Whether to create one host, node1, in every group, instead of hosts for each tier."
}
