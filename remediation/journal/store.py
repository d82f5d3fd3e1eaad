"""The interface between journals and where they are kept: a file, or objects in a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import BadInput, KeysweepError

Stamp = tuple[int | str, ...]
"""State of a journal: it changes whenever a line is added."""


@dataclass
class Reading:
    """What else was found while the lines of a journal were read."""

    stamp: Stamp | None = None
    problems: list[str] = field(default_factory=list)
    """Damage that shows without a look into the lines."""


class JournalExists(BadInput):
    """There is a journal already; it was not changed."""

    def __init__(self, path: object, *, rebuilt: bool = False) -> None:
        what, fix = "This journal exists", "name one that does not exist"
        if rebuilt:
            what = "This journal was rebuilt before"
            fix = "rebuild under another name, and use that journal in place of this one"
        super().__init__(f"{path}: {what}, and is never replaced. Nothing was done. Fix: {fix}.")


class LineNotWritten(Exception):
    """A line could not be written; the text is the reason alone."""

    def __init__(
        self, why: str, kind: type[KeysweepError] = BadInput, fix: str | None = None
    ) -> None:
        super().__init__(why)
        self.kind = kind
        """Error of a run that could not begin."""
        self.fix = fix
        """What to do; None: the appender's `fix`."""


class Appender(Protocol):
    """A journal open for writing, whose lock this process holds."""

    fix: str
    """What to do if a line cannot be written."""

    @property
    def stamp(self) -> Stamp: ...

    def demand_room(self, size: int) -> None:
        """Raise BadInput if so many bytes cannot be added."""

    def is_torn(self) -> bool:
        """Whether the last line is incomplete. Raises LineNotWritten if it cannot be read."""

    def append(self, data: bytes) -> None:
        """Add a line, for good when this returns. Raises LineNotWritten."""

    def close(self) -> str | None:
        """Give up the lock. Returns what a person must know if that failed."""


class Store(Protocol):
    """Where a journal is kept. As text: the value of `--journal`."""

    @property
    def tears(self) -> bool:
        """Whether a killed run can leave an incomplete line."""

    def exists(self) -> bool:
        """Whether there is a journal."""

    def read(self, reading: Reading) -> Iterator[tuple[int, bytes]]:
        """The lines with their numbers from 1, without line feeds.

        Raises BadInput if there is no journal, and AccessRefused if AWS refuses it.
        """

    def open(self, run: str) -> Appender:
        """Take the lock for this run.

        Raises Refused if another process has it, BadInput, or AccessRefused.
        """

    def create(self, run: str, lines: Sequence[bytes]) -> str | None:
        """Write a new journal; if that is interrupted, there is none, or a damaged one.

        `lines` have their line feeds. Returns what a person must know about a lock that could not
        be released. Raises JournalExists, and otherwise as `open` does.
        """
