variable "account" {
  type = string
}

variable "prefix" {
  type = string
}

variable "delivery" {
  type = bool
}

variable "state_bucket" {
  type = string
}

variable "lock_table" {
  type = string
}
