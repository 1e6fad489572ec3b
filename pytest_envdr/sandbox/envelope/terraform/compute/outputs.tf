output "cluster" {
  value = aws_ecs_cluster.this.name
}

output "services" {
  value = { for word, service in aws_ecs_service.this : word => service.name }
}

output "load_balancers" {
  value = { for word, row in aws_lb.this : word => { dns_name = row.dns_name, arn_suffix = row.arn_suffix } }
}

output "target_groups" {
  description = "What the metrics of each balanced service are told apart by."
  value = {
    for word, group in aws_lb_target_group.this : word => {
      arn_suffix    = group.arn_suffix
      load_balancer = aws_lb.this[local.services[word].balancer].arn_suffix
    }
  }
}

output "hosts" {
  value = local.hosts
}
