# The workers' queue with its dead-letter queue, where they are SQS's.

locals {
  day = 86400
}

resource "aws_sqs_queue" "dead_jobs" {
  count = var.jobs_visibility_seconds > 0 ? 1 : 0

  name                      = "${var.prefix}-jobs-dlq"
  message_retention_seconds = 14 * local.day
}

resource "aws_sqs_queue" "jobs" {
  count = var.jobs_visibility_seconds > 0 ? 1 : 0

  name                       = "${var.prefix}-jobs"
  visibility_timeout_seconds = var.jobs_visibility_seconds
  message_retention_seconds  = 4 * local.day

  # More than the workers' tries: it is the application that gives a job up.
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_jobs[0].arn
    maxReceiveCount     = 5
  })
}
