variable "fleet" {
  type        = string
  default     = "production"
  description = "Name of the fleet; begins the names of everything that it has."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.fleet))
    error_message = "fleet names a load balancer and a bucket: 2 to 20 lower-case letters, digits and dashes, a letter first and no dash last."
  }
}

variable "region" {
  type        = string
  description = "AWS region, such as \"eu-central-1\"."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region = ${jsonencode(var.region)} is no region: it is written like \"eu-central-1\", without a zone's letter."
  }
}

variable "zones" {
  type        = list(string)
  default     = ["a", "b", "c"]
  description = "Letters of the availability zones that hosts are spread over: the first host of each tier is in the first, the second in the second."

  validation {
    condition     = contains([2, 3, 4], length(var.zones))
    error_message = "zones = ${jsonencode(var.zones)} must have 2, 3 or 4: in one zone its loss takes the fleet along, and each takes a quarter of the network."
  }
  validation {
    condition     = var.zones == distinct(sort(var.zones)) && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    error_message = "zones = ${jsonencode(var.zones)} must be letters in the alphabet's order, each once, such as [\"a\", \"b\", \"c\"]."
  }
}

variable "fleet_size" {
  type        = string
  default     = "standard"
  description = "Preset of hosts and their types: small, standard or large. Variables per tier change parts of it."

  validation {
    condition     = contains(["small", "standard", "large"], var.fleet_size)
    error_message = "fleet_size = ${jsonencode(var.fleet_size)} is no preset: it is \"small\", \"standard\" or \"large\"."
  }
}

variable "vpc_cidr" {
  type        = string
  default     = "10.80.0.0/20"
  description = "IPv4 network of the fleet: a /23 at the smallest, a /16 at the largest."

  validation {
    condition = (
      can(regex("^[0-9.]+/(1[6-9]|2[0-3])$", var.vpc_cidr)) && try(cidrhost(var.vpc_cidr, 0) == split("/", var.vpc_cidr)[0], false)
    )
    error_message = "vpc_cidr = ${jsonencode(var.vpc_cidr)} must be an IPv4 network's first address and a size from /16 to /23: each zone takes a quarter and needs 70 addresses."
  }
}

variable "admin_networks" {
  type        = list(string)
  description = "Networks that may log in by SSH and open the consoles, such as [\"198.51.100.7/32\"]."

  validation {
    condition     = length(var.admin_networks) > 0 && alltrue([for network in var.admin_networks : can(cidrhost(network, 0))])
    error_message = "admin_networks = ${jsonencode(var.admin_networks)} must name at least one network in CIDR form: without it nobody, Ansible included, can log in."
  }
  validation {
    condition     = !anytrue([for network in var.admin_networks : endswith(network, "/0")])
    error_message = "admin_networks = ${jsonencode(var.admin_networks)} opens SSH to the whole world: name the networks that you log in from."
  }
}

variable "ssh_public_key" {
  type        = string
  description = "Public key, as in ~/.ssh/id_ed25519.pub, that Ansible and you log in with."

  validation {
    condition     = can(regex("^(ssh-ed25519|ssh-rsa) [A-Za-z0-9+/=]{60,}", var.ssh_public_key))
    error_message = "ssh_public_key must be the text of an ed25519 or RSA public key (\"ssh-ed25519 AAAA…\"), not a file's name and not a private key."
  }
}

variable "ssh_private_key_file" {
  type        = string
  default     = null
  description = "Where Ansible finds the private key; by default SSH's agent and its usual files are asked."
}

variable "connect_by" {
  type        = string
  default     = "public"
  description = "Addresses at which Ansible reaches hosts: public, or private over a VPN of yours."

  validation {
    condition     = contains(["public", "private"], var.connect_by)
    error_message = "connect_by = ${jsonencode(var.connect_by)} must be \"public\" or \"private\"."
  }
}

variable "domain" {
  type        = string
  description = "Name of the site, such as \"news.example.org\"."

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z0-9-]*[a-z]$", var.domain))
    error_message = "domain = ${jsonencode(var.domain)} must be a host's full name in lower case, such as \"news.example.org\", without https:// and without a path."
  }
}

variable "dns_zone" {
  type        = string
  default     = null
  description = "Route 53 zone in which the site's record is made, such as \"example.org\"; \"\": you make the record elsewhere."

  validation {
    condition     = var.dns_zone != null
    error_message = "domain = ${jsonencode(var.domain)} has no zone: set dns_zone to its Route 53 zone, or to \"\" if you make its record elsewhere."
  }
  validation {
    condition     = coalesce(var.dns_zone, var.domain) == var.domain || endswith(var.domain, ".${coalesce(var.dns_zone, "-")}")
    error_message = "domain = ${jsonencode(var.domain)} does not lie in dns_zone = ${jsonencode(var.dns_zone)}: its record cannot be made there."
  }
}

variable "ami_id" {
  type        = string
  default     = null
  description = "Machine image; by default Debian's newest image of Debian 13 at the time that a host is made."
}

variable "instance_types" {
  type        = map(string)
  default     = {}
  description = "Tier → instance type, where it is to differ from the preset, such as { postgres = \"r7i.xlarge\" }."

  validation {
    condition     = alltrue([for tier in keys(var.instance_types) : contains(["loadbalancers", "app", "workers", "postgres", "redis", "monitoring"], tier)])
    error_message = "instance_types = ${jsonencode(var.instance_types)} names a tier that there is not; tiers are loadbalancers, app, workers, postgres, redis and monitoring."
  }
}

variable "data_gb" {
  type        = map(number)
  default     = {}
  description = "Tier → GiB of the data volume of each of its hosts, where it is to differ from the preset. A volume can grow, never shrink."

  validation {
    condition     = alltrue([for tier in keys(var.data_gb) : contains(["postgres", "redis", "monitoring"], tier)])
    error_message = "data_gb = ${jsonencode(var.data_gb)} names a tier that keeps no data; postgres, redis and monitoring do."
  }
  validation {
    condition     = alltrue([for size in values(var.data_gb) : size >= 1 && size <= 16384 && floor(size) == size])
    error_message = "data_gb = ${jsonencode(var.data_gb)} must be whole GiB, from 1 to 16384: gp3 has no other sizes."
  }
}

variable "etcd_on" {
  type        = list(string)
  default     = []
  description = "Names of the hosts that vote for the Postgres primary; an odd number. Empty: db1, db2 and mon1."
}

variable "sentinel_on" {
  type        = list(string)
  default     = []
  description = "Names of the hosts that vote for the Redis masters; an odd number. Empty: cache1, cache2 and mon1."
}

variable "aws_endpoint_url" {
  type        = string
  default     = null
  description = "For tests only: another server than AWS that speaks its API. Its credentials are \"test\"."
}

variable "loadbalancer_hosts" {
  type        = number
  default     = null
  description = "Nginx hosts behind the network load balancer. By default the preset's number."

  validation {
    condition     = var.loadbalancer_hosts == null || contains(range(1, 11), coalesce(var.loadbalancer_hosts, 1))
    error_message = "loadbalancer_hosts must be a whole number from 1 to 10: no tier may be empty, and each has ten addresses."
  }
}

variable "app_hosts" {
  type        = number
  default     = null
  description = "Gunicorn hosts. By default the preset's number."

  validation {
    condition     = var.app_hosts == null || contains(range(1, 11), coalesce(var.app_hosts, 1))
    error_message = "app_hosts must be a whole number from 1 to 10: no tier may be empty, and each has ten addresses."
  }
}

variable "worker_hosts" {
  type        = number
  default     = null
  description = "Celery hosts. By default the preset's number."

  validation {
    condition     = var.worker_hosts == null || contains(range(1, 11), coalesce(var.worker_hosts, 1))
    error_message = "worker_hosts must be a whole number from 1 to 10: no tier may be empty, and each has ten addresses."
  }
}

variable "postgres_hosts" {
  type        = number
  default     = null
  description = "Postgres hosts: one primary, the others standbys. By default the preset's number."

  validation {
    condition     = var.postgres_hosts == null || contains(range(1, 11), coalesce(var.postgres_hosts, 1))
    error_message = "postgres_hosts must be a whole number from 1 to 10: no tier may be empty, and each has ten addresses."
  }
}

variable "redis_hosts" {
  type        = number
  default     = null
  description = "Redis hosts, each with the instances cache and store. By default the preset's number."

  validation {
    condition     = var.redis_hosts == null || contains(range(1, 11), coalesce(var.redis_hosts, 1))
    error_message = "redis_hosts must be a whole number from 1 to 10: no tier may be empty, and each has ten addresses."
  }
}

variable "monitoring_hosts" {
  type        = number
  default     = null
  description = "Prometheus hosts; the first is also the witness that gives etcd and Sentinel their third vote. By default the preset's number."

  validation {
    condition     = var.monitoring_hosts == null || contains(range(1, 11), coalesce(var.monitoring_hosts, 1))
    error_message = "monitoring_hosts must be a whole number from 1 to 10: no tier may be empty, and each has ten addresses."
  }
}
