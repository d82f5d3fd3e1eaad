"""Aliases of keys, from one listing for each account-Region, or for a single key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn
from .source import Source


def _read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, tuple[str, ...]]:
    by_id: dict[str, set[str]] = {}
    # `apply` reads each key by itself; listing all aliases each time would be slow.
    of_one = {"KeyId": str(group[0].key_arn)} if len(group) == 1 else {}
    for page in connection.client("kms").get_paginator("list_aliases").paginate(**of_one):
        for alias in page["Aliases"]:
            # AWS reserves names for keys that do not exist yet; these have no target.
            if target := alias.get("TargetKeyId"):
                by_id.setdefault(target, set()).add(alias["AliasName"])
    return {e.key_arn: tuple(sorted(by_id.get(e.key_arn.key_id, ()))) for e in group}


SOURCE = Source("aliases", Cost.KEY_CALL, ("kms:ListAliases",), read_account_region=_read)
