variable "hosts_per_tier" {
  type = object({
    loadbalancers = number
    app           = number
    workers       = number
    postgres      = number
    redis         = number
    monitoring    = number
  })
  description = "How many hosts each tier has."
}

variable "etcd_on" {
  type        = list(string)
  description = "Names of the hosts that vote for the Postgres primary; empty: db1, db2 and mon1, or db1 alone where it has no standby."
}

variable "sentinel_on" {
  type        = list(string)
  description = "Names of the hosts that vote for the Redis masters; empty: cache1, cache2 and mon1, or cache1 alone where it has no replica."
}

variable "single_host" {
  type        = bool
  description = "One host, node1, in every group, instead of a tier on its own hosts."
}
