variable "fleet" {
  type        = string
  description = "Name of the fleet, the prefix of the names of the bucket and its role."
}

variable "purpose" {
  type        = string
  description = "Content of the bucket, in the names of the bucket and its role: backups or uploads."
}

variable "encryption" {
  type        = string
  description = "Encryption of objects: aws:kms, or AES256, with which signed URLs of any version work."
}

variable "read_versions" {
  type        = bool
  default     = false
  description = "Whether hosts may also read replaced and deleted objects, to restore from deleted backups."
}

variable "browser_origins" {
  type        = list(string)
  default     = []
  description = "Sites whose pages may send files to signed URLs of the bucket, such as [\"https://news.example.org\"]."
}
