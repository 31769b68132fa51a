output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}

output "instance_profile" {
  description = "Name of the instance profile with access to it."
  value       = aws_iam_instance_profile.this.name
}
