# The function's role: one an account, so that a second Region takes that of the first.

locals {
  role = var.globals ? aws_iam_role.this[0].arn : data.aws_iam_role.there[0].arn
}

resource "aws_iam_role" "this" {
  count = var.globals ? 1 : 0

  name = local.name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  count = var.globals ? 1 : 0

  name = local.name
  role = aws_iam_role.this[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Action = [
          "s3:CreateBucket",
          "s3:ListBucket",
          "s3:Get*Configuration",
          "s3:GetBucket*",
          "s3:PutBucket*",
          "s3:PutEncryptionConfiguration",
          "s3:PutLifecycleConfiguration",
        ]
        Resource = "arn:aws:s3:::${var.prefix}-tenant-*"
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:aws:logs:*:*:log-group:/aws/lambda/${local.name}:*"
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = "arn:aws:sqs:*:${var.account}:${local.name}-dlq"
      },
    ]
  })
}

data "aws_iam_role" "there" {
  count = var.globals ? 0 : 1

  name = local.name
}
