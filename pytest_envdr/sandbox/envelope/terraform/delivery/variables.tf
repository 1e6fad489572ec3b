variable "prefix" {
  type = string
}

variable "account" {
  type = string
}

variable "standby_region" {
  type = string
}

variable "globals" {
  type = bool
}

variable "sources" {
  type = string
}

variable "artifacts" {
  type = string
}

variable "cluster" {
  type = string
}

variable "service" {
  type = string
}
