output "load_balancers" {
  description = "Where the load balancers answer, by name."
  value       = { for word, row in module.compute.load_balancers : word => row.dns_name }
}

output "hosts" {
  description = "The host names that they route by, by service."
  value       = module.compute.hosts
}

output "database" {
  description = "The database instance's identifier, and where it answers."
  value       = module.data.database
}

output "cache" {
  description = "Where the cache's primary answers."
  value       = module.data.cache
}

output "cluster" {
  description = "The cluster that the services run in."
  value       = module.compute.cluster
}

output "topic" {
  description = "The topic that the alarms speak to."
  value       = module.monitoring.topic
}
