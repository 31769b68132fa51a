mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  fleet      = "test"
  purpose    = "backups"
  encryption = "aws:kms"
}

run "the_bucket_keeps_versions_and_is_private" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "deleted backups must be kept as old versions"
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "nothing in the bucket may be public"
  }
  assert {
    condition = !anytrue([
      for statement in data.aws_iam_policy_document.this.statement :
      contains(statement.actions, "s3:DeleteObjectVersion")
    ])
    error_message = "a compromised host must not be able to delete old versions"
  }
  assert {
    condition     = aws_s3_bucket.this.force_destroy != true
    error_message = "Terraform must not delete a bucket that still has backups"
  }
  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : [
        rule.noncurrent_version_expiration[0].noncurrent_days,
        rule.abort_incomplete_multipart_upload[0].days_after_initiation,
        rule.expiration[0].expired_object_delete_marker,
      ]
    ] == [[30, 7, true]]
    error_message = "old versions, abandoned uploads and what is left of deleted objects must not pile up"
  }
}

run "only_hosts_of_backups_may_read_deleted_objects" {
  command = plan
  variables { read_versions = true }

  override_resource {
    target          = aws_s3_bucket.this
    values          = { arn = "arn:aws:s3:::b" }
    override_during = plan
  }

  assert {
    condition = toset(flatten([
      for statement in data.aws_iam_policy_document.this.statement : statement.resources
    ])) == toset(["arn:aws:s3:::b", "arn:aws:s3:::b/*"])
    error_message = "the role must be limited to its bucket"
  }
  assert {
    condition = toset(flatten([
      for statement in data.aws_iam_policy_document.this.statement : statement.actions
      ])) == toset([
      "s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketVersions", "s3:GetObject", "s3:GetObjectVersion",
      "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
    ])
    error_message = "the role must have what pgBackRest needs, and nothing else"
  }
}

run "pages_of_the_site_may_send_files" {
  command = plan
  variables {
    purpose         = "uploads"
    encryption      = "AES256"
    browser_origins = ["https://news.example.org"]
  }

  assert {
    condition = (
      tolist(aws_s3_bucket_cors_configuration.this[0].cors_rule)[0].allowed_origins
      == toset(["https://news.example.org"])
    )
    error_message = "only pages of the site may upload from browsers"
  }
}

run "without_a_site_no_page_may_send_files" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_cors_configuration.this) == 0
    error_message = "no page may write backups"
  }
}
