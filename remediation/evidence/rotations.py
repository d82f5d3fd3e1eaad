"""How often a key was rotated. Each of the first two rotations adds to its monthly cost."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import ClientError

from ..aws import Connection
from ..models import Cost, Evidence, KeyDescription, known
from .source import Source

PRICE: Final = 1.0
"""List price in US dollars a month of a key, enabled or disabled, and of each paid rotation
(AWS Key Management Service Pricing). Prices in China and GovCloud differ."""
PAID_ROTATIONS: Final = 2
"""The first and the second rotation add the price once each; later ones are free (same page)."""


def monthly_cost(evidence: Evidence) -> float:
    """The key's monthly cost in US dollars at list price; 0 while it is pending deletion.

    Each key of a multi-Region set counts separately. Rotations that could not be read count as
    none, so that savings are never too high.
    """
    description = evidence.description
    if not isinstance(description, KeyDescription) or description.key_manager != "CUSTOMER":
        return 0.0
    if description.key_state == "PendingDeletion":
        return 0.0
    rotations = evidence.rotations if isinstance(evidence.rotations, int) else 0
    return PRICE * (1 + min(rotations, PAID_ROTATIONS))


def _rotates(description: KeyDescription) -> bool:
    """Only symmetric encryption keys outside custom key stores have rotations
    ("ListKeyRotations", AWS KMS API Reference)."""
    return (
        description.key_spec == "SYMMETRIC_DEFAULT"
        and description.key_usage == "ENCRYPT_DECRYPT"
        and description.custom_key_store_id is None
    )


def _read(connection: Connection, evidence: Evidence) -> int:
    if not _rotates(known(evidence.description)):
        return 0
    pages = connection.client("kms").get_paginator("list_key_rotations")
    try:
        return sum(len(page["Rotations"]) for page in pages.paginate(KeyId=str(evidence.key_arn)))
    except ClientError as error:
        if error.response["Error"]["Code"] == "UnsupportedOperationException":
            return 0
        raise


SOURCE = Source(
    "rotations",
    Cost.KEY_CALL,
    ("kms:ListKeyRotations",),
    read_key=_read,
    after=("description",),
)
