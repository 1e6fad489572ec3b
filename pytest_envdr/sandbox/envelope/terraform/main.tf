# The stack, as its modules make it. A second Region is the same with other variables.

module "network" {
  source = "./network"

  prefix = var.prefix
  region = var.region
  cidr   = var.cidr
}

module "data" {
  source = "./data"

  prefix                  = var.prefix
  subnets                 = module.network.subnets["data"]
  security_group          = module.network.security_groups["data"]
  database_instance       = var.database_instance
  database_password       = var.database_password
  database_secret         = var.database_secret
  database_family         = var.database_family
  cache_family            = var.cache_family
  jobs_visibility_seconds = var.jobs_visibility_seconds
}

module "compute" {
  source = "./compute"

  prefix          = var.prefix
  region          = var.region
  globals         = var.globals
  vpc             = module.network.vpc
  subnets         = module.network.subnets
  security_groups = module.network.security_groups
  listener_port   = var.listener_port
  image           = var.image
  worker_command  = var.worker_command
  secret          = module.data.secret
  app_key         = var.app_key

  environment = merge(var.environment, {
    DB_HOST     = module.data.database.address
    DB_PORT     = tostring(module.data.database.port)
    DB_INSTANCE = module.data.database.id
    REDIS_HOST  = module.data.cache.address
    REDIS_PORT  = tostring(module.data.cache.port)
  })
}

module "storage" {
  source = "./storage"

  account      = var.account
  prefix       = var.prefix
  delivery     = var.delivery
  state_bucket = var.state_bucket
  lock_table   = var.lock_table
}

module "monitoring" {
  source = "./monitoring"

  prefix       = var.prefix
  database     = module.data.database.id
  target_group = module.compute.target_groups
}

module "backup" {
  source = "./backup"

  account  = var.account
  prefix   = var.prefix
  region   = var.region
  globals  = var.globals
  database = module.data.database.id
  hour     = var.backup_hour
}

module "delivery" {
  source = "./delivery"
  count  = var.delivery ? 1 : 0

  account        = var.account
  prefix         = var.prefix
  globals        = var.globals
  standby_region = var.standby_region
  sources        = module.storage.sources
  artifacts      = module.storage.artifacts
  cluster        = module.compute.cluster
  service        = module.compute.services["api"]
}

module "provisioner" {
  source = "./provisioner"

  account = var.account
  prefix  = var.prefix
  globals = var.globals
  package = var.provisioner_package
  topic   = module.monitoring.topic
}
