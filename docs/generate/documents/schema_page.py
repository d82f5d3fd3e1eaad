"""Reference pages of file formats: a table for each part of a model's JSON Schema.

Types, bounds and defaults come from the schema, meanings from the docstrings of fields and of
members of enumerations.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from importlib import import_module
from itertools import pairwise
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.dataclasses import is_pydantic_dataclass

from keysweep.remediation import audit, guard, lifecycle, models, plan, plan_diff, policy, status
from keysweep.remediation.doctor import findings
from keysweep.remediation.journal import lines
from keysweep.remediation.models import KeyArn, Model

Json = Mapping[str, Any]
Meanings = Mapping[tuple[str, str], str]

_KEY_ARN: Final = TypeAdapter(KeyArn).json_schema()["pattern"]
LONG: Final = 60
"""Defaults of this length are prose and are left out."""

_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "object": "object",
}
_FORMATS: Final = {"date-time": "time", "date": "day"}

_IN_JSON: Final = {"None": "`null`", "True": "`true`", "False": "`false`"}
"""Python's literals in docstrings, as they appear in the file."""


def tables(schema: Json, model: str, elsewhere: Mapping[str, str] | None = None) -> str:
    """Tables of a schema: the document, under the name of its model, then each of its parts.

    Parts in `elsewhere` link to that page instead.
    """
    meanings = _meanings()
    defined: Json = schema.get("$defs", {})
    parts = {
        name: {"page": elsewhere[name]} if elsewhere and name in elsewhere else part
        for name, part in defined.items()
    }
    page = _table(model, schema, parts, meanings) if "properties" in schema else ""
    for name in _in_order(schema, parts):
        part = parts[name]
        if "enum" in part:
            page += f"\n## {name}\n\n{_about(part)}{_words(name, part, meanings)}"
        elif "properties" in part:
            page += f"\n## {name}\n\n{_about(part)}{_table(name, part, parts, meanings)}"
    return page


def _in_order(schema: Json, parts: Json) -> list[str]:
    """The names of the parts in the order of their first reference."""
    order: list[str] = []
    todo: list[Any] = [{name: value for name, value in schema.items() if name != "$defs"}]
    while todo:
        value = todo.pop(0)
        if isinstance(value, list):
            todo += value
        elif isinstance(value, Mapping):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in parts and name not in order:
                order.append(name)
                todo.append(parts[name])
            todo += value.values()
    return order


def _table(model: str, schema: Json, parts: Json, meanings: Meanings) -> str:
    required = set(schema.get("required", ()))
    rows = "| name | type | default | meaning |\n|---|---|---|---|\n"
    for name, value in schema["properties"].items():
        meaning = value.get("description") or meanings.get((model, name), "")
        default = "required" if name in required else _default(value)
        rows += f"| `{name}` | {_kind(value, parts)} | {default} | {_cell(meaning)} |\n"
    return rows


def _words(name: str, schema: Json, meanings: Meanings) -> str:
    rows = "| value | meaning |\n|---|---|\n"
    for word in schema["enum"]:
        rows += f"| `{word}` | {_cell(meanings.get((name, word), ''))} |\n"
    return rows


def _about(schema: Json) -> str:
    description = inspect.cleandoc(schema.get("description", ""))
    return f"{_in_json(description)}\n\n" if description else ""


def _default(value: Json) -> str:
    """The default, unless it is null or empty."""
    default = value.get("default")
    if default in (None, [], {}, "") or isinstance(default, dict):
        return ""
    text = json.dumps(default)
    return f"`{text}`" if len(text) < LONG else ""


def _kind(value: Json, parts: Json) -> str:
    """What a value may be, in words."""
    if reference := value.get("$ref"):
        name = str(reference).rpartition("/")[2]
        shown = _kind(parts[name], parts) if "enum" in parts[name] else name
        return f"[{shown}]({parts[name].get('page', f'#{name.lower()}')})"
    if options := value.get("anyOf") or value.get("oneOf"):
        kinds = [_kind(one, parts) for one in options if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in value:
        return " or ".join(f"`{word}`" for word in value["enum"])
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if value.get("type") == "array":
        return f"list of {_kind(value.get('items', {}), parts)}"
    if value.get("pattern") == _KEY_ARN:
        return "key ARN"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), Mapping):
        names = _kind(value["propertyNames"], parts) if "propertyNames" in value else "names"
        return f"{names}, each with {_kind(value['additionalProperties'], parts)}"
    kind = _FORMATS.get(value.get("format", ""), _WORDS.get(str(value.get("type")), "anything"))
    return f"{kind}{_bounds(value)}"


def _bounds(value: Json) -> str:
    low, high = value.get("minimum"), value.get("maximum")
    if "exclusiveMinimum" in value:
        return f" above {value['exclusiveMinimum']}, up to {high}"
    if low is None and high is None:
        return ""
    if high is None:
        return f" from {low}"
    return f" up to {high}" if low is None else f", {low} to {high}"


def _meanings() -> dict[tuple[str, str], str]:
    """Docstrings by class and field, or by class and value of an enumeration."""
    found: dict[tuple[str, str], str] = {}
    parts = (
        import_module(f"{models.__name__}.{part.name}") for part in iter_modules(models.__path__)
    )
    for module in (
        *parts,
        policy,
        plan,
        lines,
        lifecycle,
        plan_diff,
        status,
        audit,
        guard,
        findings,
    ):
        found |= _of_module(module)
    return found


def _of_module(module: ModuleType) -> dict[tuple[str, str], str]:
    """Docstrings of a module's models and enumerations, with the inherited ones."""
    tree = ast.parse(inspect.getsource(module))
    own = {node.name: dict(_fields(node)) for node in tree.body if isinstance(node, ast.ClassDef)}
    found: dict[tuple[str, str], str] = {}
    for name, meanings in own.items():
        kind = getattr(module, name)
        if issubclass(kind, Enum):
            found |= {(name, member.value): meanings.get(member.name, "") for member in kind}
        elif issubclass(kind, Model) or is_pydantic_dataclass(kind):
            for base in reversed(kind.__mro__):
                for field, text in own.get(base.__name__, {}).items():
                    found[name, _shown_as(kind, field)] = text
    return found


def _shown_as(kind: type, field: str) -> str:
    """The name of a field in JSON."""
    info = kind.model_fields.get(field) if issubclass(kind, Model) else None
    return (info and info.serialization_alias) or field


def _fields(node: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for field, after in pairwise(node.body):
        match field, after:
            case (
                (ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)])),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)


def _cell(text: str) -> str:
    return _in_json(" ".join(text.split()).replace("|", "\\|"))


def _in_json(text: str) -> str:
    return re.sub(r"\b(None|True|False)\b", lambda found: _IN_JSON[found[0]], text)
