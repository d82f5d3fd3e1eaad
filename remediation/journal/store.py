"""The interface to a journal's storage: a file, or objects in a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import BadInput, KeysweepError

Stamp = tuple[int | str, ...]
"""State of a journal, which changes with each added line."""


@dataclass
class Reading:
    """What reading a journal yields besides its lines."""

    stamp: Stamp | None = None
    problems: list[str] = field(default_factory=list)
    """Damage that is visible without parsing lines."""


class JournalExists(BadInput):
    """The journal exists. It was not changed."""

    def __init__(self, path: object, *, rebuilt: bool = False) -> None:
        what, fix = "This journal exists", "name one that does not exist"
        if rebuilt:
            what = "This journal was rebuilt before"
            fix = "rebuild under another name, and use that journal in place of this one"
        super().__init__(f"{path}: {what}, and is never replaced. Nothing was done. Fix: {fix}.")


class LineNotWritten(Exception):
    """A line could not be written. The text is only the reason."""

    def __init__(
        self, why: str, kind: type[KeysweepError] = BadInput, fix: str | None = None
    ) -> None:
        super().__init__(why)
        self.kind = kind
        """The error to raise if this prevents a run from starting."""
        self.fix = fix
        """What to do. None: the appender's `fix`."""


class Appender(Protocol):
    """A journal that is open for writing and locked by this process."""

    fix: str
    """What to do if a line cannot be written."""

    @property
    def stamp(self) -> Stamp: ...

    def demand_room(self, size: int) -> None:
        """Raise BadInput if this many bytes cannot be added."""

    def is_torn(self) -> bool:
        """Whether the last line is incomplete. Raises LineNotWritten if it cannot be read."""

    def append(self, data: bytes) -> None:
        """Add a line, durably. Raises LineNotWritten."""

    def close(self) -> str | None:
        """Release the lock. Returns a message if that failed."""


class Store(Protocol):
    """The storage of a journal. Its text is the value of `--journal`."""

    @property
    def tears(self) -> bool:
        """Whether a killed run can leave an incomplete line."""

    @property
    def unlock(self) -> str | None:
        """The command that removes the lock of a killed run. None: the lock ends with its run."""

    def exists(self) -> bool:
        """Whether there is a journal."""

    def read(self, reading: Reading) -> Iterator[tuple[int, bytes]]:
        """Yield the lines without line feeds, numbered from 1.

        Raises BadInput if there is no journal, and AccessRefused if AWS refuses the request.
        """

    def open(self, run: str) -> Appender:
        """Take the lock for this run, and open the journal for writing.

        Raises Refused if another process holds the lock, BadInput, or AccessRefused.
        """

    def create(self, run: str, lines: Sequence[bytes]) -> str | None:
        """Write a new journal. An interruption leaves no journal, or a damaged one.

        `lines` end with line feeds. Returns a message if a lock could not be released. Raises
        JournalExists, and otherwise the errors of `open`.
        """
