"""Keys in a CloudHSM or external key store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule

ORIGINS = frozenset({"AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"})
"""Origins of keys in a custom key store ("DescribeKey", AWS KMS API Reference)."""


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    description = known(evidence.description)
    store = description.custom_key_store_id
    if store is not None or description.origin in ORIGINS:
        yield f"it lives in a custom key store ({store or 'no id given'}, {description.origin})"


RULE = Rule(
    id="custom-key-store",
    sentence=(
        "A key in a custom key store has its material outside of KMS: deleting it leaves material "
        "behind in the cluster, or ends an agreement with an outside key manager."
    ),
    clears="Retire it together with the owner of the key store, by hand; or accept the rule.",
    needs=("description",),
    check=_check,
)
