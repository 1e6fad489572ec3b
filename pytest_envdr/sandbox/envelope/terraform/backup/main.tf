# A vault, and a daily plan of the database and the tenants' buckets.

resource "aws_backup_vault" "this" {
  name = var.prefix
}

resource "aws_backup_plan" "daily" {
  name = "${var.prefix}-daily"

  rule {
    rule_name         = "daily"
    target_vault_name = aws_backup_vault.this.name
    schedule          = "cron(0 ${var.hour} ? * * *)"
    start_window      = 60
    completion_window = 480

    lifecycle {
      delete_after = 7
    }
  }
}

resource "aws_backup_selection" "this" {
  for_each = {
    database       = "arn:aws:rds:${var.region}:${var.account}:db:${var.database}"
    tenant-buckets = "arn:aws:s3:::${var.prefix}-tenant-*"
  }

  name         = each.key
  plan_id      = aws_backup_plan.daily.id
  iam_role_arn = local.role
  resources    = [each.value]
}

locals {
  role = var.globals ? aws_iam_role.this[0].arn : data.aws_iam_role.there[0].arn
}

resource "aws_iam_role" "this" {
  count = var.globals ? 1 : 0

  name = "${var.prefix}-backup"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "backup.amazonaws.com" }
    }]
  })
}

data "aws_iam_role" "there" {
  count = var.globals ? 0 : 1

  name = "${var.prefix}-backup"
}
