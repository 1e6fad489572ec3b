variable "prefix" {
  type = string
}

variable "subnets" {
  type = list(string)
}

variable "security_group" {
  type = string
}

variable "database_instance" {
  type = string
}

variable "database_password" {
  type      = string
  sensitive = true
}

variable "database_secret" {
  type = string
}

variable "database_family" {
  type = string
}

variable "cache_family" {
  type = string
}

variable "jobs_visibility_seconds" {
  type = number
}
