"""What a scanner's format has to say for itself, to be recognised and read."""

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
    """Something that a person has to know about a record, and that is no finding."""

    text: str


Reading = Finding | UnusableRecord | Notice


class Unusable(ValueError):
    """A record of ours that says too little, or contradicts itself; the text says how."""


@dataclass(frozen=True)
class Format(Generic[Head]):
    """One scanner's way to write results. A module of `formats` declares one as `FORMAT`."""

    name: str
    """As people call it: `Prowler OCSF`."""
    scanner: Literal["prowler", "checkov"]
    head: type[Head]
    """The fields that only this format has, as a type: a record that has them is of this format.
    Every record of a document is read as far as this, so it is small."""
    concerns: Callable[[Head], bool]
    """Whether the record may be about a check that Keysweep acts on."""
    read: Callable[[Raw, str, str], Iterable[Reading]]
    """Of such a record, its source and its place: everything that it says. May raise Unusable and
    msgspec.DecodeError."""
    _decoder: msgspec.json.Decoder[Head] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decoder", msgspec.json.Decoder(self.head))

    def recognise(self, record: Raw) -> Head | None:
        """The head of a record, when it is of this format."""
        try:
            return self._decoder.decode(record)
        except msgspec.DecodeError:
            return None


def refuse_ambiguous(record: Raw) -> None:
    """Raise Unusable when an object in the record names a field twice: which one counts?"""
    try:
        json.loads(bytes(record), object_pairs_hook=_once, parse_int=str, parse_float=str)
    except RecursionError as error:
        raise Unusable("it is nested too deeply") from error


def _once(members: Sequence[tuple[str, object]]) -> None:
    if (name := repeated(members)) is not None:
        raise Unusable(f"it names the field {short(name)} twice")
