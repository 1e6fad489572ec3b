# Alarms, the topic they speak to, and the on-call queue that listens.

resource "aws_sns_topic" "alarms" {
  name = "${var.prefix}-alarms"
}

resource "aws_sqs_queue" "oncall" {
  name = "${var.prefix}-oncall"
}

resource "aws_sqs_queue_policy" "oncall" {
  queue_url = aws_sqs_queue.oncall.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sns.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.oncall.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_sns_topic.alarms.arn } }
    }]
  })
}

resource "aws_sns_topic_subscription" "oncall" {
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "sqs"
  endpoint  = aws_sqs_queue.oncall.arn
}

# With no target at all the metric may be missing, and an alarm that then says INSUFFICIENT_DATA tells nobody.
resource "aws_cloudwatch_metric_alarm" "no_healthy_host" {
  for_each = var.target_group

  alarm_name          = "${var.prefix}-${each.key}-no-healthy-host"
  alarm_description   = "${var.prefix}-${each.key} has no healthy target"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  dimensions = {
    LoadBalancer = each.value.load_balancer
    TargetGroup  = each.value.arn_suffix
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = var.target_group

  alarm_name          = "${var.prefix}-${each.key}-5xx"
  alarm_description   = "${var.prefix}-${each.key} answers errors"
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HTTPCode_Target_5XX_Count"
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 5
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  dimensions = {
    LoadBalancer = each.value.load_balancer
    TargetGroup  = each.value.arn_suffix
  }
}

# On the application's own work: high-resolution metrics, so half a minute is period enough.
locals {
  work = {
    worker-stalled = {
      what       = "${var.prefix}-worker does no work"
      metric     = "WorkerLoops"
      dimensions = { Service = "worker" }
    }
    scheduler-stalled = {
      what       = "${var.prefix}-scheduler does no work"
      metric     = "HeartbeatsWritten"
      dimensions = { Service = "scheduler" }
    }
    db-heartbeat = {
      what       = "no heartbeat reaches the database"
      metric     = "DatabaseHeartbeats"
      dimensions = { DBInstanceIdentifier = var.database }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "work" {
  for_each = local.work

  alarm_name          = "${var.prefix}-${each.key}"
  alarm_description   = each.value.what
  namespace           = "Envelope"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 30
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
