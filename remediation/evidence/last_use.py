"""A key's last use as KMS tracks it, since 23 April 2026 (GetKeyLastUsage)."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from ..aws import Connection
from ..models import Cost, Evidence, LastUse, Unreadable
from .source import Source

SINCE_BOTO3: Final = "1.42.97"
"""First version with the operation."""


def _read(connection: Connection, evidence: Evidence) -> LastUse | Unreadable:
    kms = connection.client("kms")
    if not hasattr(kms, "get_key_last_usage"):
        return Unreadable(
            unreadable=f"boto3 {version('boto3')} does not have GetKeyLastUsage. "
            f"Fix: install boto3 {SINCE_BOTO3} or later"
        )
    answer = kms.get_key_last_usage(KeyId=str(evidence.key_arn))
    usage = answer.get("KeyLastUsage") or {}
    if not usage:
        never = answer["KeyCreationDate"] >= answer["TrackingStartDate"]
        return LastUse(tracking_start=answer["TrackingStartDate"], never=never)
    return LastUse(
        used=usage["Timestamp"],
        operation=usage.get("Operation"),
        tracking_start=answer["TrackingStartDate"],
    )


SOURCE = Source("last_use", Cost.LAST_USE, ("kms:GetKeyLastUsage",), read_key=_read)
