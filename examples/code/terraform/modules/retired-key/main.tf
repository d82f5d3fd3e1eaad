resource "aws_kms_key" "this" {
  description             = "Of a service that was shut down"
  is_enabled              = false
  deletion_window_in_days = 30
}
