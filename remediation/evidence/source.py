"""Declaration of an evidence source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn

Piece = Any
"""Value of one field of `Evidence`. The model validates it when it is added."""

ReadMany = Callable[[Connection, Sequence[Evidence]], Mapping[KeyArn, Piece]]


@dataclass(frozen=True)
class Source:
    """One piece of evidence, and how to read it. Set exactly one of the three functions."""

    piece: str
    """Field of `Evidence` that this source fills."""
    cost: Cost
    needs: tuple[str, ...] | Callable[[], tuple[str, ...]]
    """IAM actions of the calls. A function, if they take time to work out."""
    read_key: Callable[[Connection, Evidence], Piece] | None = None
    """Reads one key. An AWS error makes the piece `Unreadable` for that key only."""
    read_account_region: ReadMany | None = None
    """Reads all given keys of an account-Region. An AWS error makes the piece `Unreadable` for all
    of them."""
    read_all: Callable[[Sequence[Evidence]], Mapping[KeyArn, Piece]] | None = None
    """Reads keys of all account-Regions together, once they all need the piece. What cannot be read
    is `Unreadable` in its answer."""
    after: tuple[str, ...] = ()
    """Pieces that this source uses, and that must be read first."""
    since: Callable[[datetime], Source] | None = None
    """Returns the same source, limited to events since a moment. None: the source has no limit."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """IAM actions of the calls."""
        return self.needs() if callable(self.needs) else self.needs
