"""Facts of `fixtures/recorded_answers.yaml`, and how an answer differs from them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

TABLE = Path(__file__).parent / "fixtures" / "recorded_answers.yaml"


@cache
def table() -> Mapping[str, Any]:
    """The whole table."""
    read: Mapping[str, Any] = yaml.load(TABLE.read_text(), yaml.CSafeLoader)
    return read


def answers(service: str) -> Mapping[str, Any]:
    """The recorded operations of a service."""
    found: Mapping[str, Any] = table()["answers"][service]
    return found


def form(value: object, known: list[str]) -> str:
    """The form of a value: a type, or one of the table's, preferably one that is known for it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, datetime):
        return "date"
    text = value.decode("latin1") if isinstance(value, bytes) else str(value)
    forms = table()["forms"]
    return next(
        (name for name in [*known, *forms] if name in forms and re.fullmatch(forms[name], text)),
        "text",
    )


def differences(
    recorded: Mapping[str, Any], answer: Mapping[str, Any], more: frozenset[str] = frozenset()
) -> set[str]:
    """Fields that an answer lacks, or has too many, or in another form. `more` may be there."""
    fields = recorded.get("fields", {})
    found: set[str] = set()
    for parent, value in _objects("", {k: v for k, v in answer.items() if k != "ResponseMetadata"}):
        direct = {path for path in fields if path.rpartition(".")[0] == parent}
        has = {f"{parent}.{name}" if parent else name for name in value}
        found |= {f"+{path}" for path in has - direct - more}
        needed = {path for path in direct if fields[path][0] != "sometimes"}
        found |= {f"-{path}" for path in needed - has}
        for name, one in value.items():
            path = f"{parent}.{name}" if parent else name
            found |= _forms(path, one, fields.get(path, ["sometimes"])[1:])
    return found


def _forms(path: str, value: object, known: list[str]) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {
        f"{path}: {form(one, known)}"
        for one in values
        if known
        and not isinstance(one, dict)
        and form(one, known) not in known
        and not ("text" in known and isinstance(one, str | bytes))
    }


def _objects(path: str, value: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        for name, one in value.items():
            yield from _objects(f"{path}.{name}" if path else name, one)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(f"{path}[]", one)


def error_form(recorded: Mapping[str, Any], code: str, status: int, message: str) -> str | None:
    """The recorded form of an error, as `CODE: message`; None: it was not seen."""
    for error in recorded.get("errors", ()):
        same = (error["code"], error["status"]) == (code, status)
        if same and re.fullmatch(pattern(error["message"]), message):
            return f"{code}: {error['message']}"
    return None


def pattern(message: str) -> str:
    """The regular expression of a message's form."""
    forms = {**table()["forms"], **table()["parts"]}
    parts = re.split(r"\{([a-z0-9-]+)\}", message)
    return "".join(
        forms[part] if number % 2 else re.escape(part) for number, part in enumerate(parts)
    )
