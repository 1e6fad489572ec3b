variable "prefix" {
  type = string
}

variable "database" {
  type = string
}

variable "target_group" {
  type = map(object({ arn_suffix = string, load_balancer = string }))
}
