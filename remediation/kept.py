"""Values kept apart from memory: of an estate of 100,000 keys it holds only where each one is.

A few thousand keys need no file. The file of more has no name, so that nobody else opens it and it
dies with the process. What is read back equals what was put in, and is another object each time.
"""

from __future__ import annotations

import pickle
import tempfile
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar, overload

from .errors import BadInput
from .models import KeyArn

V = TypeVar("V")

IN_MEMORY: Final = 8 << 20
"""Bytes of a sequence from which it is on the disk."""

_NUMBER: Final = "Q"
"""Eight bytes, without sign."""


class Kept(Sequence[V]):
    """A sequence on the disk. Threads may append and read at once.

    Raises BadInput for a full disk.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends = array(_NUMBER, [0])
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - as long as we live

    def append(self, value: V) -> int:
        """Keep one more value; returns its number."""
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        with self._lock:
            start = self._ends[-1]
            try:
                self._file.seek(start)
                self._file.write(data)
                self._file.flush()
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
        with self._lock:
            start, end = self._ends[number], self._ends[number + 1]
            self._file.seek(start)
            data = self._file.read(end - start)
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
