"""JSON that decides, read strictly: no object has two members of one name.

What such an object means is not defined (RFC 8259, section 4): some parsers take the first value,
some the last, some both. A person would review one document, and the command carry out another.
Names are compared after decoding, so that an escape hides nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

Connection = tuple[str | int, ...]
"""The way to a value: names of members, and positions in lists from 0."""

Event = tuple[str, Any]
"""One of ijson's `basic_parse`."""

_LONGEST: Final = 200
"""Characters of a name or place in a sentence."""


class RepeatedName(ValueError):
    """An object has two members of one name; the text is a clause."""

    def __init__(self, name: str, connection: Connection) -> None:
        where = f" in {place_text(connection)}" if connection else ""
        super().__init__(f"the name {ascii(name)[:_LONGEST]} stands twice{where}")


def loads(content: str | bytes) -> object:
    """The value of a whole document.

    Raises RepeatedName, RecursionError for a document that is nested too deeply, and ValueError for
    anything else that is not exactly one JSON document; NaN and Infinity are not JSON.
    """
    repeating: list[_Repeating] = []

    def build(members: Sequence[tuple[str, object]]) -> dict[str, object]:
        if (name := repeated(members)) is None:
            return dict(members)
        repeating.append(_Repeating(members, name))
        return repeating[-1]

    document = json.loads(content, object_pairs_hook=build, parse_constant=_no_constant)
    if repeating:
        _refuse(document)
    return document


def repeated(members: Sequence[tuple[str, object]]) -> str | None:
    """A name that two of an object's members have, if any."""
    if len(dict(members)) == len(members):
        return None
    counts = Counter(name for name, _ in members)
    return next(name for name, count in counts.items() if count > 1)


def unique_names(events: Iterable[Event]) -> Iterator[Event]:
    """The events of a stream, checked on their way. Raises RepeatedName."""
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


def place_text(connection: Connection) -> str:
    """A place as people name it: `items[2].evidence`, counted from 1; in ASCII."""
    text = ""
    for step in connection:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else step
    return text.encode("ascii", "backslashreplace").decode()[:_LONGEST]


class _Repeating(dict[str, object]):
    """An object that has a name twice."""

    def __init__(self, members: Sequence[tuple[str, object]], name: str) -> None:
        super().__init__(members)
        self.name = name


def _refuse(document: object) -> None:
    """Raise RepeatedName for the outermost object that has a name twice.

    It is part of the document, whichever of two values an object inside of it was dropped with.
    """
    found: list[tuple[Connection, object]] = [((), document)]
    for connection, value in found:
        if isinstance(value, _Repeating):
            raise RepeatedName(value.name, connection)
        if isinstance(value, dict):
            found += (((*connection, name), inner) for name, inner in value.items())
        elif isinstance(value, list):
            found += (((*connection, number), inner) for number, inner in enumerate(value))


def _no_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
