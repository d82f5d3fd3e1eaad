resource "aws_kms_key" "sandbox" {
  count      = var.sandboxes
  is_enabled = false
}

variable "sandboxes" {
  type = number
}
