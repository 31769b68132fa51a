output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.backups.bucket
}

output "instance_profile" {
  description = "Name of the instance profile with access to it."
  value       = aws_iam_instance_profile.backups.name
}
