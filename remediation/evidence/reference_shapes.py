"""Checks a call of the reference list against botocore's service model.

botocore parses answers by its model and drops members that it does not know: with an SDK older than
a field, the field would read as "no key". So every expression is followed through the shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .reference_list import Call, Entry, compiled

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

Node = dict[str, Any]


def problems(entry: Entry, service: ServiceModel) -> list[str]:
    """What the model does not know of an entry and its calls; empty when all is known."""
    return list(_check(entry, service, None, ()))


def next_page(call: Call, service: ServiceModel) -> tuple[str, str] | None:
    """Request and answer members of a page token, by the names that AWS usually gives them."""
    operation = service.operation_model(call.operation)
    given = operation.input_shape.members if operation.input_shape else {}
    shown = operation.output_shape.members if operation.output_shape else {}
    for send, take in _TOKENS:
        if send in given and take in shown:
            return send, take
    return None


_TOKENS = (
    ("NextToken", "NextToken"),
    ("nextToken", "nextToken"),
    ("Marker", "NextMarker"),
    ("Marker", "Marker"),
    ("marker", "nextMarker"),
    ("marker", "marker"),
    ("NextPageToken", "NextPageToken"),
    ("PageToken", "NextPageToken"),
    ("pageToken", "nextPageToken"),
    ("ContinuationToken", "NextContinuationToken"),
    ("ContinuationToken", "ContinuationToken"),
    ("continuationToken", "continuationToken"),
)


def _check(
    call: Call, service: ServiceModel, parent: Shape | None, sent: Iterable[str]
) -> Iterator[str]:
    where = f"{service.service_name} {call.operation}"
    if call.operation not in service.operation_names:
        yield f"{where}: no such operation"
        return
    operation = service.operation_model(call.operation)
    given = operation.input_shape.members if operation.input_shape else {}
    required = set(operation.input_shape.required_members if operation.input_shape else ())
    params = {*call.params, *call.take, *call.same, *call.each}
    for name in sorted(params - set(given)):
        yield f"{where}: no parameter {name}"
    for name in sorted(required - params):
        yield f"{where}: the parameter {name} is required"
    for name in sorted(set(call.same) - set(sent)):
        yield f"{where}: {name} was not sent in the call before"
    if call.page is not None and call.page.send not in given:
        yield f"{where}: no parameter {call.page.send}"
    try:
        for expression in (*call.take.values(), *filter(None, [call.in_region])):
            shape_of(expression, parent)
        assert operation.output_shape is not None
        if call.page is not None:
            shape_of(call.page.take, operation.output_shape)
        items = shape_of(call.items, operation.output_shape)
        item = items.member if items is not None and items.type_name == "list" else items
        for expression in (*call.keys, *call.documents, *filter(None, [call.resource])):
            last = shape_of(expression, item)
            while last is not None and last.type_name == "list":
                last = last.member
            if last is not None and not _may_name_a_key(last):
                raise LookupError(f"{expression} ends in a {last.type_name}, not in a string")
    except LookupError as error:
        yield f"{where}: {error.args[0]}"
        return
    for child in call.then:
        yield from _check(child, service, item, params)


def shape_of(expression: str, shape: Shape | None) -> Shape | None:
    """The shape that a JMESPath expression selects; None for a literal.

    A projection's result is the shape of one element: which lists are flattened does not matter to
    what may be named within. Raises LookupError where a member does not exist.
    """
    return _follow(compiled(expression).parsed, shape)


def _follow(node: Node, shape: Shape | None) -> Shape | None:  # noqa: PLR0911, PLR0912
    kind, children = node["type"], node["children"]
    match kind:
        case "literal":
            return None
        case "identity" | "current":
            return shape
        case "field":
            return _member(shape, node["value"])
        case "subexpression" | "index_expression" | "pipe":
            for child in children:
                shape = _follow(child, shape)
            return shape
        case "index" | "slice":
            return _element(shape)
        case "flatten":
            return _follow(children[0], shape)
        case "projection" | "filter_projection":
            element = _element(_follow(children[0], shape))
            if kind == "filter_projection":
                _follow(children[2], element)
            return _follow(children[1], element)
        case "value_projection":
            return _values(_follow(children[0], shape), children[1])
        case "or_expression" | "and_expression" | "comparator":
            shapes = [_follow(child, shape) for child in children]
            return shapes[-1] if kind == "and_expression" else shapes[0]
        case "not_expression":
            return _follow(children[0], shape)
        case "function_expression" | "multi_select_list":
            return [_follow(child, shape) for child in children][0]
    raise LookupError(f"JMESPath's {kind} is not used in this list")


def _may_name_a_key(shape: Shape) -> bool:
    return shape.type_name == "string" or _is_free_form(shape)


def _is_free_form(shape: Shape) -> bool:
    """Whether the model leaves open what is within: any JSON."""
    return bool(getattr(shape, "is_document_type", False))


def _member(shape: Shape | None, name: str) -> Shape | None:
    if shape is None:
        raise LookupError(f"{name} is asked of nothing")
    if _is_free_form(shape):
        return shape
    if shape.type_name == "map":
        keys = getattr(shape.key, "enum", ())
        if keys and name not in keys:
            raise LookupError(f"{shape.name} has no key {name}")
        return shape.value
    if shape.type_name != "structure" or name not in shape.members:
        raise LookupError(f"{shape.name} has no member {name}")
    return shape.members[name]


def _element(shape: Shape | None) -> Shape | None:
    if shape is None or shape.type_name != "list":
        return shape
    return shape.member


def _values(shape: Shape | None, rest: Node) -> Shape | None:
    """`*` over a map, or over those members of a structure in which the rest exists."""
    if shape is None or shape.type_name not in {"map", "structure"}:
        raise LookupError("* needs a map or a structure")
    if shape.type_name == "map":
        return _follow(rest, shape.value)
    error: LookupError | None = None
    found: list[Shape | None] = []
    for member in shape.members.values():
        try:
            found.append(_follow(rest, member))
        except LookupError as failure:
            error = failure
    if not found:
        raise error or LookupError(f"{shape.name} has no members")
    return found[0]
