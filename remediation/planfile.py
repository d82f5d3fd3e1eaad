"""The plan file: write it, read it, and compute its digest, one item at a time.

The digest detects edits and accidents. It is not a signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import ijson
from ijson.common import ObjectBuilder
from pydantic import ValidationError

from .errors import BadInput
from .escape import printable, short
from .files import exists, is_file, json_with_list, read_stream, write_private
from .models import PlanItem
from .plan import Plan, PlanItems
from .strict_json import RepeatedName, loads, unique_names

_MAKE_ANOTHER: Final = "Fix: make a new plan with keysweep plan"
_CHANGED: Final = "Changed after it was made"
_MAX_DEPTH: Final = 100
"""Levels of nesting. A plan has about twelve."""
_LONGEST_LINE: Final = 1 << 20
_FORMATS: Final = {b"\x1f\x8b": "compressed with gzip", b"PK\x03\x04": "a ZIP archive"}
"""Other formats by their first bytes."""
_NO_OBJECT: Final = "a file that does not begin with a JSON object, such as scanner results"


class NotAPlan(BadInput):
    """A file that is no plan and never was one, such as results or a journal."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path}: Not a plan but {what}. Fix: name the file that keysweep plan wrote (--out)"
        )


def digest_of(plan: Plan, *, as_read: bool = False) -> str:
    """SHA-256 of the plan without its digest, in canonical JSON.

    With `as_read`, cover only the fields that the file had: an older file lacks newer fields.
    """
    digest = hashlib.sha256()
    names = plan.model_fields_set if as_read else Plan.model_fields.keys()
    for number, name in enumerate(sorted(names - {"digest"})):
        digest.update(f'{"," if number else "{"}"{name}":'.encode())
        if name == "items":
            for position, item in enumerate(plan.items):
                digest.update(b"," if position else b"[")
                digest.update(_canonical(item.model_dump(mode="json", exclude_unset=as_read)))
            digest.update(b"]" if plan.items else b"[]")
        else:
            part = plan.model_dump(mode="json", include={name}, exclude_unset=as_read)
            digest.update(_canonical(part[name]))
    digest.update(b"}")
    return f"sha256:{digest.hexdigest()}"


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def json_parts(plan: Plan) -> Iterator[str]:
    """The JSON document that `load` reads, in parts, one for each item, to save memory."""
    head = plan.model_dump_json(indent=2, exclude={"items"})
    return json_with_list(head, "items", (item.model_dump_json(indent=2) for item in plan.items))


def set_aside(path: Path) -> Path | None:
    """Move a former plan to `PATH.previous`, so that nothing applies it in place of the next.

    Returns where it is now; None if there is none. Raises BadInput if it cannot be moved.
    """
    if not is_file(path):
        return None
    previous = _previous(path)
    try:
        path.replace(previous)
    except OSError as error:
        raise BadInput(
            f"{path}: The former plan cannot be moved to {previous.name}: {error.strerror}. "
            "Fix: choose another --out."
        ) from error
    return previous


def _previous(path: Path) -> Path:
    return path.with_name(f"{path.name}.previous")


def save(plan: Plan, path: Path) -> None:
    """Write the plan, readable by its owner only."""
    write_private(path, json_parts(plan))


def load(path: Path) -> Plan:
    """Read a plan. Raises BadInput if it is truncated or edited, and NotAPlan if it is no plan."""
    if not exists(path) and is_file(_previous(path)):
        raise BadInput(
            f"{path}: Not found. The last keysweep plan failed, and moved the former plan to "
            f"{_previous(path)}. Fix: run keysweep plan again"
        )
    if exists(path) and not is_file(path):
        raise NotAPlan(path, "a folder, a pipe or a device")
    try:
        head = _head(path)
        _demand_plan(path, head)
        plan = Plan.model_validate({**head, "items": _items(path)})
    except ijson.JSONError as error:
        raise _not_json(path) from error
    except UnicodeDecodeError as error:  # from ijson, for an escape of half a character
        raise _refusal(path, f"{_CHANGED}: half of a surrogate pair") from error
    except RepeatedName as error:
        raise _refusal(path, f"{_CHANGED}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        position = ".".join(str(part) for part in first["loc"])
        raise _refusal(path, f"{_CHANGED}: {short(position)}: {first['msg']}") from error
    if plan.digest != digest_of(plan, as_read=True):
        raise _refusal(path, f"{_CHANGED}: the digest does not match")
    return plan


def _refusal(path: Path, why: str) -> BadInput:
    return BadInput(f"{path}: {why}. {_MAKE_ANOTHER}")


def _demand_plan(path: Path, head: Mapping[str, Any]) -> None:
    """Raise NotAPlan without a digest, and BadInput for a plan that this version does not read."""
    if not head.get("digest") or not isinstance(head["digest"], str):
        raise NotAPlan(path, "a JSON object without a digest")
    if head.get("version") != 1:
        version = printable(head.get("version"), 20)
        raise _refusal(path, f"Plan of version {version}; this version reads version 1")


def _not_json(path: Path) -> BadInput:
    """The error for a file that is not one JSON document."""
    with read_stream(path) as file:
        line, more = file.readline(_LONGEST_LINE), file.readline(_LONGEST_LINE)
    what = _other_format(line, more)
    return NotAPlan(path, what) if what else _refusal(path, "Not valid JSON: truncated or edited")


def _other_format(line: bytes, more: bytes) -> str:
    """What a file is by its first two lines; empty if it may be a damaged plan."""
    if not line:
        return "an empty file"
    for start, name in _FORMATS.items():
        if line.startswith(start):
            return name
    if json.detect_encoding(line + more) != "utf-8":
        return "text in another encoding than UTF-8, or with a byte order mark"
    if line.strip() and not line.lstrip().startswith(b"{"):
        return _NO_OBJECT
    if more.strip() and _is_json(line):
        return "several JSON documents, one on each line, such as a journal"
    return ""


def _is_json(line: bytes) -> bool:
    try:
        loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _head(path: Path) -> dict[str, Any]:
    """The document without its items. Raises NotAPlan if it is not an object.

    Raises RepeatedName for a repeated name anywhere, in items too: the digest covers one of the
    values, and a reader may see the other. Raises BadInput for a document that is nested too
    deeply: ijson builds the path of each value, which takes memory by the square of the depth.
    """
    builder = ObjectBuilder()
    depth = 0
    in_items = False
    with read_stream(path) as file:
        for event, value in unique_names(ijson.basic_parse(file, use_float=True)):
            if not depth and event != "start_map":
                raise NotAPlan(path, _NO_OBJECT)
            depth += event.startswith("start_")
            if depth > _MAX_DEPTH:
                raise _refusal(path, "Nested too deeply for a plan of Keysweep")
            if depth == 1 and event in {"map_key", "end_map"}:
                in_items = value == "items"
            if in_items and depth == 2 and event == "start_map":
                raise _refusal(path, f"{_CHANGED}: items is not a list")
            if not in_items:
                builder.event(event, value)
            depth -= event.startswith("end_")
    head: dict[str, Any] = builder.value
    return head


def _items(path: Path) -> PlanItems:
    items = PlanItems()
    with read_stream(path) as file:
        for item in ijson.items(file, "items.item", use_float=True):
            items.append(PlanItem.model_validate(item))
    return items
