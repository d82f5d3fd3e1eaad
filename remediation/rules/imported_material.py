"""Keys with imported key material."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending
from .custom_key_store import ORIGINS


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    origin = known(evidence.description).origin
    if origin != "AWS_KMS" and origin not in ORIGINS:
        yield (
            f"its key material was imported (Origin {origin}); only its owner knows whether "
            "copies exist"
        )


RULE = Rule(
    id="imported-material",
    sentence=(
        "Imported key material may also exist outside AWS, but a new key with the same material "
        "cannot decrypt what the deleted key encrypted."
    ),
    clears="Ask the owner of the key material, then add an exception for this rule.",
    needs=("description",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
