"""Declaration of an evidence source, and how its answers become evidence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from ..aws import Connection
from ..models import Cost, Evidence, KeyArn, Unreadable

_log: Final = logging.getLogger(__name__)

Piece = Any
"""Value of one field of `Evidence`. The model validates it when it is added."""

ReadMany = Callable[[Connection, Sequence[Evidence]], Mapping[KeyArn, Piece]]
ReadAll = Callable[[Mapping[KeyArn, Evidence]], Mapping[KeyArn, Piece]]


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
    read_all: ReadAll | None = None
    """Reads keys of all account-Regions together, once each of them needs such a piece. It gets all
    of these keys, so that one reading can serve all pieces, and those that need this one are looked
    up in its answer. What cannot be read is `Unreadable`."""
    after: tuple[str, ...] = ()
    """Pieces that this source uses, and that must be read first."""
    since: Callable[[datetime], Source] | None = None
    """Returns the same source, limited to events since a moment. None: the source has no limit."""

    @property
    def permissions(self) -> tuple[str, ...]:
        """IAM actions of the calls."""
        return self.needs() if callable(self.needs) else self.needs


def with_piece(evidence: Evidence, piece: str, value: Piece) -> Evidence:
    """Add a piece to the evidence. An invalid value becomes `Unreadable`."""
    try:
        added = Evidence.model_validate({**dict(evidence), piece: value})
        added.model_dump_json(include={piece})  # text with half a surrogate pair has no JSON
    except (ValidationError, PydanticSerializationError) as error:
        _log.debug("%s of %s: value not valid", piece, evidence.key_arn, exc_info=True)
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "not Unicode"
        unreadable = Unreadable(unreadable=f"AWS's answer was not understood ({why})")
        return evidence.model_copy(update={piece: unreadable})
    return added
