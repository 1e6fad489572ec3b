# Load balancers: a public one and an internal one, routing by host name.

locals {
  balancers = {
    public   = { internal = false, tier = "public" }
    internal = { internal = true, tier = "private" }
  }

  balanced = { for word, service in local.services : word => service if service.balancer != null }
}

resource "aws_lb" "this" {
  for_each = local.balancers

  name               = "${var.prefix}-${each.key}"
  load_balancer_type = "application"
  internal           = each.value.internal
  subnets            = var.subnets[each.value.tier]
  security_groups    = [var.security_groups["public"]]
}

resource "aws_lb_target_group" "this" {
  for_each = local.balanced

  name                 = "${var.prefix}-${each.key}"
  vpc_id               = var.vpc
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = local.port
  deregistration_delay = 30

  health_check {
    path                = "/up"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "this" {
  for_each = aws_lb.this

  load_balancer_arn = each.value.arn
  protocol          = "HTTP"
  port              = var.listener_port

  default_action {
    type = "fixed-response"

    fixed_response {
      status_code  = "404"
      content_type = "text/plain"
      message_body = "no such host"
    }
  }
}

resource "aws_lb_listener_rule" "this" {
  for_each = local.balanced

  listener_arn = aws_lb_listener.this[each.value.balancer].arn
  priority     = each.value.priority

  condition {
    host_header {
      values = [local.hosts[each.key]]
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }
}
