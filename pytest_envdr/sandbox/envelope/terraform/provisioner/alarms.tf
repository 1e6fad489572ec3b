# An alarm on each way in which a bucket may not be made; each fires at the first one.

locals {
  failures = merge(
    {
      for word, metric in { errors = "Errors", throttles = "Throttles", dropped = "AsyncEventsDropped" } :
      "${local.name}-${word}" => {
        namespace  = "AWS/Lambda"
        metric     = metric
        dimensions = { FunctionName = local.name }
        statistic  = "Sum"
      }
    },
    {
      for queue in [aws_sqs_queue.unmade.name, aws_sqs_queue.undelivered.name] :
      queue => {
        namespace  = "AWS/SQS"
        metric     = "ApproximateNumberOfMessagesVisible"
        dimensions = { QueueName = queue }
        statistic  = "Maximum"
      }
    },
  )
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = local.failures

  alarm_name          = each.key
  alarm_description   = "${local.name}: ${each.value.metric}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic]
  ok_actions          = [var.topic]
}
