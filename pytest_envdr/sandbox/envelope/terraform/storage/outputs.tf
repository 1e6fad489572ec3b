output "sources" {
  value = try(aws_s3_bucket.sources[0].bucket, "")
}

output "artifacts" {
  value = try(aws_s3_bucket.artifacts[0].bucket, "")
}
