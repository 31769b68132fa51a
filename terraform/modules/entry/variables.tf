variable "fleet" {
  type        = string
  description = "Name of the fleet and of the load balancer."
}

variable "vpc_id" {
  type        = string
  description = "Id of the VPC of the nginx hosts."
}

variable "subnet_ids" {
  type        = list(string)
  description = "One subnet for each zone."
}

variable "instances" {
  type        = map(string)
  description = "Instance ids of the nginx hosts, by host name."
}

variable "domain" {
  type        = string
  default     = null
  description = "Name of the site."
}

variable "zone_id" {
  type        = string
  default     = null
  description = "Route 53 zone for the site's DNS record. If null, no record is created."
}
