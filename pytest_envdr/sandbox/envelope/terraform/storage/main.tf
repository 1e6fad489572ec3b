# The buckets that Terraform keeps; a tenant's bucket is made by the provisioner.

locals {
  sources   = "${var.prefix}-sources-${var.account}"
  artifacts = "${var.prefix}-artifacts-${var.account}"

  buckets = merge(
    { for bucket in aws_s3_bucket.sources : "sources" => bucket.id },
    { for bucket in aws_s3_bucket.artifacts : "artifacts" => bucket.id },
    { for bucket in aws_s3_bucket.state : "state" => bucket.id },
  )
}

resource "aws_s3_bucket" "sources" {
  count = var.delivery ? 1 : 0

  bucket = local.sources

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }

  versioning {
    enabled = true
  }
}

resource "aws_s3_bucket" "artifacts" {
  count = var.delivery ? 1 : 0

  bucket = local.artifacts

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }
}

resource "aws_s3_bucket" "state" {
  count = var.state_bucket == "" ? 0 : 1

  bucket = var.state_bucket

  versioning {
    enabled = true
  }

  server_side_encryption_configuration {
    rule {
      apply_server_side_encryption_by_default {
        sse_algorithm = "AES256"
      }
    }
  }

  # An older version may be what a recovery needs: kept for longer than from one exercise to the next.
  lifecycle_rule {
    id      = "old-versions"
    enabled = true

    noncurrent_version_expiration {
      days = 90
    }
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  count = var.state_bucket == "" ? 0 : 1

  bucket                  = aws_s3_bucket.state[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# This provider writes an ACL to every bucket, which S3 refuses where ACLs are disabled (as they are by default).
resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets

  bucket = each.value

  rule {
    object_ownership = "BucketOwnerPreferred"
  }
}

resource "aws_dynamodb_table" "locks" {
  count = var.lock_table == "" ? 0 : 1

  name         = var.lock_table
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "LockID"

  attribute {
    name = "LockID"
    type = "S"
  }
}
