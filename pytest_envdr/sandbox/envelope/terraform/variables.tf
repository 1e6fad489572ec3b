variable "endpoint" {
  description = "The URL of an API that is not AWS's own; empty on AWS."
  type        = string
  default     = ""
}

variable "account" {
  description = "The account that all of this may be built in, and no other."
  type        = string
}

variable "region" {
  description = "The Region to build in."
  type        = string
}

variable "prefix" {
  description = "What all names begin with. A load balancer's name has at most 32 characters."
  type        = string
  default     = "envelope-prod"

  validation {
    condition     = length(var.prefix) <= 23
    error_message = "With \"-internal\" behind it, the prefix must fit in the 32 characters of a load balancer's name."
  }
}

variable "cidr" {
  description = "The VPC's addresses, a /16. Those of two Regions must not overlap."
  type        = string
}

variable "globals" {
  description = "Whether to make what an account has once (IAM roles). A second Region takes those of the first."
  type        = bool
  default     = true
}

variable "delivery" {
  description = "Whether to make what ships to production: registry, build, pipeline and their buckets."
  type        = bool
  default     = true
}

variable "standby_region" {
  description = "Where images are replicated to; empty for nowhere."
  type        = string
  default     = ""
}

variable "database_instance" {
  description = "A database instance that is there already, such as one restored from a backup; empty to make one."
  type        = string
  default     = ""
}

variable "database_password" {
  description = "Needed to make an instance; nobody can read it back, so it is left out for one that is there."
  type        = string
  default     = null
  sensitive   = true
}

variable "database_secret" {
  description = "A secret that is there already, such as a replica of another Region's; empty to make one."
  type        = string
  default     = ""
}

variable "database_family" {
  description = "The family of the database's parameter group."
  type        = string
  default     = "mariadb10.11"
}

variable "cache_family" {
  description = "The family of the cache's parameter group."
  type        = string
  default     = "redis7"
}

variable "image" {
  description = "What the tasks run: <registry>/<repository>:<tag>, or @<digest>."
  type        = string
}

variable "app_key" {
  description = "The application's APP_KEY: what it encrypted, it decrypts with the same one only."
  type        = string
  sensitive   = true
}

variable "environment" {
  description = "The application's other settings, by the name of the variable."
  type        = map(string)
}

variable "worker_command" {
  description = "What the workers run."
  type        = list(string)
}

variable "listener_port" {
  description = "What the load balancers listen on."
  type        = number
  default     = 8080
}

variable "jobs_visibility_seconds" {
  description = "How long a job that was taken from SQS stays hidden; 0 where the queue is in Redis."
  type        = number
  default     = 0
}

variable "backup_hour" {
  description = "The hour (UTC) of the daily backup."
  type        = number
  default     = 3
}

variable "state_bucket" {
  description = "The bucket with this state, where it is this state that keeps it; empty where another does."
  type        = string
  default     = ""
}

variable "lock_table" {
  description = "The DynamoDB table that locks this state; empty where a file in the bucket does."
  type        = string
  default     = ""
}

variable "provisioner_package" {
  description = "The zip file with the function that makes a tenant's bucket."
  type        = string
}

variable "tags" {
  description = "Tags of everything, beside those that say who manages it."
  type        = map(string)
  default     = {}
}
