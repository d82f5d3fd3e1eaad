"""Declaration of a results format: how to recognize and read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import msgspec

from ..escape import short
from ..models import Finding
from ..strict_json import repeated

Head = TypeVar("Head", bound=msgspec.Struct)
Raw = msgspec.Raw


@dataclass(frozen=True)
class Notice:
    """A warning about a record, for people."""

    text: str


@dataclass(frozen=True)
class Rejected:
    """An unusable record inside a larger one."""

    check_id: str
    """Empty if unreadable."""
    position: str
    problem: str


Reading = Finding | Rejected | Notice


class Unusable(ValueError):
    """A relevant record that lacks data or contradicts itself. The text says why."""


@dataclass(frozen=True)
class Format(Generic[Head]):
    """A scanner's format of results. A module of `formats` declares one as `FORMAT`."""

    name: str
    """Display name, such as `Prowler OCSF`."""
    scanner: Literal["prowler", "checkov"]
    head: type[Head]
    """Type with fields that only this format has, to recognize it. It is small because every
    record is parsed into it."""
    concerns: Callable[[Head], bool]
    """Whether the record can be about a supported check."""
    read: Callable[[Raw, str, str], Iterable[Reading]]
    """Reads such a record, given its source and position. Raises Unusable or
    msgspec.DecodeError."""
    _decoder: msgspec.json.Decoder[Head] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decoder", msgspec.json.Decoder(self.head))

    def recognize(self, record: Raw) -> Head | None:
        """Return the head of a record; None if it has another format."""
        try:
            return self._decoder.decode(record)
        except msgspec.DecodeError:
            return None


def refuse_ambiguous(record: Raw) -> None:
    """Raise Unusable if an object in the record has a field twice, because either can be meant."""
    try:
        json.loads(bytes(record), object_pairs_hook=_once, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise Unusable("it is nested too deeply") from error


def _once(members: Sequence[tuple[str, object]]) -> None:
    if (name := repeated(members)) is not None:
        raise Unusable(f"it names the field {short(name)} twice")
