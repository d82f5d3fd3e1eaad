"""What a scanner's format has to say for itself, to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from ..models import Finding, UnusableRecord
from .lookup import JsonObject


@dataclass(frozen=True)
class Notice:
    """Something that a person has to know about a record, and that is no finding."""

    text: str


Reading = Finding | UnusableRecord | Notice


@dataclass(frozen=True)
class Format:
    """One scanner's way to write results. A module of `formats` declares one as `FORMAT`."""

    name: str
    """As people call it: `Prowler OCSF`."""
    scanner: Literal["prowler", "checkov"]
    recognises: Callable[[JsonObject], bool]
    """Whether a record is of this format; looks at the content alone."""
    read: Callable[[JsonObject, str, str], Iterable[Reading]]
    """Of a recognised record, its source and its place: everything that it says. Nothing, for a
    record that is not about the checks that Keysweep acts on."""
