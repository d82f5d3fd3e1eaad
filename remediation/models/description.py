"""The description of a key."""

from __future__ import annotations

from typing import Final, Literal

from .base import Model, Time
from .keys import KeyArn

PENDING_DELETION: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})
"""Key states in which the deletion can be cancelled ("Key states of AWS KMS keys")."""


class KeyDescription(Model):
    """Response of DescribeKey, with AWS's names and values."""

    key_manager: str
    """`CUSTOMER` or `AWS`."""
    key_state: str
    """Key state, such as `Disabled` or `PendingDeletion`."""
    origin: str
    """Origin of the key material, such as `AWS_KMS` or `EXTERNAL`."""
    key_spec: str
    """Key spec, such as `SYMMETRIC_DEFAULT` or `RSA_2048`."""
    key_usage: str
    """Key usage, such as `ENCRYPT_DECRYPT` or `SIGN_VERIFY`."""
    creation_date: Time
    """When the key was created."""
    deletion_date: Time | None = None
    """When AWS deletes the key; only in state PendingDeletion."""
    pending_window_days: int | None = None
    """Waiting period in days; only in state PendingReplicaDeletion (a primary with replicas)."""
    custom_key_store_id: str | None = None
    """Custom key store of the key, if any."""
    multi_region_type: Literal["PRIMARY", "REPLICA"] | None = None
    """None for a single-Region key."""
    primary: KeyArn | None = None
    """Primary of the multi-Region set; can be the key itself."""
    replicas: tuple[KeyArn, ...] = ()
    """Replicas of the multi-Region set, sorted by ARN."""
    description: str = ""
    """Description of the key; empty if it has none."""
