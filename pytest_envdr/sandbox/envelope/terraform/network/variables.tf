variable "prefix" {
  type = string
}

variable "region" {
  type = string
}

variable "cidr" {
  type = string
}
