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
