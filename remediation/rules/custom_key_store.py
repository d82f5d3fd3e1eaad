"""Keys in an AWS CloudHSM or external key store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending

ORIGINS = frozenset({"AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"})
"""Origins of keys in a custom key store ("DescribeKey", AWS KMS API Reference)."""


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    description = known(evidence.description)
    store = description.custom_key_store_id
    if store is not None or description.origin in ORIGINS:
        yield f"it is in a custom key store ({store or 'unknown id'}, {description.origin})"


RULE = Rule(
    id="custom-key-store",
    sentence=(
        "The key material is outside KMS. Deleting the KMS key can leave material in the CloudHSM "
        "cluster, or break an agreement with an external key manager."
    ),
    clears=(
        "Delete the key yourself, together with the key store's owner, or add an exception for "
        "this rule."
    ),
    needs=("description",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
