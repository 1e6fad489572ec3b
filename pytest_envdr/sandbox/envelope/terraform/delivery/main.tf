# The way to production: a source in S3, a build, an image in the registry, a deployment of the api.

resource "aws_ecr_repository" "envelope" {
  name                 = "envelope"
  image_tag_mutability = "IMMUTABLE"
}

resource "aws_ecr_lifecycle_policy" "envelope" {
  repository = aws_ecr_repository.envelope.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "images without a tag go after two weeks"
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = 14
      }
      action = { type = "expire" }
    }]
  })
}

# What is pushed is there in the standby Region as well. (This provider knows no filter: all repositories are.)
resource "aws_ecr_replication_configuration" "standby" {
  count = var.standby_region == "" ? 0 : 1

  replication_configuration {
    rule {
      destination {
        region      = var.standby_region
        registry_id = var.account
      }
    }
  }
}

resource "aws_codebuild_project" "build" {
  name          = "${var.prefix}-build"
  service_role  = local.roles["build"]
  build_timeout = 20

  source {
    type = "CODEPIPELINE"
  }

  artifacts {
    type = "CODEPIPELINE"
  }

  environment {
    type            = "LINUX_CONTAINER"
    image           = "aws/codebuild/amazonlinux2-x86_64-standard:5.0"
    compute_type    = "BUILD_GENERAL1_SMALL"
    privileged_mode = true
  }
}

resource "aws_codepipeline" "this" {
  name     = "${var.prefix}-pipeline"
  role_arn = local.roles["pipeline"]

  artifact_store {
    type     = "S3"
    location = var.artifacts
  }

  stage {
    name = "Source"

    action {
      name             = "Source"
      category         = "Source"
      owner            = "AWS"
      provider         = "S3"
      version          = "1"
      output_artifacts = ["App"]

      configuration = {
        S3Bucket                    = var.sources
        S3ObjectKey                 = "main/envelope.zip"
        PollForSourceChanges        = "true"
        AllowOverrideForS3ObjectKey = "true"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name             = "Build"
      category         = "Build"
      owner            = "AWS"
      provider         = "CodeBuild"
      version          = "1"
      input_artifacts  = ["App"]
      output_artifacts = ["Built"]
      configuration    = { ProjectName = aws_codebuild_project.build.name }
    }
  }

  stage {
    name = "Deploy"

    action {
      name            = "Deploy"
      category        = "Deploy"
      owner           = "AWS"
      provider        = "ECS"
      version         = "1"
      input_artifacts = ["Built"]

      configuration = {
        ClusterName       = var.cluster
        ServiceName       = var.service
        DeploymentTimeout = "15"
      }
    }
  }
}

locals {
  trusted = { build = "codebuild.amazonaws.com", pipeline = "codepipeline.amazonaws.com" }
  roles = {
    for purpose in keys(local.trusted) : purpose => var.globals ? aws_iam_role.this[purpose].arn : data.aws_iam_role.there[purpose].arn
  }
}

resource "aws_iam_role" "this" {
  for_each = var.globals ? local.trusted : {}

  name = "${var.prefix}-${each.key}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = each.value }
    }]
  })
}

data "aws_iam_role" "there" {
  for_each = var.globals ? {} : local.trusted

  name = "${var.prefix}-${each.key}"
}
