terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "3.39.0"
    }
  }

  # Bucket, key and Region are given to `init`: the same modules have a state for each Region.
  backend "s3" {}
}
