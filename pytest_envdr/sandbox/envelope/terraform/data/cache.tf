# The cache, which the queue is in as well.

resource "aws_elasticache_subnet_group" "this" {
  name        = var.prefix
  description = var.prefix
  subnet_ids  = var.subnets
}

resource "aws_elasticache_parameter_group" "this" {
  name        = "${var.prefix}-redis"
  family      = var.cache_family
  description = "Envelope's cache and queue"

  # The queue is in it, and a job that is evicted is lost.
  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id          = "${var.prefix}-redis"
  replication_group_description = "Envelope's cache and queue"
  engine                        = "redis"
  node_type                     = "cache.t4g.small"
  number_cache_clusters         = 2
  automatic_failover_enabled    = true
  multi_az_enabled              = true
  parameter_group_name          = aws_elasticache_parameter_group.this.name
  subnet_group_name             = aws_elasticache_subnet_group.this.name
  security_group_ids            = [var.security_group]
  tags                          = { environment = "prod" }
}
