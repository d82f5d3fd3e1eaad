"""Aliases that other keys got after this key was created. Reported only; never holds a key.

CloudTrail's event history ends after 90 days. For older moves, ListAliases shows only when the
alias was last associated with a key ("AliasListEntry", AWS KMS API Reference).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn, LaterAlias, LaterAliases, known
from .source import Source

SHOWN: Final = 20
"""How many to name for each key. The others are counted."""


class _Listed(NamedTuple):
    updated: datetime
    moved: bool
    """UpdateAlias changed it: it had another key before, or was set to the same key again."""
    alias: str
    key_id: str


def _listed(entries: Iterable[Mapping[str, Any]]) -> list[_Listed]:
    """Aliases that may have moved: those changed by UpdateAlias first, then the newest first."""
    found = [
        _Listed(
            updated=alias["LastUpdatedDate"],
            moved=alias["LastUpdatedDate"] > alias["CreationDate"],
            alias=alias["AliasName"],
            key_id=alias["TargetKeyId"],
        )
        for alias in entries
        # AWS reserves names for keys that do not exist yet; these have no target.
        if alias.get("TargetKeyId") and not alias["AliasName"].startswith("alias/aws/")
    ]
    return sorted(found, key=lambda one: (one.moved, one.updated, one.alias), reverse=True)


def _of_key(evidence: Evidence, listed: Iterable[_Listed]) -> LaterAliases:
    created = known(evidence.description).creation_date
    later = [o for o in listed if o.updated >= created and o.key_id != evidence.key_arn.key_id]
    return LaterAliases(
        count=len(later),
        newest=tuple(
            LaterAlias(alias=one.alias, key_id=one.key_id, updated=one.updated)
            for one in later[:SHOWN]
        ),
    )


def _read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, LaterAliases]:
    pages = connection.client("kms").get_paginator("list_aliases").paginate()
    listed = _listed(alias for page in pages for alias in page["Aliases"])
    return {evidence.key_arn: _of_key(evidence, listed) for evidence in group}


SOURCE = Source(
    "later_aliases",
    Cost.KEY_CALL,
    ("kms:ListAliases",),
    read_account_region=_read,
    after=("description",),
)
