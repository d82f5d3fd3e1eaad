"""The profile `ordinary`: accounts that are refused as real ones are, and the truth about each key.

The refusals are those of `ordinary.yaml`. A key is dead or needed, whatever AWS shows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .refusals import Row, table

ROLE = "Auditor"
"""A role of every account, which the others' operators may assume."""

QUIET = "111122223333"
"""Only absences: services that are not in the Region, or that were never enabled."""
REFUSED = "222233334444"
"""Every class of refusal. No key that it has is needed, but one."""
CLOSED_LATER = "333344445555"
"""Barred from a service in each Region, after it had used it."""
RESTRICTED = "444455556666"
"""A service control policy closes one of its Regions, which it has enabled."""
OPT_IN = "555566667777"
"""Has enabled a Region that refuses the caller's token."""
UNREACHED = "777788889999"
"""Is in a Region in which one host cannot be found."""
UNPERMITTED = "666677778888"
"""Its role lacks one permission."""

LACKED = "kendra:ListIndices"
CLOSED_REGION = "us-west-2"
OPT_IN_REGION = "me-south-1"

CLASSES = ("absent", "not-in-region", "never-enabled", "closed", "organization", "unclear")
REFUSING_REGIONS = ("eu-central-1", "eu-north-1", "eu-west-1", "us-west-1")
UNREACHED_REGION = "us-east-2"
"""Has a host without a record, of a service that AWS's list names."""


@dataclass(frozen=True)
class Truth:
    """What is true of a disabled key."""

    account: str
    region: str
    name: str
    needed_by: str | None = None
    """What needs the key; None: the key is dead."""
    resources: tuple[Mapping[str, Any], ...] = ()
    """How the scenario describes what needs it."""
    refused: tuple[str, str] | None = None
    """Service and operation that would show the resource, and are closed to the account now."""


TRUTH = (
    Truth(QUIET, "eu-west-3", "dead-1"),
    Truth(QUIET, "eu-west-3", "dead-2"),
    Truth(QUIET, "us-west-1", "dead-3"),
    Truth(QUIET, "eu-west-3", "volume", "an EBS volume", ({"type": "ebs_volume"},)),
    *(Truth(REFUSED, region, f"dead-{region}") for region in REFUSING_REGIONS),
    Truth(REFUSED, "eu-west-1", "queue", "an SQS queue", ({"type": "sqs_queue"},)),
    Truth(
        CLOSED_LATER,
        "eu-west-1",
        "search",
        "an index of Kendra",
        (
            {
                "answer": "kendra.ListIndices",
                "with": {"IndexConfigurationSummaryItems": [{"Id": "i"}]},
            },
            {
                "answer": "kendra.DescribeIndex",
                "with": {"Id": "i", "ServerSideEncryptionConfiguration": {"KmsKeyId": "{key}"}},
            },
        ),
        ("kendra", "ListIndices"),
    ),
    Truth(
        CLOSED_LATER,
        "us-east-1",
        "measurements",
        "a database of Timestream for LiveAnalytics",
        (
            {
                "answer": "timestream-write.ListDatabases",
                "with": {"Databases": [{"DatabaseName": "m", "KmsKeyId": "{key}"}]},
            },
        ),
        ("timestream-write", "ListDatabases"),
    ),
    Truth(
        CLOSED_LATER,
        "eu-central-1",
        "scratch",
        "a file cache of FSx",
        (
            {
                "answer": "fsx.DescribeFileCaches",
                "with": {"FileCaches": [{"FileCacheId": "fc-1", "KmsKeyId": "{key}"}]},
            },
        ),
        ("fsx", "DescribeFileCaches"),
    ),
    Truth(
        CLOSED_LATER,
        "ca-central-1",
        "evidence",
        "assessments that Audit Manager kept when the account deregistered",
        (
            {
                "answer": "auditmanager.GetSettings",
                "with": {"settings": {"kmsKey": "{key}"}},
            },
        ),
        ("auditmanager", "GetSettings"),
    ),
    Truth(
        CLOSED_LATER,
        "us-west-2",
        "classifier",
        "a custom classifier of Comprehend",
        (
            {
                "answer": "comprehend.ListDocumentClassifiers",
                "with": {
                    "DocumentClassifierPropertiesList": [
                        {"DocumentClassifierArn": "c", "ModelKmsKeyId": "{key}"}
                    ]
                },
            },
        ),
        ("comprehend", "ListDocumentClassifiers"),
    ),
    Truth(
        CLOSED_LATER,
        "ap-southeast-1",
        "camera",
        "a stream processor of Rekognition",
        (
            {
                "answer": "rekognition.ListStreamProcessors",
                "with": {"StreamProcessors": [{"Name": "p"}]},
            },
            {
                "answer": "rekognition.DescribeStreamProcessor",
                "with": {"Name": "p", "KmsKeyId": "{key}"},
            },
        ),
        ("rekognition", "ListStreamProcessors"),
    ),
    Truth(RESTRICTED, "eu-west-1", "dead-restricted"),
    Truth(OPT_IN, "eu-west-1", "dead-opt-in"),
    Truth(UNPERMITTED, "eu-west-1", "dead-unpermitted"),
    Truth(UNREACHED, UNREACHED_REGION, "dead-unreached"),
)


def scenario() -> dict[str, Any]:
    """The accounts, as `EmbeddedAws` takes them."""
    accounts: dict[str, dict[str, Any]] = {
        account: {"roles": {ROLE: {}}, "regions": {}} for account in {one.account for one in TRUTH}
    }
    for one in TRUTH:
        region = accounts[one.account]["regions"].setdefault(
            one.region, {"keys": [], "resources": [], "refusals": []}
        )
        region["keys"].append(
            {
                "name": one.name,
                "state": "Disabled",
                "created_days_ago": 900,
                "disabled_days_ago": 400,
            }
        )
        region["resources"] += [{"key": one.name, **resource} for resource in one.resources]
        if one.refused is not None:
            region["refusals"].append(_refusal(*one.refused))
    accounts[QUIET]["refused"] = ["absent"]
    accounts[REFUSED]["refused"] = list(CLASSES)
    accounts[RESTRICTED]["regions"][CLOSED_REGION] = {}
    accounts[RESTRICTED]["service_control_policies"] = [{"Statement": [_CLOSE_REGION]}]
    accounts[OPT_IN]["regions"][OPT_IN_REGION] = {"refuses_tokens": True}
    accounts[UNPERMITTED]["roles"] = {ROLE: {"policies": [{"Statement": [_ALL_BUT_ONE]}]}}
    return {"accounts": dict(sorted(accounts.items()))}


def row_of(service: str, operation: str, region: str | None = None) -> Row:
    """The first row of an operation, or its row of a Region."""
    return next(
        row
        for row in table().rows
        if (row.service, row.operation) == (service, operation)
        and (region is None or row.seen_in(region))
    )


def _refusal(service: str, operation: str) -> dict[str, Any]:
    """A row's refusal, wherever it was seen."""
    row = row_of(service, operation)
    return {
        name: getattr(row, name) for name in ("service", "operation", "code", "message", "status")
    }


_CLOSE_REGION = {
    "Effect": "Deny",
    "NotAction": ["iam:*", "organizations:*", "route53:*", "s3:ListAllMyBuckets", "sts:*"],
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:RequestedRegion": [CLOSED_REGION]}},
}

_ALL_BUT_ONE = {"Effect": "Allow", "NotAction": [LACKED], "Resource": "*"}
