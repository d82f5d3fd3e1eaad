"""AWS's request quotas: requests per second, for each operation in an account-Region.

Sources: "Request quotas" (AWS KMS Developer Guide), "Quotas in AWS CloudTrail" (AWS CloudTrail User
Guide), "IAM and AWS STS quotas" (IAM User Guide), and for the reads of the reference list each
service's own page of quotas. Where AWS publishes none, as for S3, a rate far below its limits. They
are defaults, which AWS raises on request. Other callers of the account use the same quotas.
"""

from __future__ import annotations

from typing import Final

PER_SECOND: Final[dict[str, float]] = {
    "kms:CancelKeyDeletion": 5,
    "kms:DescribeKey": 2000,
    "kms:EnableKey": 5,
    "kms:GetKeyLastUsage": 5,
    "kms:GetKeyPolicy": 1000,
    "kms:ListAliases": 500,
    "kms:ListGrants": 100,
    "kms:ListKeyRotations": 100,
    "kms:ListKeys": 500,
    "kms:ListResourceTags": 2000,
    "kms:ScheduleKeyDeletion": 15,
    "kms:TagResource": 10,
    "cloudtrail:LookupEvents": 2,
    "athena:GetWorkGroup": 5,
    "connect:ListInstanceStorageConfigs": 2,
    "dynamodb:DescribeBackup": 10,
    "dynamodb:DescribeTable": 100,
    "firehose:DescribeDeliveryStream": 5,
    "kinesis:DescribeStreamSummary": 20,
    "iam:GetAccountAuthorizationDetails": 2,
    "lambda:GetFunction": 100,
    "route53:GetDNSSEC": 4,
    "route53:ListHostedZones": 4,
    "s3:GetBucketEncryption": 100,
    "s3:GetBucketPolicy": 100,
    "s3:GetBucketReplication": 100,
    "s3:GetObject": 100,
    "s3:ListBucketInventoryConfigurations": 100,
    "s3:ListObjectsV2": 100,
    "s3:PutObject": 100,
    "sns:GetTopicAttributes": 30,
    "sqs:GetQueueAttributes": 100,
    "sts:AssumeRole": 600,
    "sts:GetCallerIdentity": 600,
}
"""By `service:Operation`, in boto3's names."""

OTHERWISE: Final = 20.0
"""For operations that are not listed: a modest rate for most services."""


def per_second(operation: str) -> float:
    """The quota of `service:Operation`."""
    return PER_SECOND.get(operation, OTHERWISE)
