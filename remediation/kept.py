"""Values kept on the disk: of an estate of 100,000 keys, memory holds only where each one is.

The file has no name, so that nobody else opens it and it dies with the process. What is read back
equals what was put in, and is another object each time.
"""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar, overload

from .errors import BadInput
from .models import KeyArn

V = TypeVar("V")

_NUMBER: Final = "Q"
"""Eight bytes, without sign."""


class Kept(Sequence[V]):
    """A sequence on the disk. Threads may append at once. Raises BadInput for a full disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = array(_NUMBER, [0])
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as we live
        except OSError as error:
            raise _no_room(error) from error

    def append(self, value: V) -> int:
        """Keep one more value; returns its number."""
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            start = self._ends[-1]
            try:
                written = os.pwrite(self._file.fileno(), data, start)
                if written != len(data):
                    os.pwrite(self._file.fileno(), data[written:], start + written)
            except OSError as error:
                raise _no_room(error) from error
            self._ends.append(start + len(data))
            return len(self._ends) - 2

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> V: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[V]: ...
    def __getitem__(self, number: int | slice) -> V | Sequence[V]:
        if isinstance(number, slice):
            return Some(self, range(len(self))[number])
        number = range(len(self))[number]
        start, end = self._ends[number], self._ends[number + 1]
        data = os.pread(self._file.fileno(), end - start, start)
        value: V = pickle.loads(data)  # noqa: S301 - our own file, which no other process can open
        return value

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]


class Some(Sequence[V]):
    """Some values of a sequence, by their numbers, each got when it is asked for."""

    def __init__(self, of: Sequence[V], numbers: Sequence[int]) -> None:
        self._of = of
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, number: int) -> V: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[V]: ...
    def __getitem__(self, number: int | slice) -> V | Sequence[V]:
        if isinstance(number, slice):
            return Some(self._of, self._numbers[number])
        return self._of[self._numbers[number]]

    def __eq__(self, other: object) -> bool:
        return _equal(self, other)

    __hash__ = None  # type: ignore[assignment]


class ByKey(Mapping[KeyArn, V], Generic[V]):
    """The values of a sequence by key, each got when it is asked for."""

    def __init__(self, values: Sequence[V], numbers: dict[KeyArn, int]) -> None:
        self._values = values
        self._numbers = numbers

    def __getitem__(self, arn: KeyArn) -> V:
        return self._values[self._numbers[arn]]

    def __iter__(self) -> Iterator[KeyArn]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


def _equal(one: Sequence[V], other: object) -> bool:
    return (
        isinstance(other, Sequence)
        and len(one) == len(other)
        and all(a == b for a, b in zip(one, other, strict=True))
    )


def _no_room(error: OSError) -> BadInput:
    return BadInput(
        f"{tempfile.gettempdir()}: what was read cannot be kept there: {error.strerror}; make "
        "room, or name another folder in the variable TMPDIR"
    )
