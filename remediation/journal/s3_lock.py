"""The lock of a journal in S3: an object that names its holder, which deletes it at the end.

A killed run leaves its lock. Only a person can find out that a run was killed, so no lock expires.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from ..errors import RUN_AGAIN, KeysweepError, Refused
from ..escape import short
from ..files import ascii_json
from ..models import SLIM, Time
from .bucket import Bucket, Content, Taken

LOCK: Final = "lock.json"


@dataclass(frozen=True, slots=True, kw_only=True, config=SLIM)
class Holder:
    """The run that writes to the journal, as recorded in the lock."""

    version: int = 1
    run: str
    """Id of the run, the same as in its lines."""
    caller: str | None = None
    """ARN of the identity that runs it, if AWS returned it."""
    host: str
    process: int
    since: Time
    """Start of the run, by the clock of the host."""

    def __str__(self) -> str:
        who = f"{self.caller or 'an unknown identity'} on {self.host}"
        return f"{short(who)}, process {self.process}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


_HOLDER: Final[TypeAdapter[Holder]] = TypeAdapter(Holder)


class Lock:
    """A lock that this process holds."""

    def __init__(self, bucket: Bucket, etag: str) -> None:
        self._bucket = bucket
        self._etag = etag

    def release(self) -> str | None:
        """Delete the lock, unless a person has. Returns a message if that failed."""
        try:
            self._bucket.delete(LOCK, self._etag)
        except KeysweepError as error:
            why, _, fix = str(error).partition(". Fix: ")
            first = "" if fix == RUN_AGAIN else f"{fix}, then "
            return f"{why}. The lock remains. Fix: {first}run {way_out(self._bucket)}"
        return None


def take(bucket: Bucket, run: str, caller: Callable[[], str | None]) -> Lock:
    """Take the lock. Raises Refused, which names its holder, AccessRefused or BadInput."""
    holder = Holder(
        run=run,
        caller=caller(),
        host=socket.gethostname(),
        process=os.getpid(),
        since=datetime.now(UTC),
    )
    body = ascii_json(_HOLDER.dump_json(holder, exclude_none=True).decode()).encode() + b"\n"
    try:
        return Lock(bucket, bucket.put_new(LOCK, body))
    except Taken as error:
        found = bucket.get(LOCK)
        by = "a run that has just ended" if found is None else describe(found)
        raise Refused(
            f"{bucket.name}: Another keysweep is writing to this journal: {by}. Nothing was done. "
            f"Fix: wait until it ends, or if it was killed, run {way_out(bucket)}"
        ) from error


def describe(found: Content) -> str:
    """Describe the holder of a lock."""
    try:
        return str(_HOLDER.validate_json(found.body))
    except ValueError:
        return "an unknown run, because the lock cannot be read"


def way_out(bucket: Bucket) -> str:
    """The command that removes the lock of a killed run."""
    return f"keysweep journal unlock {bucket.name}"
