"""Looking into JSON of which nothing is certain: a wrong shape is an absent value."""

from __future__ import annotations

from collections.abc import Mapping

JsonObject = Mapping[str, object]


def at(value: object, *steps: str | int) -> object:
    """The value under the keys and list indexes `steps`, or None where the shape is another."""
    for step in steps:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def text_at(value: object, *steps: str | int) -> str | None:
    """The same for a text; None for anything else, the empty text too."""
    found = at(value, *steps)
    return found if isinstance(found, str) and found else None
