# The cluster and its services, each with a log group, a task definition and, where it scales, its scalable target.

locals {
  port = 8000

  serve = ["sh", "bin/serve"]

  services = {
    api       = { desired = 2, scales = true, balancer = "public", priority = 10, command = local.serve }
    reverb    = { desired = 1, scales = false, balancer = "public", priority = 11, command = ["php", "artisan", "reverb:start"] }
    tenant    = { desired = 2, scales = true, balancer = "public", priority = 12, command = local.serve }
    hq        = { desired = 1, scales = false, balancer = "internal", priority = 10, command = local.serve }
    worker    = { desired = 2, scales = true, balancer = null, priority = null, command = var.worker_command }
    scheduler = { desired = 1, scales = false, balancer = null, priority = null, command = ["php", "artisan", "envelope:heartbeat"] }
  }

  hosts = { for word in keys(local.balanced) : word => "${word}.envelope.test" }
}

resource "aws_ecs_cluster" "this" {
  name = "${var.prefix}-cluster"
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.services

  name = "/ecs/${var.prefix}-${each.key}"
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.services

  family                   = "${var.prefix}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = "256"
  memory                   = "512"
  execution_role_arn       = local.roles["execution"]
  task_role_arn            = local.roles["task"]

  container_definitions = jsonencode([merge(
    {
      name      = each.key
      image     = var.image
      essential = true
      command   = each.value.command

      environment = [
        for name, value in merge(var.environment, { APP_KEY = var.app_key, APP_SERVICE = each.key }) :
        { name = name, value = value }
      ]

      secrets = [
        { name = "DB_USERNAME", valueFrom = "${var.secret}:username::" },
        { name = "DB_PASSWORD", valueFrom = "${var.secret}:password::" },
      ]

      logConfiguration = {
        logDriver = "awslogs"
        options = {
          awslogs-group         = aws_cloudwatch_log_group.this[each.key].name
          awslogs-region        = var.region
          awslogs-stream-prefix = "ecs"
        }
      }
    },
    each.value.balancer == null ? {
      healthCheck = {
        command     = ["CMD-SHELL", "sh bin/alive"]
        interval    = 10
        timeout     = 5
        retries     = 3
        startPeriod = 60
      }
    } : {},
    each.value.balancer != null ? {
      portMappings = [{ containerPort = local.port, protocol = "tcp" }]
    } : {},
  )])
}

resource "aws_ecs_service" "this" {
  for_each = local.services

  name            = "${var.prefix}-${each.key}"
  cluster         = aws_ecs_cluster.this.id
  task_definition = "${aws_ecs_task_definition.this[each.key].family}:${aws_ecs_task_definition.this[each.key].revision}"
  desired_count   = each.value.desired
  launch_type     = "FARGATE"

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets         = var.subnets["private"]
    security_groups = [var.security_groups["private"]]
  }

  health_check_grace_period_seconds = each.value.balancer == null ? null : 30

  dynamic "load_balancer" {
    for_each = each.value.balancer == null ? [] : [each.value.balancer]

    content {
      target_group_arn = aws_lb_target_group.this[each.key].arn
      container_name   = each.key
      container_port   = local.port
    }
  }

  # A target group can be served only once a load balancer stands before it.
  depends_on = [aws_lb_listener_rule.this]
}

resource "aws_appautoscaling_target" "this" {
  for_each = { for word, service in local.services : word => service if service.scales }

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.this[each.key].name}"
  min_capacity       = 1
  max_capacity       = 4
}
