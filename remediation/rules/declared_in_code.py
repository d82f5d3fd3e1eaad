"""Keys that infrastructure code declares."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    for declaration in known(evidence.declarations).found:
        sources = [declaration.source]
        if declaration.file is not None:
            position = declaration.position
            sources = [position] if declaration.source == declaration.file else [*sources, position]
        owner = f"{declaration.owner} ({', '.join(sources)})"
        yield f"{declaration.tool} owns it: {owner}; {declaration.fix}"


RULE = Rule(
    id="declared-in-code",
    sentence=(
        "The code must change first. Otherwise Terraform creates the key again, Ansible cancels "
        "its deletion, and CloudFormation drifts."
    ),
    clears="Remove the key from the code, apply the change, and plan again.",
    needs=("declarations",),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
