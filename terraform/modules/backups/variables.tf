variable "fleet" {
  type        = string
  description = "Name of the fleet, the prefix of the names of the bucket and its role."
}
