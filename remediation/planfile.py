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
from .files import json_with_list, read_stream, write_private
from .models import PlanItem
from .plan import Plan, PlanItems
from .strict_json import RepeatedName, unique_names

_MAKE_ANOTHER: Final = "Fix: make a new plan with keysweep plan"
_CHANGED: Final = "Changed after it was made"
_MAX_DEPTH: Final = 100
"""Levels of nesting. A plan has about twelve."""


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
    if not path.is_file():
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
    """Read a plan. Raises BadInput if it is truncated, edited, or no plan of Keysweep."""
    if not path.exists() and _previous(path).is_file():
        raise BadInput(
            f"{path}: Not found. The last keysweep plan failed, and moved the former plan to "
            f"{_previous(path)}. Fix: run keysweep plan again"
        )
    try:
        head = _head(path)
        if why := _why_not_a_plan(head):
            raise _refusal(path, why)
        plan = Plan.model_validate({**head, "items": _items(path)})
    except ijson.JSONError as error:
        raise _refusal(path, "Not a complete JSON document; the plan is truncated") from error
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


def _head(path: Path) -> dict[str, Any]:
    """The document without its items; empty if it is not an object.

    Raises RepeatedName for a repeated name anywhere, in items too: the digest covers one of the
    values, and a reader may see the other. Raises BadInput for a document that is nested too
    deeply: ijson builds the path of each value, which takes memory by the square of the depth.
    """
    builder = ObjectBuilder()
    depth = 0
    in_items = False
    with read_stream(path) as file:
        for event, value in unique_names(ijson.basic_parse(file, use_float=True)):
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
    return builder.value if isinstance(builder.value, dict) else {}


def _items(path: Path) -> PlanItems:
    items = PlanItems()
    with read_stream(path) as file:
        for item in ijson.items(file, "items.item", use_float=True):
            items.append(PlanItem.model_validate(item))
    return items


def _why_not_a_plan(head: Mapping[str, Any]) -> str:
    """Why the document is no plan that this version reads; empty if it is one."""
    if not head.get("digest") or not isinstance(head["digest"], str):
        return "Not a plan of Keysweep"
    if head.get("version") != 1:
        return f"Plan of version {printable(head.get('version'), 20)}; this version reads version 1"
    return ""
