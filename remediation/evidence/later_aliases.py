"""Aliases on other keys that got their key after this one was created: information for review.

CloudTrail's event history ends after 90 days. Of an older move ListAliases shows only its date:
when the alias was last associated with a key ("AliasListEntry", AWS KMS API Reference).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn, LaterAlias, LaterAliases, known
from .source import Source

SHOWN: Final = 20
"""How many are named for each key; the others are counted."""


class _Listed(NamedTuple):
    updated: datetime
    moved: bool
    """By UpdateAlias: it had another key since its creation, or was set to the same one again."""
    alias: str
    key_id: str


def _listed(entries: Iterable[Mapping[str, Any]]) -> list[_Listed]:
    """Those that may have moved, UpdateAlias's first and the newest of each first."""
    found = [
        _Listed(
            updated=alias["LastUpdatedDate"],
            moved=alias["LastUpdatedDate"] > alias["CreationDate"],
            alias=alias["AliasName"],
            key_id=alias["TargetKeyId"],
        )
        for alias in entries
        # AWS reserves names for keys that do not exist yet: those have no target.
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
