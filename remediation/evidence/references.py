"""Resources of other services that name the key: the only wide read, made once an account-Region.

What is asked stands in `policies/key_references.yaml`; what cannot be read is a gap with its name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from ..aws import Place
from ..models import Cost, Evidence, KeyArn, References
from . import Source
from .reference_index import Index, references_to
from .reference_list import reference_list
from .reference_scan import REGIONS_PERMISSION, scan_account, scan_region

if TYPE_CHECKING:
    from botocore.session import Session


class _Scans:
    """The indexes of one account, each made once however many threads ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Future[Index]] = {}

    def get(self, name: str, make: Callable[[], Index]) -> Index:
        with self._lock:
            future = self._made.get(name)
            mine = future is None
            if future is None:
                future = self._made[name] = Future()
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()


_scans: Final[WeakKeyDictionary[Session, _Scans]] = WeakKeyDictionary()
"""By session: a run has one for each account, and a later run looks afresh."""
_scans_lock: Final = threading.Lock()


def _read(place: Place, asked: Sequence[Evidence]) -> Mapping[KeyArn, References]:
    with _scans_lock:
        scans = _scans.setdefault(place.session, _Scans())
    references = reference_list()
    indexes = (
        scans.get(place.region, lambda: scan_region(place, references)),
        scans.get("", lambda: scan_account(place, references)),
    )
    return {
        evidence.key_arn: references_to(evidence.key_arn, evidence.aliases, indexes)
        for evidence in asked
    }


def _permissions() -> tuple[str, ...]:
    return *reference_list().permissions(), REGIONS_PERMISSION


SOURCE = Source(
    "references",
    Cost.PLACE_SCAN,
    _permissions,
    read_place=_read,
    after=("aliases",),
)
