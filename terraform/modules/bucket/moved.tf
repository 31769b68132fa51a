# Names of version 0.1, whose only bucket was that of the backups.
moved {
  from = aws_s3_bucket.backups
  to   = aws_s3_bucket.this
}
moved {
  from = aws_s3_bucket_public_access_block.backups
  to   = aws_s3_bucket_public_access_block.this
}
moved {
  from = aws_s3_bucket_versioning.backups
  to   = aws_s3_bucket_versioning.this
}
moved {
  from = aws_s3_bucket_server_side_encryption_configuration.backups
  to   = aws_s3_bucket_server_side_encryption_configuration.this
}
moved {
  from = aws_s3_bucket_lifecycle_configuration.backups
  to   = aws_s3_bucket_lifecycle_configuration.this
}
moved {
  from = aws_iam_role.backups
  to   = aws_iam_role.this
}
moved {
  from = aws_iam_role_policy.backups
  to   = aws_iam_role_policy.this
}
moved {
  from = aws_iam_instance_profile.backups
  to   = aws_iam_instance_profile.this
}
