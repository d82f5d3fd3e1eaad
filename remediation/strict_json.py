"""Strict parsing of JSON: objects with duplicate names are rejected.

The meaning of a duplicate name is undefined (RFC 8259, section 4): some parsers take the first
value, some the last, some both. A reviewer would read one document and the command carry out
another. Names are compared after decoding, so an escape hides nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

Location = tuple[str | int, ...]
"""Path of a value: names in objects, and positions in lists from 0."""

Event = tuple[str, Any]
"""One of ijson's `basic_parse`."""

_LONGEST: Final = 200
"""Characters of a name or location in a message."""


class RepeatedName(ValueError):
    """An object has a duplicate name."""

    def __init__(self, name: str, location: Location) -> None:
        where = f" in {_location_text(location)}" if location else ""
        super().__init__(f"duplicate name {ascii(name)[:_LONGEST]}{where}")


def loads(content: str | bytes) -> object:
    """Parse a whole document.

    Raises RepeatedName, RecursionError for a document that is nested too deeply, and ValueError for
    anything else that is not exactly one JSON document; NaN and Infinity are not JSON.
    """
    repeating: list[_RepeatingObject] = []

    def build(members: Sequence[tuple[str, object]]) -> dict[str, object]:
        if (name := repeated(members)) is None:
            return dict(members)
        repeating.append(_RepeatingObject(members, name))
        return repeating[-1]

    document = json.loads(content, object_pairs_hook=build, parse_constant=_no_constant)
    if repeating:
        _refuse(document)
    return document


def repeated(members: Sequence[tuple[str, object]]) -> str | None:
    """The first duplicate name of an object, if any."""
    if len(dict(members)) == len(members):
        return None
    counts = Counter(name for name, _ in members)
    return next(name for name, count in counts.items() if count > 1)


def unique_names(events: Iterable[Event]) -> Iterator[Event]:
    """Pass on the events of a stream. Raises RepeatedName."""
    open_names: list[set[str] | None] = []  # a list has none
    steps: list[Any] = []  # a name or a position for each open object or list
    for event in events:
        kind, value = event
        if kind == "map_key":
            names = open_names[-1]
            if names is None or value in names:
                raise RepeatedName(value, tuple(steps[:-1]))
            names.add(value)
            steps[-1] = value
        elif kind in {"end_map", "end_array"}:
            open_names.pop()
            steps.pop()
        else:
            if open_names and open_names[-1] is None:
                steps[-1] += 1
            if kind == "start_map":
                open_names.append(set())
                steps.append("")
            elif kind == "start_array":
                open_names.append(None)
                steps.append(-1)
        yield event


def _location_text(location: Location) -> str:
    """Format a location as `items[2].evidence`, counted from 1, in ASCII."""
    text = ""
    for step in location:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text.encode("ascii", "backslashreplace").decode()[:_LONGEST]


class _RepeatingObject(dict[str, object]):
    """An object with a duplicate name."""

    def __init__(self, members: Sequence[tuple[str, object]], name: str) -> None:
        super().__init__(members)
        self.name = name


def _refuse(document: object) -> None:
    """Raise RepeatedName for the outermost object with a duplicate name.

    Inner ones may be missing from the document: they can be in a value that was replaced.
    """
    found: list[tuple[Location, object]] = [((), document)]
    for location, value in found:
        if isinstance(value, _RepeatingObject):
            raise RepeatedName(value.name, location)
        if isinstance(value, dict):
            found += (((*location, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            found += (((*location, number), inner) for number, inner in enumerate(value))


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
