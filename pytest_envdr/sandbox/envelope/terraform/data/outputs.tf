output "database" {
  value = {
    id      = local.database.id
    address = local.database.address
    port    = local.database.port
  }
}

output "cache" {
  value = {
    address = aws_elasticache_replication_group.this.primary_endpoint_address
    port    = aws_elasticache_replication_group.this.port
  }
}

output "secret" {
  value = try(aws_secretsmanager_secret.database[0].arn, data.aws_secretsmanager_secret.there[0].arn)
}
