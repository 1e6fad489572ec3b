variable "account" {
  type = string
}

variable "prefix" {
  type = string
}

variable "region" {
  type = string
}

variable "globals" {
  type = bool
}

variable "database" {
  type = string
}

variable "hour" {
  type = number
}
