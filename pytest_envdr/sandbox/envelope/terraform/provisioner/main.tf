# A new tenant's event, the rule that takes it, and the function that makes the tenant's bucket.

locals {
  name = "${var.prefix}-tenant-provisioner"
  day  = 86400

  pattern = jsonencode({
    source      = ["envelope"]
    detail-type = ["tenant.created"]
  })
}

resource "aws_cloudwatch_event_bus" "this" {
  name = var.prefix
}

resource "aws_cloudwatch_event_archive" "tenants" {
  name             = "${var.prefix}-tenant-events"
  event_source_arn = aws_cloudwatch_event_bus.this.arn
  event_pattern    = local.pattern
  retention_days   = 90
}

resource "aws_cloudwatch_event_rule" "created" {
  name           = "${var.prefix}-tenant-created"
  event_bus_name = aws_cloudwatch_event_bus.this.name
  event_pattern  = local.pattern
}

resource "aws_cloudwatch_event_target" "provisioner" {
  rule           = aws_cloudwatch_event_rule.created.name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  target_id      = "provisioner"
  arn            = aws_lambda_function.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }
}

resource "aws_lambda_function" "this" {
  function_name    = local.name
  description      = "Makes a new tenant's bucket"
  runtime          = "python3.8" # the newest that this release of the provider knows
  handler          = "tenant_provisioner.handler"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  role             = local.role
  timeout          = 30
  memory_size      = 256

  dead_letter_config {
    target_arn = aws_sqs_queue.unmade.arn
  }

  depends_on = [aws_cloudwatch_log_group.this]
}

resource "aws_lambda_permission" "created" {
  function_name = aws_lambda_function.this.arn
  statement_id  = "tenant-created"
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.created.arn
}

resource "aws_cloudwatch_log_group" "this" {
  name = "/aws/lambda/${local.name}"
}

# What the function failed of, and what the rule could not give to the function.
resource "aws_sqs_queue" "unmade" {
  name                      = "${local.name}-dlq"
  message_retention_seconds = 14 * local.day
}

resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.prefix}-tenant-created-dlq"
  message_retention_seconds = 14 * local.day
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.undelivered.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.created.arn } }
    }]
  })
}
