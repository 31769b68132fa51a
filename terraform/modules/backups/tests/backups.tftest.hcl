mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables { fleet = "test" }

run "the_bucket_keeps_versions_and_is_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.backups.versioning_configuration[0].status == "Enabled"
    error_message = "deleted backups must be kept as old versions"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.backups.block_public_acls,
      aws_s3_bucket_public_access_block.backups.block_public_policy,
      aws_s3_bucket_public_access_block.backups.ignore_public_acls,
      aws_s3_bucket_public_access_block.backups.restrict_public_buckets,
    ])
    error_message = "nothing in the bucket may be public"
  }
  assert {
    condition = !anytrue([
      for statement in data.aws_iam_policy_document.backups.statement :
      contains(statement.actions, "s3:DeleteObjectVersion")
    ])
    error_message = "a compromised host must not be able to delete old versions"
  }
}
