# The roles of the tasks: one an account, so that a second Region takes those of the first.

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
    }]
  })

  purposes = toset(["execution", "task"])

  roles = {
    for purpose in local.purposes : purpose => var.globals ? aws_iam_role.this[purpose].arn : data.aws_iam_role.there[purpose].arn
  }
}

resource "aws_iam_role" "this" {
  for_each = var.globals ? local.purposes : []

  name               = "${var.prefix}-${each.key}"
  assume_role_policy = local.trust
}

data "aws_iam_role" "there" {
  for_each = var.globals ? [] : local.purposes

  name = "${var.prefix}-${each.key}"
}
