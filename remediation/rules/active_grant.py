"""Keys with grants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, Grant, known
from ..policy import Policy
from ..wording import counted, first_few
from . import Rule, WhilePending


def _described(grant: Grant) -> str:
    operations = first_few(grant.operations)
    return f"{grant.grantee_principal} ({operations or 'no operation'})"


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    grants = known(evidence.grants)
    if grants:
        yield f"it has {counted(len(grants), 'grant')}: {first_few(map(_described, grants))}"


RULE = Rule(
    id="active-grant",
    sentence=(
        "AWS services keep a grant while a resource, such as a volume, database or table, uses the "
        "key. Disabling the key does not remove its grants."
    ),
    clears="Find the grant's resource and delete it, or revoke the grant.",
    needs=("grants",),
    while_pending=WhilePending.EVALUATE,
    check=_check,
)
