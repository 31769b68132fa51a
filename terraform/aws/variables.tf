variable "fleet" {
  type        = string
  default     = "production"
  description = "Name of the fleet. All its resources have names that start with it."

  validation {
    condition = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.fleet))
    error_message = join(" ", [
      "fleet = ${jsonencode(var.fleet)} must have 2 to 20 lower-case letters, digits and dashes, start with a letter",
      "and not end with a dash.",
    ])
  }
}

variable "region" {
  type        = string
  description = "AWS region, such as \"eu-central-1\"."

  validation {
    condition = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = join(" ", [
      "region = ${jsonencode(var.region)} is not a region; write it like \"eu-central-1\", without a zone's letter.",
    ])
  }
}

variable "zones" {
  type        = list(string)
  default     = ["a", "b", "c"]
  description = "Letters of the availability zones. The first host of each tier is in the first zone, and so on."

  validation {
    condition = contains([2, 3, 4], length(var.zones))
    error_message = join(" ", [
      "zones = ${jsonencode(var.zones)} must have 2, 3 or 4 letters: a fleet in one zone is lost with it, and each",
      "zone needs a quarter of the network.",
    ])
  }
  validation {
    condition = (
      var.zones == distinct(sort(var.zones)) && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    )
    error_message = join(" ", [
      "zones = ${jsonencode(var.zones)} must be different letters in alphabetical order, such as [\"a\", \"b\",",
      "\"c\"].",
    ])
  }
}

variable "fleet_size" {
  type        = string
  default     = "standard"
  description = "Preset of hosts and instance types: small, standard or large. Variables for each tier override it."

  validation {
    condition = contains(["small", "standard", "large"], var.fleet_size)
    error_message = join(" ", [
      "fleet_size = ${jsonencode(var.fleet_size)} is not a preset; use \"small\", \"standard\" or \"large\".",
    ])
  }
}

variable "vpc_cidr" {
  type        = string
  default     = "10.80.0.0/20"
  description = "IPv4 network of the fleet, from /16 to /23."

  validation {
    condition = (
      can(regex("^[0-9.]+/(1[6-9]|2[0-3])$", var.vpc_cidr)) &&
      try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false)
    )
    error_message = join(" ", [
      "vpc_cidr = ${jsonencode(var.vpc_cidr)} must be the first address of an IPv4 network from /16 to /23: each",
      "zone gets a quarter and needs 70 addresses.",
    ])
  }
}

variable "admin_networks" {
  type        = list(string)
  description = "Networks that may use SSH and the consoles, such as [\"198.51.100.7/32\"]."

  validation {
    condition = (
      length(var.admin_networks) > 0 && alltrue([for network in var.admin_networks : can(cidrhost(network, 0))])
    )
    error_message = join(" ", [
      "admin_networks = ${jsonencode(var.admin_networks)} must have at least one network in CIDR form, or nobody can",
      "log in, not even Ansible.",
    ])
  }
  validation {
    condition = !anytrue([for network in var.admin_networks : endswith(network, "/0")])
    error_message = join(" ", [
      "admin_networks = ${jsonencode(var.admin_networks)} opens SSH to the whole Internet; list only the networks",
      "that you log in from.",
    ])
  }
}

variable "app_port" {
  type        = number
  default     = 8000
  description = "TCP port of the application. It must be the inventory's app_port."

  validation {
    condition     = var.app_port >= 1 && var.app_port <= 65535
    error_message = "app_port = ${var.app_port} must be from 1 to 65535."
  }
}

variable "backup_days" {
  type        = number
  default     = 14
  description = "Days to which Postgres can go back, by backups in a bucket. 0 switches backups off."

  validation {
    condition = var.backup_days >= 0 && floor(var.backup_days) == var.backup_days
    error_message = join(" ", [
      "backup_days = ${var.backup_days} must be a whole number of days, or 0 for a fleet without backups.",
    ])
  }
}

variable "uploads_bucket" {
  type        = bool
  default     = false
  description = "Whether to create a private bucket for users' files, which application and worker hosts may use."
}

variable "extra_ports" {
  type = list(object({
    name     = string
    port     = number
    protocol = string
    to       = list(string)
    from     = list(string)
  }))
  default     = []
  description = "Ports to open in addition to inventories/shared/ports.yml, with entries like those."

  validation {
    condition = alltrue([
      for port in var.extra_ports :
      contains(["tcp", "udp"], port.protocol) && port.port >= 1 && port.port <= 65535
    ])
    error_message = join(" ", [
      "extra_ports = ${jsonencode(var.extra_ports)} must have ports from 1 to 65535, and \"tcp\" or \"udp\" as",
      "protocol.",
    ])
  }
}

variable "ssh_public_key" {
  type        = string
  description = "Public key for logins by you and Ansible, as in ~/.ssh/id_ed25519.pub."

  validation {
    condition = can(regex("^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]{60,}", var.ssh_public_key))
    error_message = join(" ", [
      "ssh_public_key must be the text of an ed25519 or RSA public key (\"ssh-ed25519 AAAA…\"), not a file name or a",
      "private key.",
    ])
  }
}

variable "ssh_private_key_file" {
  type        = string
  default     = null
  description = "File with the private key for Ansible. By default SSH uses its agent and its usual files."
}

variable "connect_by" {
  type        = string
  default     = "public"
  description = "Addresses by which Ansible connects to hosts: public, or private over your VPN."

  validation {
    condition     = contains(["public", "private"], var.connect_by)
    error_message = "connect_by = ${jsonencode(var.connect_by)} must be \"public\" or \"private\"."
  }
}

variable "domain" {
  type        = string
  description = "Name of the site, such as \"news.example.org\"."

  validation {
    condition = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9-]*[a-z]$", var.domain))
    error_message = join(" ", [
      "domain = ${jsonencode(var.domain)} must be a full host name in lower case, such as \"news.example.org\",",
      "without https:// and path.",
    ])
  }
}

variable "dns_zone" {
  type        = string
  default     = null
  description = "Route 53 zone for the site's DNS record, such as \"example.org\". \"\" if the record is elsewhere."

  validation {
    condition = var.dns_zone != null
    error_message = join(" ", [
      "dns_zone is not set, so domain = ${jsonencode(var.domain)} gets no DNS record; set it to its Route 53 zone,",
      "or to \"\" if you create the record elsewhere.",
    ])
  }
  validation {
    condition = (
      coalesce(var.dns_zone, var.domain) == var.domain || endswith(var.domain, ".${coalesce(var.dns_zone, "-")}")
    )
    error_message = join(" ", [
      "domain = ${jsonencode(var.domain)} is not in dns_zone = ${jsonencode(var.dns_zone)}, so its DNS record cannot",
      "be there; correct one of them.",
    ])
  }
}

variable "ami_id" {
  type        = string
  default     = null
  description = "Machine image. By default the newest Debian 13 image at the time when a host is created."
}

variable "instance_types" {
  type        = map(string)
  default     = {}
  description = "Instance types by tier that override the preset, such as { postgres = \"r7i.xlarge\" }."

  validation {
    condition = alltrue([
      for tier in keys(var.instance_types) :
      contains(["loadbalancers", "app", "workers", "postgres", "redis", "monitoring"], tier)
    ])
    error_message = join(" ", [
      "instance_types = ${jsonencode(var.instance_types)} has an unknown tier; use loadbalancers, app, workers,",
      "postgres, redis or monitoring.",
    ])
  }
}

variable "data_gb" {
  type        = map(number)
  default     = {}
  description = "Sizes of data volumes in GiB by tier that override the preset. A volume can grow, but not shrink."

  validation {
    condition = alltrue([for tier in keys(var.data_gb) : contains(["postgres", "redis", "monitoring"], tier)])
    error_message = join(" ", [
      "data_gb = ${jsonencode(var.data_gb)} has a tier without a data volume; use postgres, redis or monitoring.",
    ])
  }
  validation {
    condition = alltrue([for size in values(var.data_gb) : size >= 1 && size <= 16384 && floor(size) == size])
    error_message = join(" ", [
      "data_gb = ${jsonencode(var.data_gb)} must be integers from 1 to 16384 (GiB): gp3 supports no other sizes.",
    ])
  }
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

variable "aws_endpoint_url" {
  type        = string
  default     = null
  description = "For tests only: URL of a server that emulates the API of AWS, with the credentials \"test\"."
}

variable "loadbalancer_hosts" {
  type        = number
  default     = null
  description = "Nginx hosts behind the network load balancer. By default the preset's number."
}

variable "app_hosts" {
  type        = number
  default     = null
  description = "Gunicorn hosts. By default the preset's number."
}

variable "worker_hosts" {
  type        = number
  default     = null
  description = "Celery hosts. By default the preset's number."
}

variable "postgres_hosts" {
  type        = number
  default     = null
  description = "Postgres hosts: one primary, the others standbys. By default the preset's number."
}

variable "redis_hosts" {
  type        = number
  default     = null
  description = "Redis hosts, each with the instances cache and store. By default the preset's number."
}

variable "monitoring_hosts" {
  type        = number
  default     = null
  description = "Prometheus hosts. The first is also the witness for etcd and Sentinel. By default the preset's number."
}
