# Notify when something tries to use a KMS key that is pending deletion.
# Use it in every Region where keys wait. It needs a trail that logs management events and does not
# leave out those of KMS; give the trail's log group in the one Region where that group is.

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.31"
    }
  }
}

variable "topic_encryption_key_arn" {
  description = "ARN of a KMS key for the topic, which lets CloudWatch and EventBridge use it; null for none."
  type        = string
  default     = null
}

variable "email_address" {
  description = "Address to notify; null when the topic is subscribed to in another way."
  type        = string
  default     = null
}

variable "trail_log_group_name" {
  description = "Log group of the trail, where it is in this Region; null for no alarm on it."
  type        = string
  default     = null
}

data "aws_caller_identity" "current" {}

resource "aws_sns_topic" "this" {
  name_prefix       = "pending-key-use-"
  display_name      = "Use of a KMS key that is pending deletion"
  kms_master_key_id = var.topic_encryption_key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "NotifyFromThisAccount"
      Effect    = "Allow"
      Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count     = var.email_address == null ? 0 : 1
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = var.email_address
}

# In this state a rule gets reads as well, such as GetPublicKey ("Receiving read-only management
# events from AWS services", Amazon EventBridge User Guide).
resource "aws_cloudwatch_event_rule" "this" {
  name_prefix = "pending-key-use-"
  description = "Attempt to use a KMS key that is pending deletion"
  state       = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
  event_pattern = jsonencode({
    source      = ["aws.kms"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      eventSource  = ["kms.amazonaws.com"]
      errorMessage = [{ suffix = "is pending deletion." }]
    }
  })
}

resource "aws_cloudwatch_event_target" "notify" {
  rule = aws_cloudwatch_event_rule.this.name
  arn  = aws_sns_topic.this.arn
}

# The pattern of "Create an alarm that detects use of a KMS key pending deletion", AWS KMS Developer
# Guide.
resource "aws_cloudwatch_log_metric_filter" "this" {
  count          = var.trail_log_group_name == null ? 0 : 1
  name           = "pending-key-use"
  log_group_name = var.trail_log_group_name
  pattern        = "{ $.eventSource = kms* && $.errorMessage = \"* is pending deletion.\" }"

  metric_transformation {
    namespace = "Keysweep"
    name      = "PendingKeyUseAttempts"
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  count               = var.trail_log_group_name == null ? 0 : 1
  alarm_name          = "pending-key-use"
  alarm_description   = "Attempt to use a KMS key that is pending deletion"
  namespace           = "Keysweep"
  metric_name         = "PendingKeyUseAttempts"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
}

output "topic_arn" {
  description = "Where the notifications go."
  value       = aws_sns_topic.this.arn
}
