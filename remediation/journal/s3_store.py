"""A journal in S3: one object per line, numbered without gaps, never overwritten.

The numbers keep writers apart: once a line is written, S3 rejects another line with its number. The
lock only tells people which run is writing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import RUN_AGAIN, BadInput, KeysweepError, Refused
from ..escape import short
from .bucket import Bucket, Taken
from .name import JournalName
from .s3_lock import Lock, take, way_out
from .store import JournalExists, LineNotWritten, Reading, Stamp

LINES: Final = "lines/"
_NUMBER: Final = re.compile("([0-9]{12})[.]json")
_AT_A_TIME: Final = 16
_BATCH: Final = 512


def object_name(number: int) -> str:
    """Name of a line's object. S3 lists numbers of a fixed width in order."""
    return f"{LINES}{number:012}.json"


@dataclass(frozen=True)
class S3Store:
    """A journal under `s3://BUCKET/PREFIX/`."""

    name: JournalName
    client: Callable[[], Any] = field(compare=False, repr=False)
    """S3 client with the credentials of the command, not of a role."""
    caller: Callable[[], str | None] = field(compare=False, repr=False, default=lambda: None)
    """ARN of the identity of these credentials, for the lock."""
    tears: bool = False
    """S3 never writes part of an object."""

    def __str__(self) -> str:
        return str(self.name)

    @property
    def bucket(self) -> Bucket:
        """The journal's objects."""
        return Bucket(self.name, self.client)

    @property
    def unlock(self) -> str:
        """The command that removes the lock of a killed run."""
        return way_out(self.bucket)

    def exists(self) -> bool:
        """Whether the journal has a line."""
        return any(self.bucket.sizes(LINES))

    def read(self, reading: Reading) -> Iterator[tuple[int, bytes]]:
        """Yield the lines. A missing number, or an object with another name, is damage."""
        bucket = self.bucket
        listed = list(self._listed(reading))
        if not (listed or reading.problems):
            raise BadInput(f"{self}: There is no journal. Fix: name the journal with --journal.")
        reading.stamp = _stamp(listed[-1][0] if listed else 0)
        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            for first in range(0, len(listed), _BATCH):
                some = listed[first : first + _BATCH]
                found = threads.map(lambda one: bucket.get(object_name(one[0]), one[1]), some)
                for (number, _), content in zip(some, found, strict=True):
                    if content is None:
                        reading.problems.append(f"line {number} is missing")
                    else:
                        yield number, _only_line(content.body)

    def _listed(self, reading: Reading) -> Iterator[tuple[int, int]]:
        """Yield the numbers and sizes of the lines."""
        expected = 1
        for name, size in self.bucket.sizes(LINES):
            found = _NUMBER.fullmatch(name)
            if found is None or int(found[1]) < expected:
                reading.problems.append(f"the object {short(LINES + name)} is not a journal line")
                continue
            number = int(found[1])
            reading.problems += [] if number == expected else [_missing(expected, number - 1)]
            yield number, size
            expected = number + 1

    def open(self, run: str) -> S3Appender:
        """Take the lock, and look up the number of the last line."""
        lock = take(self.bucket, run, self.caller)
        try:
            last = max((number for number, _ in self._listed(Reading())), default=0)
        except BaseException:
            lock.release()
            raise
        return S3Appender(self.bucket, lock, last)

    def create(self, run: str, lines: Sequence[bytes]) -> str | None:
        """Write the first line last, because a journal without it counts as damaged.

        Continues an interrupted copy of the same lines.
        """
        lock = take(self.bucket, run, self.caller)
        try:
            self._write_all({object_name(n): line for n, line in enumerate(lines, start=1)})
        except BaseException:
            lock.release()
            raise
        return lock.release()

    def _write_all(self, lines: dict[str, bytes]) -> None:
        bucket, first = self.bucket, object_name(1)
        found = {f"{LINES}{name}" for name, _ in bucket.sizes(LINES)}
        if not found <= lines.keys() - {first}:
            raise JournalExists(self)
        later = [name for name in lines if name != first]
        try:
            with ThreadPoolExecutor(_AT_A_TIME) as threads:
                for _ in threads.map(lambda name: bucket.put_new(name, lines[name]), later):
                    pass
            bucket.put_new(first, lines[first])
        except Taken as error:
            raise JournalExists(self) from error


class S3Appender:
    """A locked journal in S3."""

    fix: str = RUN_AGAIN

    def __init__(self, bucket: Bucket, lock: Lock, last: int) -> None:
        self._bucket = bucket
        self._lock = lock
        self._last = last

    @property
    def stamp(self) -> Stamp:
        return _stamp(self._last)

    def demand_room(self, size: int) -> None:
        """A bucket has no limit."""

    def is_torn(self) -> bool:
        """No line in S3 is incomplete."""
        return False

    def append(self, data: bytes) -> None:
        """Write the next line, unless another run has written it."""
        number = self._last + 1
        try:
            self._bucket.put_new(object_name(number), data)
        except Taken as error:
            raise LineNotWritten(f"another run has written line {number}", Refused) from error
        except KeysweepError as error:
            why, _, fix = str(error).partition(". Fix: ")
            raise LineNotWritten(
                why.removeprefix(f"{self._bucket.name}: "),
                type(error),
                fix if RUN_AGAIN in fix else f"{fix}, then {RUN_AGAIN}",
            ) from error
        self._last = number

    def close(self) -> str | None:
        """Release the lock."""
        return self._lock.release()


def _stamp(last: int) -> Stamp:
    return ("lines", last)


def _only_line(body: bytes) -> bytes:
    """The only line of an object; empty, which is not a valid line, if it has none or several."""
    return body[:-1] if body.find(b"\n") == len(body) - 1 else b""


def _missing(first: int, last: int) -> str:
    return f"line {first} is missing" if first == last else f"lines {first} to {last} are missing"
