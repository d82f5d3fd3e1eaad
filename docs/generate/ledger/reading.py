"""The members that the reference list reads, as the finder writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from keysweep.remediation.evidence.references.entries import ReferenceList, compiled

from .finder import Member


def read_by(references: ReferenceList) -> frozenset[Member]:
    """Every member that an expression of `keys` or `documents` selects."""
    read = set()
    for entry, call in references.calls():
        for expression in (*call.keys, *call.documents):
            for path in paths(call.items, expression):
                read.add(Member(entry.service_of(call), call.operation, path))
    return frozenset(read)


def paths(items: str, expression: str) -> Iterator[str]:
    """Paths within the whole answer of an expression about its items."""
    for item in _select(compiled(items).parsed, [_Place("")]):
        for place in _select(compiled(expression).parsed, [_Place(item.path)]):
            yield place.path.removesuffix("[]")


@dataclass(frozen=True)
class _Place:
    path: str
    listed: bool = False
    """Whether JMESPath made the list that holds it, so that the answer has none here."""

    def member(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name)

    def element(self) -> _Place:
        return _Place(self.path if self.listed else f"{self.path}[]")


def _select(node: Mapping[str, Any], places: list[_Place]) -> list[_Place]:
    kind, children = node["type"], node["children"]
    match kind:
        case "literal" | "not_expression" | "comparator":
            return []
        case "identity" | "current":
            return places
        case "field":
            return [place.member(node["value"]) for place in places]
        case "index" | "slice":
            return [place.element() for place in places]
        case "subexpression" | "index_expression" | "pipe":
            for child in children:
                places = _select(child, places)
            return places
    return _select_from_lists(kind, node, places)


def _select_from_lists(kind: str, node: Mapping[str, Any], places: list[_Place]) -> list[_Place]:
    children = node["children"]
    match kind:
        case "flatten":
            return [place.element() for place in _select(children[0], places)]
        case "projection" | "filter_projection":
            left = _select(children[0], places)
            if children[0]["type"] != "flatten":
                left = [place.element() for place in left]
            return _select(children[1], left)
        case "or_expression" | "and_expression":
            return [place for child in children for place in _select(child, places)]
        case "multi_select_list":
            found = [place for child in children for place in _select(child, places)]
            return [_Place(place.path, listed=True) for place in found]
        case "function_expression" if node["value"] == "values":
            values = _select(children[0], places)
            return [_Place(f"{place.path}{{}}", listed=True) for place in values]
    raise ValueError(f"JMESPath's {kind} is not used in this list")
