"""Who tried to use a key, allowed or refused: CloudTrail by key, the dearest evidence.

The history is asked by the key's ARN. Whether CloudTrail files every refused call under its key is
not documented: presence is proof, absence is weak.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from ..aws import Connection
from ..models import Cost, Evidence, UseAttempts
from . import Source
from ._cloudtrail import KEPT, is_use, lookup


def _read(connection: Connection, evidence: Evidence, start: datetime | None = None) -> UseAttempts:
    since = connection.clock.now() - KEPT if start is None else start
    for page in lookup(connection, "ResourceName", str(evidence.key_arn), start):
        attempts = tuple(event.attempt() for event in page.events if is_use(event, evidence))
        if attempts:
            # The newest decide; a key in heavy use has millions of older ones, at 100 a second.
            return UseAttempts(since=since, attempts=attempts, all_read=page.is_last)
    return UseAttempts(since=since)


def _source(start: datetime | None = None) -> Source:
    return Source(
        "use_attempts",
        Cost.EVENT_KEY,
        ("cloudtrail:LookupEvents",),
        read_key=partial(_read, start=start),
        since=_source,
    )


SOURCE = _source()
