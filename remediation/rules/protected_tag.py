"""The tag by which a key's owner says: keep it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import datetime

from ..models import Evidence, known
from ..policy import Policy
from . import Rule


def _plain(tag: str) -> str:
    """A tag name without its blanks and invisible characters, in one case and one width."""
    visible = (
        c for c in unicodedata.normalize("NFKC", tag) if unicodedata.category(c)[0] not in "ZC"
    )
    return "".join(visible).casefold()


def _check(evidence: Evidence, policy: Policy, _now: datetime) -> Iterator[str]:
    wanted = _plain(policy.protected_tag)
    for name, value in sorted(known(evidence.tags).items()):
        if _plain(name) == wanted:
            yield f"it is tagged {name!r} with the value {value!r}"


RULE = Rule(
    id="protected-tag",
    sentence=(
        "A tag is how an owner protects a key without touching the policy. Any value counts, and "
        "so does the name in another case or with blanks: people type tags by hand."
    ),
    clears="Remove the tag, once the owner agrees.",
    needs=("tags",),
    check=_check,
)
