# VPC, subnets and security groups.

locals {
  tiers = ["public", "private", "data"]
  zones = ["a", "b"]

  subnets = {
    for pair in setproduct(range(length(local.tiers)), range(length(local.zones))) :
    "${local.tiers[pair[0]]}-${local.zones[pair[1]]}" => {
      zone   = local.zones[pair[1]]
      number = 2 * pair[0] + pair[1]
    }
  }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  tags                 = { Name = var.prefix }
}

resource "aws_subnet" "this" {
  for_each = local.subnets

  vpc_id            = aws_vpc.this.id
  availability_zone = "${var.region}${each.value.zone}"
  cidr_block        = cidrsubnet(var.cidr, 4, each.value.number)
  tags              = { Name = "${var.prefix}-${each.key}" }
}

resource "aws_security_group" "public" {
  name        = "${var.prefix}-public"
  description = "${var.prefix} public tier"
  vpc_id      = aws_vpc.this.id

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "private" {
  name        = "${var.prefix}-private"
  description = "${var.prefix} private tier"
  vpc_id      = aws_vpc.this.id

  ingress {
    from_port       = 8000
    to_port         = 8000
    protocol        = "tcp"
    security_groups = [aws_security_group.public.id]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_security_group" "data" {
  name        = "${var.prefix}-data"
  description = "${var.prefix} data tier"
  vpc_id      = aws_vpc.this.id

  dynamic "ingress" {
    for_each = [3306, 6379]

    content {
      from_port       = ingress.value
      to_port         = ingress.value
      protocol        = "tcp"
      security_groups = [aws_security_group.private.id]
    }
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
