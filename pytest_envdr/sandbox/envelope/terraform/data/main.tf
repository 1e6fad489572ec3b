# The database instance with its parameters, the cache, and the secret with the database's credentials.

resource "aws_db_subnet_group" "this" {
  name        = var.prefix
  description = var.prefix
  subnet_ids  = var.subnets
}

resource "aws_db_parameter_group" "this" {
  name        = "${var.prefix}-mariadb"
  family      = var.database_family
  description = "Envelope's database"

  dynamic "parameter" {
    for_each = {
      character_set_server            = "utf8mb4"
      collation_server                = "utf8mb4_unicode_ci"
      event_scheduler                 = "ON"
      log_bin_trust_function_creators = "1"
      max_allowed_packet              = "67108864"
    }

    content {
      name         = parameter.key
      value        = parameter.value
      apply_method = "pending-reboot"
    }
  }
}

resource "aws_db_instance" "this" {
  count = var.database_instance == "" ? 1 : 0

  identifier              = "${var.prefix}-db"
  engine                  = "mariadb"
  instance_class          = "db.t4g.medium"
  allocated_storage       = 20
  storage_encrypted       = true
  name                    = "central"
  username                = "envelope"
  password                = var.database_password
  db_subnet_group_name    = aws_db_subnet_group.this.name
  vpc_security_group_ids  = [var.security_group]
  parameter_group_name    = aws_db_parameter_group.this.name
  backup_retention_period = 7
  deletion_protection     = true

  final_snapshot_identifier = "${var.prefix}-db-final"

  tags = { environment = "prod" }
}

# One that is there already, such as one restored from the primary Region's backups.
data "aws_db_instance" "there" {
  count = var.database_instance == "" ? 0 : 1

  db_instance_identifier = var.database_instance
}

locals {
  database = try(aws_db_instance.this[0], data.aws_db_instance.there[0])
}

resource "aws_secretsmanager_secret" "database" {
  count = var.database_secret == "" ? 1 : 0

  name = "${var.prefix}/db"
}

data "aws_secretsmanager_secret" "there" {
  count = var.database_secret == "" ? 0 : 1

  name = var.database_secret
}
