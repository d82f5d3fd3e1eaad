"""Keys whose material was brought by the customer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule
from .custom_key_store import ORIGINS


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    origin = known(evidence.description).origin
    if origin != "AWS_KMS" and origin not in ORIGINS:
        yield f"its material was imported (Origin {origin}); only its owner knows about copies"


RULE = Rule(
    id="imported-material",
    sentence=(
        "Imported material exists outside of AWS too. A new key with the same material does not "
        "decrypt what the deleted one encrypted."
    ),
    clears="Ask the owner of the material; then accept the rule for this key.",
    needs=("description",),
    check=_check,
)
