"""The IAM action of an operation, where it is not `<signing name>:<Operation>`.

Source: "Actions, resources, and condition keys" of each service (AWS service authorization
reference).
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIXES: Mapping[str, str] = {
    "monitoring": "cloudwatch",
    "tagging": "tag",
    "email": "ses",
}

_ACTIONS: Mapping[str, str] = {
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3express:ListDirectoryBuckets": "s3express:ListAllMyDirectoryBuckets",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:PutBucketReplication": "s3:PutReplicationConfiguration",
    "s3:HeadObject": "s3:GetObject",
    "lambda:Invoke": "lambda:InvokeFunction",
    "cassandra:ListKeyspaces": "cassandra:Select",
    "cassandra:ListTables": "cassandra:Select",
    "cassandra:GetTable": "cassandra:Select",
    "dms:DescribeInstanceProfiles": "dms:ListInstanceProfiles",
}


def action_of(service: str, operation: str) -> str:
    """Return the IAM action of an operation of a service's signing name."""
    action = f"{_PREFIXES.get(service, service)}:{operation}"
    return _ACTIONS.get(action, action)
