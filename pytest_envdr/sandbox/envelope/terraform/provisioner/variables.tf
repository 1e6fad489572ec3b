variable "account" {
  type = string
}

variable "prefix" {
  type = string
}

variable "globals" {
  type = bool
}

variable "package" {
  type = string
}

variable "topic" {
  type = string
}
