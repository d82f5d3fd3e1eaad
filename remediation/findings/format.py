"""The declaration of a scanner's format: how to recognise and read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import msgspec

from ..escape import short
from ..models import Finding, UnusableRecord
from ..strict_json import repeated

Head = TypeVar("Head", bound=msgspec.Struct)
Raw = msgspec.Raw


@dataclass(frozen=True)
class Notice:
    """A warning about a record, for people."""

    text: str


Reading = Finding | UnusableRecord | Notice


class Unusable(ValueError):
    """A relevant record that lacks data or contradicts itself. The text says why."""


@dataclass(frozen=True)
class Format(Generic[Head]):
    """A scanner's format of results. A module of `formats` declares one as `FORMAT`."""

    name: str
    """For people, such as `Prowler OCSF`."""
    scanner: Literal["prowler", "checkov"]
    head: type[Head]
    """A type with the fields that only this format has, by which it is recognised. It is small,
    since every record is parsed into it."""
    concerns: Callable[[Head], bool]
    """Whether the record may be about a check that Keysweep acts on."""
    read: Callable[[Raw, str, str], Iterable[Reading]]
    """Of such a record, its source and its place: everything that it says. May raise Unusable and
    msgspec.DecodeError."""
    _decoder: msgspec.json.Decoder[Head] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decoder", msgspec.json.Decoder(self.head))

    def recognise(self, record: Raw) -> Head | None:
        """The head of a record, if it is of this format."""
        try:
            return self._decoder.decode(record)
        except msgspec.DecodeError:
            return None


def refuse_ambiguous(record: Raw) -> None:
    """Raise Unusable if an object in the record has a field twice, since either may count."""
    try:
        json.loads(bytes(record), object_pairs_hook=_once, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise Unusable("it is nested too deeply") from error


def _once(members: Sequence[tuple[str, object]]) -> None:
    if (name := repeated(members)) is not None:
        raise Unusable(f"it names the field {short(name)} twice")
