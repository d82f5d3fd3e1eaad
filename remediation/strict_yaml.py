"""YAML files that people write, read strictly: every refusal names file, line and mend.

YAML guesses: `yes` is a truth value, `010` is eight, `1:30` is ninety, a name given twice counts
once. In a file that decides about deletions nothing is guessed.
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
from .files import read_text

M = TypeVar("M", bound=BaseModel)

Place = tuple[str | int, ...]
"""The way to a value: names of mappings and positions in lists."""

_SENTENCES: Final = {
    "missing": "missing; write it",
    "int_type": "must be a whole number, not {shown}",
    "float_type": "must be a number, not {shown}",
    "greater_than_equal": "must be at least {ge}, not {shown}",
    "less_than_equal": "must be at most {le}, not {shown}",
    "greater_than": "must be more than {gt}, not {shown}",
    "literal_error": "must be {expected}, not {shown}",
    "string_type": "must be a text; put {shown} in quotes",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must not be blank",
    "too_short": "must not be empty",
    "tuple_type": "must be a list, not {shown}",
    "model_type": "must hold names with values, not {shown}",
    "value_error": "{error}",
}
"""What is wrong, and what would be right, by pydantic's type of error."""

_PLAIN_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)


class _Refusal(Exception):
    """What is wrong on which line (from 1), in words."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


class _Loader(yaml.SafeLoader):
    """The safe loader without anchors: a value stands where it is read."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise _Refusal(_line(event.start_mark), "a YAML alias; write the value out")
        return super().compose_node(parent, index)


class RepeatedName(yaml.constructor.ConstructorError):
    """A mapping has a name twice; `problem` says which, as a clause."""


def load_unique(content: str | bytes, loader: Callable[[str | bytes], Any]) -> Any:
    """The value of a document, by a loader of PyYAML's, which takes the last of two names.

    Raises RepeatedName, also for a mapping that another one merges (`<<`), and yaml.YAMLError.
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
        if id(node) in seen:  # an alias leads to it
            continue
        seen[id(node)] = node
        if isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            todo += (part for pair in node.value for part in pair)
            names: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in names:
                    clause = f"the name {ascii(key.value)[:200]} stands twice"
                    raise RepeatedName(None, None, clause, key.start_mark)
                names.add(str(key.value))


def read(path: Path, model: type[M], context: object = None) -> M:
    """Read the file as a value of the model. Raises BadInput with file, line and fix.

    `context` is what the model's validators see as pydantic's validation context.
    """
    lines: dict[Place, int] = {}
    try:
        root = _compose(read_text(path).removeprefix("\ufeff"))
        content = _value(root, (), lines)
        return model.model_validate(content, context=context)
    except _Refusal as refusal:
        raise BadInput(f"{path}:{refusal.line}: {refusal}") from refusal
    except ValidationError as error:
        wrong = [(_line_of(e, lines), e) for e in error.errors()]
        # A name that is misspelt explains one that is missing, not the other way round.
        line, first = min(wrong, key=lambda found: (found[0], found[1]["type"] == "missing"))
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise BadInput(f"{path}:{line}: {_sentence(first, model)}{others}") from error


def _compose(text: str) -> yaml.Node:
    try:
        root: yaml.Node | None = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else _line(mark)
        if "\t" in (error.problem or "") or "'\\t'" in (error.problem or ""):
            raise _Refusal(line, "a tab; YAML indents with blanks, so use those") from error
        if "another document" in (error.problem or ""):
            raise _Refusal(line, "a second document; keep one") from error
        raise _Refusal(line, f"not YAML: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _Refusal(
            line, f"not YAML: the character {_code(error)} cannot stand here; remove it"
        ) from error
    except RecursionError as error:
        raise _Refusal(1, "nested too deeply") from error
    if root is None:
        raise _Refusal(1, "empty; is this the right file?")
    return root


def _value(node: yaml.Node, place: Place, lines: dict[Place, int]) -> Any:
    """The node as a plain value; notes the line of every part."""
    lines.setdefault(place, _line(node.start_mark))
    if isinstance(node, yaml.MappingNode):
        content: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refusal(_line(key.start_mark), "a name must be a plain text")
            if key.value in content:
                before = lines[*place, key.value]
                raise _Refusal(
                    _line(key.start_mark),
                    f"{key.value!r} stands here twice, first on line {before}; keep one",
                )
            lines[*place, key.value] = _line(key.start_mark)
            content[key.value] = _value(value, (*place, key.value), lines)
        return content
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*place, number), lines) for number, item in enumerate(node.value)]
    if node.tag == "tag:yaml.org,2002:int" and not _PLAIN_NUMBER.fullmatch(node.value):
        raise _Refusal(
            _line(node.start_mark),
            f"YAML does not read {node.value} as you do; write a plain number, "
            "or put an account id in quotes",
        )
    try:
        return yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise _Refusal(_line(node.start_mark), f"{node.value!r} is no value here") from error


def _code(error: yaml.reader.ReaderError) -> str:
    character = error.character
    return f"U+{ord(character) if isinstance(character, str) else int(character):04X}"


def _line(mark: yaml.Mark) -> int:
    return int(mark.line) + 1


def _line_of(error: ErrorDetails, lines: Mapping[Place, int]) -> int:
    place = tuple(error["loc"])
    while place not in lines:
        place = place[:-1]
    return lines[place]


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with which value, and what would be right."""
    if error["type"] == "extra_forbidden":
        *where, name = error["loc"]
        known = _names(model, where)
        near = difflib.get_close_matches(str(name), known, 1)
        mend = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        return f"unknown name {str(name)!r}; {mend}"
    said = _SENTENCES.get(error["type"], error["msg"].replace("{", "{{").replace("}", "}}"))
    words = said.format(shown=_shown(error), **error.get("ctx", {}))
    return f"{_told(error['loc'])}: {words}"


def _told(place: tuple[str | int, ...]) -> str:
    """A place as people name it: `exceptions[2].until`, counted from 1."""
    told = ""
    for part in place:
        told += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if told else part
    return told or "the document"


def _shown(error: ErrorDetails) -> str:
    value = error["input"]
    return "nothing" if value is None else repr(value)[:60]


def _names(model: type[BaseModel], where: list[str | int]) -> list[str]:
    """The names that the model knows at a place."""
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
