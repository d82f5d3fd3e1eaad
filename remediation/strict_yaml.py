"""Strict reading of the YAML files that people write. Every error has file, line and fix.

YAML guesses: `yes` is a Boolean, `010` is 8, `1:30` is 90, and of two equal names the last one
counts. A file that decides about deletions must not depend on guesses.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .errors import BadInput
from .escape import NAME_LENGTH
from .files import read_text

M = TypeVar("M", bound=BaseModel)

Location = tuple[str | int, ...]
"""Path of a value: names in mappings, and positions in lists from 0."""

_MESSAGES: Final = {
    "missing": "required, but missing",
    "int_type": "must be a whole number, not {shown}",
    "float_type": "must be a number, not {shown}",
    "greater_than_equal": "must be at least {ge}, not {shown}",
    "less_than_equal": "must be at most {le}, not {shown}",
    "greater_than": "must be more than {gt}, not {shown}",
    "literal_error": "must be {expected}, not {shown}",
    "string_type": "must be a string; quote {shown}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must not be blank",
    "too_short": "must not be empty",
    "tuple_type": "must be a list, not {shown}",
    "model_type": "must be a mapping, not {shown}",
    "value_error": "{error}",
}
"""Messages by pydantic's type of error."""

YAML_ERRORS: Final = (
    yaml.YAMLError,
    RecursionError,
    ValueError,
    OverflowError,
    LookupError,
    AttributeError,
)
"""Errors of PyYAML for a text that is not valid YAML. It converts the text of a tag (`!!bool x`)
and the number of an escape (`\\U00110000`) without a check."""

_ESCAPE_OF_NOTHING: Final = re.compile(r"\\U(?!000|0010)")
"""An escape above U+10FFFF."""

_PLAIN_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)


class _Refusal(Exception):
    """An error on a line, counted from 1."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


class _Loader(yaml.SafeLoader):
    """The safe loader without aliases: every value is written where it applies."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _Refusal(_line(event.start_mark), "a YAML alias. Fix: write the value out")
        return super().compose_node(parent, index)


class RepeatedName(yaml.constructor.ConstructorError):
    """A mapping has a duplicate name; `problem` is the message."""


def load_unique(content: str | bytes, loader: Callable[[str | bytes], Any]) -> Any:
    """Load a document with a PyYAML loader, but reject duplicate names.

    Raises RepeatedName, also in a mapping merged by `<<`, and yaml.YAMLError.
    """
    reader = loader(content)
    root: yaml.Node | None = reader.get_single_node()
    if root is None:
        return None
    _refuse_repeated(root)
    return reader.construct_document(root)


def _refuse_repeated(root: yaml.Node) -> None:
    seen: dict[int, yaml.Node] = {}
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:  # through an alias
            continue
        seen[id(node)] = node
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            todo += (part for pair in node.value for part in pair)
            names: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in names:
                    problem = f"duplicate name {ascii(key.value)[:200]}"
                    raise RepeatedName(None, None, problem, key.start_mark)
                names.add(str(key.value))


def read(path: Path, model: type[M], context: object = None) -> M:
    """Read a file as a model. Raises BadInput with file, line and fix.

    `context` is pydantic's validation context.
    """
    lines: dict[Location, int] = {}
    try:
        root = _compose(read_text(path).removeprefix("\ufeff"))
        content = _value(root, (), lines)
        return model.model_validate(content, context=context)
    except _Refusal as refusal:
        raise BadInput(f"{path}:{refusal.line}: {refusal}") from refusal
    except ValidationError as error:
        wrong = [(_line_of(e, lines), e) for e in error.errors()]
        # A misspelt name explains a missing one, so report it first.
        line, first = min(wrong, key=lambda found: (found[0], found[1]["type"] == "missing"))
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise BadInput(f"{path}:{line}: {_message(first, model)}{others}") from error


def _compose(text: str) -> yaml.Node:
    try:
        root: yaml.Node | None = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else _line(mark)
        if "\t" in (error.problem or "") or "'\\t'" in (error.problem or ""):
            raise _Refusal(line, "a tab is not valid here. Fix: use spaces") from error
        if "another document" in (error.problem or ""):
            raise _Refusal(line, "more than one YAML document. Fix: keep one") from error
        raise _Refusal(line, f"not valid YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refusal(line, f"not valid YAML: character {_code(error)}. Fix: remove it") from error
    except RecursionError as error:
        raise _Refusal(1, "nested too deeply") from error
    except (ValueError, OverflowError) as error:
        found = _ESCAPE_OF_NOTHING.search(text)
        line = text.count("\n", 0, found.start()) + 1 if found else 1
        raise _Refusal(line, "an escape of no character. Fix: remove it") from error
    if root is None:
        raise _Refusal(1, "the file is empty. Fix: check the path")
    return root


def _value(node: yaml.Node, location: Location, lines: dict[Location, int]) -> Any:
    """Return the plain value of a node, and add the line of each part to `lines`."""
    lines.setdefault(location, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refusal(_line(key.start_mark), "a name must be a plain string")
            if key.value in content:
                first = lines[*location, key.value]
                raise _Refusal(
                    _line(key.start_mark),
                    f"duplicate name {key.value[:NAME_LENGTH]!r}, first on line {first}. "
                    "Fix: keep one",
                )
            lines[*location, key.value] = _line(key.start_mark)
            content[key.value] = _value(value, (*location, key.value), lines)
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*location, number), lines) for number, item in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:int" and not _PLAIN_NUMBER.fullmatch(node.value):
        raise _Refusal(
            _line(node.start_mark),
            f"{node.value[:NAME_LENGTH]} is ambiguous in YAML. Fix: write a plain decimal "
            "number, or quote an account id",
        )
    try:
        return yaml.SafeLoader("").construct_object(node)
    except YAML_ERRORS as error:
        raise _Refusal(
            _line(node.start_mark), f"{node.value[:NAME_LENGTH]!r} is not a valid value here"
        ) from error


def _code(error: yaml.reader.ReaderError) -> str:
    character = error.character
    return f"U+{ord(character) if isinstance(character, str) else int(character):04X}"


def _line(mark: yaml.Mark) -> int:
    return int(mark.line) + 1


def _line_of(error: ErrorDetails, lines: Mapping[Location, int]) -> int:
    location = tuple(error["loc"])
    while location not in lines:
        location = location[:-1]
    return lines[location]


def _message(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Describe an error: which value, what is wrong, and what is valid."""
    if error["type"] == "extra_forbidden":
        *where, name = error["loc"]
        known = _names(model, where)
        near = difflib.get_close_matches(str(name), known, 1)
        fix = f"did you mean {near[0]}?" if near else f"valid names: {', '.join(known)}"
        return f"unknown name {str(name)[:NAME_LENGTH]!r}; {fix}"
    template = _MESSAGES.get(error["type"], error["msg"].replace("{", "{{").replace("}", "}}"))
    message = template.format(shown=_shown(error), **error.get("ctx", {}))
    return f"{_location_text(error['loc'])}: {message}"


def _location_text(location: tuple[str | int, ...]) -> str:
    """Format a location as `exceptions[2].until`, counted from 1."""
    text = ""
    for part in location:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text[:NAME_LENGTH] or "the document"


def _shown(error: ErrorDetails) -> str:
    value = error["input"]
    return "nothing" if value is None else repr(value)[:60]


def _names(model: type[BaseModel], where: list[str | int]) -> list[str]:
    """The valid names at a location of the model."""
    schema = model.model_json_schema()
    node = schema
    for part in where:
        node = _resolved(node, schema)
        node = node["items"] if isinstance(part, int) else node["properties"][part]
    return sorted(_resolved(node, schema)["properties"])


def _resolved(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    resolved: dict[str, Any] = schema["$defs"][reference.rsplit("/", 1)[1]]
    return resolved
