"""Names that are the same in every run: partitions, ARNs, key ids, access keys and variables."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import uuid

_NAMESPACE = uuid.UUID("6f3c2a5e-3d0c-5b5e-9a53-6b6579737765")
KEY_ID = re.compile(r"(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
ACCOUNT_ID = re.compile(r"\d{12}")
OPERATOR = "operator"
"""IAM user of every account whose static credentials the scenario hands out."""


def partition(region: str) -> str:
    """Return the partition a Region belongs to: aws, aws-cn or aws-us-gov."""
    if region.startswith("cn-"):
        return "aws-cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov"
    return "aws"


def key_id(account: str, region: str, name: str, multi_region: bool = False) -> str:
    """Return the id of the scenario's key `name`; a replica carries its primary's Region here."""
    identifier = uuid.uuid5(_NAMESPACE, f"{account}/{region}/{name}")
    return f"mrk-{identifier.hex}" if multi_region else str(identifier)


def key_arn(account: str, region: str, identifier: str) -> str:
    """Return a key's ARN from its id."""
    return f"arn:{partition(region)}:kms:{region}:{account}:key/{identifier}"


def alias_arn(account: str, region: str, alias: str) -> str:
    """Return the ARN of an alias, whose name begins with `alias/`."""
    return f"arn:{partition(region)}:kms:{region}:{account}:{alias}"


def access_key(account: str) -> tuple[str, str]:
    """Return access key id and secret of the operator of an account of the scenario."""
    return f"AKIA{_letters('key/' + account)}", _letters("secret/" + account) * 2


def environment(endpoint: str, region: str, key: str, secret: str) -> dict[str, str]:
    """Return the variables that make AWS's SDKs call a server with these credentials, and no other.

    Nothing in them can reach the real AWS: no profile, no shared files, no metadata service.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def user_arn(account: str, region: str) -> str:
    """Return the ARN of the account's operator in the Region's partition."""
    return f"arn:{partition(region)}:iam::{account}:user/{OPERATOR}"


def role_arn(account: str, role: str, region: str = "us-east-1") -> str:
    """Return the ARN of a role."""
    return f"arn:{partition(region)}:iam::{account}:role/{role}"


def _letters(seed: str) -> str:
    return base64.b32encode(hashlib.sha256(seed.encode()).digest())[:16].decode()
