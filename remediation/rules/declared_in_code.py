"""Keys that infrastructure code owns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule


def _check(evidence: Evidence, _policy: Policy, _now: datetime) -> Iterator[str]:
    for declaration in known(evidence.declarations).found:
        where = [declaration.source]
        if declaration.file is not None:
            place = f"{declaration.file}:{declaration.line}"
            where = [place] if declaration.source == declaration.file else [*where, place]
        told = f"{declaration.owner} ({', '.join(where)})"
        yield f"{declaration.tool} owns it: {told}; {declaration.fix}"


RULE = Rule(
    id="declared-in-code",
    sentence=(
        "Code first: Terraform would create the key again, Ansible cancel its deletion, and "
        "CloudFormation drift."
    ),
    clears="Take the key out of the code, apply that, and plan again.",
    needs=("declarations",),
    check=_check,
)
