variable "fleet" {
  type        = string
  description = "Name of the fleet; begins the names of the bucket and of its role."
}

variable "keep_days" {
  type        = number
  default     = 30
  description = "Days for which a replaced or deleted object can be brought back."
}
