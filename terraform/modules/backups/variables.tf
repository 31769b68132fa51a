variable "fleet" {
  type        = string
  description = "Name of the fleet, the prefix of the names of the bucket and its role."
}

variable "keep_days" {
  type        = number
  default     = 30
  description = "Days for which a replaced or deleted object can be restored."
}
