variable "fleet" {
  type        = string
  description = "Name of the fleet; names the load balancer."
}

variable "vpc_id" {
  type        = string
  description = "The VPC that the nginx hosts are in."
}

variable "subnet_ids" {
  type        = list(string)
  description = "A subnet per zone."
}

variable "instances" {
  type        = map(string)
  description = "Name of each nginx host → its instance id."
}

variable "health_path" {
  type        = string
  default     = "/lb-health"
  description = "Path at which nginx says over plain HTTP whether it takes traffic (role nginx, site/health.conf.j2)."
}

variable "domain" {
  type        = string
  default     = null
  description = "Name of the site."
}

variable "zone_id" {
  type        = string
  default     = null
  description = "Route 53 zone that gets the site's record; none without it."
}
