"""Facts of `fixtures/recorded_answers.yaml`, and how an answer differs from them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from botocore.model import Shape

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
    """Fields that an answer lacks (-), has too many (+), in another form (:), or that no recording
    has (!). `more` may be there."""
    fields = recorded.get("fields", {})
    found: set[str] = set()
    for parent, value in _objects("", {k: v for k, v in answer.items() if k != "ResponseMetadata"}):
        direct = {path for path in fields if path.rpartition(".")[0] == parent}
        has = {f"{parent}.{name}" if parent else name for name in value}
        found |= {f"+{path}" for path in has - direct - more}
        found |= {f"!{path}" for path in direct & has if fields[path][0] == "never"}
        needed = {path for path in direct if fields[path][0] not in ("never", "sometimes")}
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


# --- answers made from the facts ------------------------------------------------------------------

_NUMBERS = itertools.count(1)


def make(
    shape: Shape,
    fields: Mapping[str, Any],
    *,
    full: bool,
    absent: Collection[str] = (),
    wanted: Mapping[str, Any] = {},
    path: str = "",
) -> Any:
    """An answer with the recorded fields, or with those alone that are always there.

    `absent` are names of members to leave out, or to leave empty where that was recorded; `wanted`
    are values by the name of their member.
    """

    def within(inner: Shape, at: str) -> Any:
        return make(inner, fields, full=full, absent=absent, wanted=wanted, path=at)

    def members(known: Iterator[tuple[str, Shape]]) -> dict[str, Any]:
        return {
            name: within(member, at)
            for name, member in known
            if (at := f"{path}.{name}" if path else name) in fields
            and (name not in absent or "empty" in fields[at])
            and fields[at][0] != "never"
            and (full or fields[at][0] != "sometimes")
        }

    last, kind = path.rpartition(".")[2], shape.type_name
    if kind == "structure":
        return members(iter(shape.members.items()))
    if kind == "map":
        names = [one.rpartition(".")[2] for one in fields if one.rpartition(".")[0] == path]
        return members((name, shape.value) for name in names)
    if kind == "list":
        nested = shape.member.type_name in ("structure", "map")
        if nested and not any(one.startswith(f"{path}[].") for one in fields):
            return []
        return [within(shape.member, f"{path}[]" if nested else path)]
    if last in wanted or last in absent:
        return wanted.get(last, "")
    if kind == "timestamp":
        return datetime(2026, 1, 1, tzinfo=UTC)
    if kind == "string":
        return _text(fields[path][1:])
    return {"boolean": False, "blob": b"x", "float": 1.0, "double": 1.0}.get(kind, 1)


def _text(forms: list[str]) -> str:
    """A text in one of these forms, a key's ARN if it is among them."""
    number = next(_NUMBERS)
    identifier = f"00000000-0000-0000-0000-{number:012}"
    home = "eu-west-1:111122223333"
    made = {
        "key-arn": f"arn:aws:kms:{home}:key/{identifier}",
        "alias-arn": f"arn:aws:kms:{home}:alias/some-{number}",
        "alias-name": f"alias/some-{number}",
        "key-id": identifier,
        "uuid": identifier,
        "sha256": f"{number:064}",
        "arn": f"arn:aws:some:{home}:some/{number}",
        "account": "111122223333",
        "json": '{"Statement": []}',
    }
    known = [one for form, one in made.items() if form in forms]
    return known[0] if known else f"some-{number:05}".ljust(40, "x")
