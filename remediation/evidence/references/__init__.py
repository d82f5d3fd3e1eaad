"""Resources that name a key, from one scan of each account-Region.

`policies/key_references.yaml` lists the calls. A service that could not be read is a coverage gap.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from ...aws import Connection
from ...models import Cost, Evidence, KeyArn, References
from ..once import Once
from ..source import Source
from .absence import LIST_PERMISSION
from .entries import REGIONS_PERMISSION, reference_list
from .index import Index, references_to

if TYPE_CHECKING:
    from botocore.session import Session

_scans: Final[WeakKeyDictionary[Session, Once[Index]]] = WeakKeyDictionary()
"""Indexes by session, each computed once. A session belongs to one account and one run."""
_scans_lock: Final = threading.Lock()


def _read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, References]:
    from .scan import scan_account, scan_region

    with _scans_lock:
        scans = _scans.setdefault(connection.session, Once())
    references = reference_list()
    indexes = (
        scans.get(connection.region, lambda: scan_region(connection, references)),
        scans.get("", lambda: scan_account(connection, references)),
    )
    return {
        evidence.key_arn: references_to(evidence.key_arn, evidence.aliases, indexes)
        for evidence in group
    }


def _permissions() -> tuple[str, ...]:
    return *reference_list().permissions(), REGIONS_PERMISSION, LIST_PERMISSION


SOURCE = Source(
    "references",
    Cost.ACCOUNT_REGION_SCAN,
    _permissions,
    read_account_region=_read,
    after=("aliases",),
)
