"""AWS's request quotas as data: requests a second, of each operation in an account and Region.

Sources: "Request quotas" (AWS KMS Developer Guide), "Quotas in AWS CloudTrail" (AWS CloudTrail User
Guide), "IAM and AWS STS quotas" (IAM User Guide). They are defaults, which AWS raises on request,
and every other caller of the account takes from them too.
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
    "sts:AssumeRole": 600,
    "sts:GetCallerIdentity": 600,
}
"""By `service:Operation`, both as boto3 names them."""

OTHERWISE: Final = 20.0
"""For an operation that is not listed: polite for the listings of most services."""


def per_second(operation: str) -> float:
    """The quota of `service:Operation`."""
    return PER_SECOND.get(operation, OTHERWISE)
