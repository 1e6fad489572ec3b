provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account]

  default_tags {
    tags = merge({ "managed-by" = "terraform" }, var.tags)
  }

  # On AWS `endpoint` is empty, and all of this as if it were not here.
  skip_credentials_validation = local.elsewhere
  skip_metadata_api_check     = local.elsewhere
  skip_region_validation      = local.elsewhere
  s3_force_path_style         = local.elsewhere

  dynamic "endpoints" {
    for_each = local.elsewhere ? [var.endpoint] : []

    content {
      applicationautoscaling = endpoints.value
      backup                 = endpoints.value
      cloudwatch             = endpoints.value
      cloudwatchevents       = endpoints.value
      cloudwatchlogs         = endpoints.value
      codebuild              = endpoints.value
      codepipeline           = endpoints.value
      dynamodb               = endpoints.value
      ec2                    = endpoints.value
      ecr                    = endpoints.value
      ecs                    = endpoints.value
      elasticache            = endpoints.value
      elb                    = endpoints.value
      iam                    = endpoints.value
      kms                    = endpoints.value
      lambda                 = endpoints.value
      rds                    = endpoints.value
      s3                     = endpoints.value
      secretsmanager         = endpoints.value
      sns                    = endpoints.value
      sqs                    = endpoints.value
      sts                    = endpoints.value
    }
  }
}

locals {
  elsewhere = var.endpoint != ""
}
