variable "prefix" {
  type = string
}

variable "region" {
  type = string
}

variable "globals" {
  type = bool
}

variable "vpc" {
  type = string
}

variable "subnets" {
  type = map(list(string))
}

variable "security_groups" {
  type = map(string)
}

variable "listener_port" {
  type = number
}

variable "image" {
  type = string
}

variable "worker_command" {
  type = list(string)
}

variable "secret" {
  type = string
}

variable "app_key" {
  type      = string
  sensitive = true
}

variable "environment" {
  type = map(string)
}
