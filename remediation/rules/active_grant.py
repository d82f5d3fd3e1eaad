"""Keys with grants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, Grant, known
from ..policy import Policy
from . import Rule
from ._words import named


def _told(grant: Grant) -> str:
    operations = named(list(grant.operations))
    return f"{grant.grantee_principal} ({operations or 'no operation'})"


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    grants = known(evidence.grants)
    if grants:
        count = "a grant" if len(grants) == 1 else f"{len(grants)} grants"
        yield f"it has {count}: {named([_told(grant) for grant in grants])}"


RULE = Rule(
    id="active-grant",
    sentence=(
        "AWS services hold a grant for as long as a resource uses the key: a volume, a database, "
        "a table. Grants stay while the key is disabled."
    ),
    clears="Find the resource behind the grant and delete it, or revoke the grant.",
    needs=("grants",),
    check=_check,
)
