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
    for item in _select(compiled(items).parsed, [_Location("")]):
        for location in _select(compiled(expression).parsed, [_Location(item.path)]):
            yield location.path.removesuffix("[]")


@dataclass(frozen=True)
class _Location:
    path: str
    listed: bool = False
    """Whether JMESPath made the list that holds it, so that the answer has none here."""

    def member(self, name: str) -> _Location:
        return _Location(f"{self.path}.{name}" if self.path else name)

    def element(self) -> _Location:
        return _Location(self.path if self.listed else f"{self.path}[]")


def _select(node: Mapping[str, Any], locations: list[_Location]) -> list[_Location]:
    kind, children = node["type"], node["children"]
    match kind:
        case "literal" | "not_expression" | "comparator":
            return []
        case "identity" | "current":
            return locations
        case "field":
            return [location.member(node["value"]) for location in locations]
        case "index" | "slice":
            return [location.element() for location in locations]
        case "subexpression" | "index_expression" | "pipe":
            for child in children:
                locations = _select(child, locations)
            return locations
    return _select_from_lists(kind, node, locations)


def _select_from_lists(
    kind: str, node: Mapping[str, Any], locations: list[_Location]
) -> list[_Location]:
    children = node["children"]
    match kind:
        case "flatten":
            return [location.element() for location in _select(children[0], locations)]
        case "projection" | "filter_projection":
            left = _select(children[0], locations)
            if children[0]["type"] != "flatten":
                left = [location.element() for location in left]
            return _select(children[1], left)
        case "or_expression" | "and_expression":
            return [location for child in children for location in _select(child, locations)]
        case "multi_select_list":
            found = [location for child in children for location in _select(child, locations)]
            return [_Location(location.path, listed=True) for location in found]
        case "function_expression" if node["value"] == "values":
            values = _select(children[0], locations)
            return [_Location(f"{location.path}{{}}", listed=True) for location in values]
    raise ValueError(f"JMESPath's {kind} is not used in this list")
