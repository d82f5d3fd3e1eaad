"""Compare calls of the reference list with botocore's service models.

botocore drops members of an answer that its model lacks. With an SDK older than a field, the field
would look empty, so each expression is followed through the model's shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from .entries import Call, Entry, compiled

if TYPE_CHECKING:
    from botocore.model import OperationModel, ServiceModel


Models = Callable[[Call], "ServiceModel"]
"""The model of the service that a call asks."""


def problems(entry: Entry, models: Models) -> list[str]:
    """What the models lack for an entry and its calls; empty if nothing."""
    return list(_check(entry, models, None, ()))


class Compared:
    """What the models lack for each entry, compared once a run, whose models stay the same."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Entry, list[str]]] = {}
        """By the id of an entry, which is kept so that no other has its id."""

    def problems(self, entry: Entry, models: Models) -> list[str]:
        """As `problems`. An error of `models` passes through."""
        found = self._found.get(id(entry))
        if found is None:
            found = self._found[id(entry)] = entry, problems(entry, models)
        return found[1]


def next_page(call: Call, service: ServiceModel) -> tuple[str, str] | None:
    """Request and answer members of a page token, by AWS's usual names for them."""
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


def _check(call: Call, models: Models, parent: Shape | None, sent: Iterable[str]) -> Iterator[str]:
    service = models(call)
    where = f"{service.service_name} {call.operation}"
    if call.operation not in service.operation_names:
        yield f"{where}: no such operation"
        return
    operation = service.operation_model(call.operation)
    params = {*call.params, *call.take, *call.same, *call.each}
    yield from (f"{where}: {problem}" for problem in _of_request(call, operation, params, sent))
    try:
        item = _item(call, operation, parent)
    except LookupError as error:
        yield f"{where}: {error.args[0]}"
        return
    for child in call.then:
        yield from _check(child, models, item, params)


def _of_request(
    call: Call, operation: OperationModel, params: set[str], sent: Iterable[str]
) -> Iterator[str]:
    given = operation.input_shape.members if operation.input_shape else {}
    required = set(operation.input_shape.required_members if operation.input_shape else ())
    for name in sorted(params - set(given)):
        yield f"no parameter {name}"
    for name in sorted(required - params):
        yield f"the parameter {name} is required"
    for name in sorted(set(call.same) - set(sent)):
        yield f"{name} was not sent in the call before"
    if call.page is not None and call.page.send not in given:
        yield f"no parameter {call.page.send}"


def _item(call: Call, operation: OperationModel, parent: Shape | None) -> Shape | None:
    """Follow each expression of the call, and return the shape of an item."""
    for expression in (*call.take.values(), *filter(None, [call.in_region])):
        shape_of(expression, parent)
    for shown in (call.page.take if call.page else None, call.not_found):
        if shown is not None:
            shape_of(shown, operation.output_shape)
    item = _element(shape_of(call.items, operation.output_shape))
    if call.resource is not None:
        shape_of(call.resource, item)
    for expression in (*call.keys, *call.documents):
        last = shape_of(expression, item)
        while isinstance(last, ListShape):
            last = _element(last)
        if last is None or not (last.type_name == "string" or _is_free_form(last)):
            raise LookupError(f"{expression} does not end in a string")
    return item


def shape_of(expression: str, shape: Shape | None) -> Shape | None:
    """The shape that a JMESPath expression selects; None for a literal.

    A projection has the shape of one element, whichever lists are flattened. Raises LookupError if
    a member does not exist.
    """
    return _follow(compiled(expression).parsed, shape)


def _follow(node: Mapping[str, Any], shape: Shape | None) -> Shape | None:
    kind, children = node["type"], node["children"]
    match kind:
        case "literal":
            return None
        case "identity" | "current":
            return shape
        case "field":
            return _member(shape, node["value"])
        case "subexpression" | "index_expression" | "pipe" | "flatten" | "not_expression":
            return _follow_chain(children, shape)
        case "index" | "slice":
            return _element(shape)
        case "projection" | "filter_projection":
            return _follow_projection(children, shape)
        case "or_expression" | "comparator" | "multi_select_list":
            return _follow_all(children, shape)[0]
        case "and_expression":
            return _follow_all(children, shape)[-1]
        case "function_expression":
            argument = _follow_all(children, shape)[0]
            return _value(argument) if node["value"] == "values" else argument
    # Above all value_projection: after `a.*.b`, jmespath 1.1 ends the projection and finds nothing.
    raise LookupError(f"JMESPath's {kind} is not used in this list")


def _follow_chain(nodes: list[Mapping[str, Any]], shape: Shape | None) -> Shape | None:
    for node in nodes:
        shape = _follow(node, shape)
    return shape


def _follow_projection(nodes: list[Mapping[str, Any]], shape: Shape | None) -> Shape | None:
    """Follow a list, a selection from its elements and, for a filter, its condition."""
    listed, selection, *condition = nodes
    element = _element(_follow(listed, shape))
    _follow_all(condition, element)
    return _follow(selection, element)


def _follow_all(nodes: list[Mapping[str, Any]], shape: Shape | None) -> list[Shape | None]:
    return [_follow(node, shape) for node in nodes]


def _is_free_form(shape: Shape | None) -> bool:
    """Whether the model allows any JSON."""
    return bool(getattr(shape, "is_document_type", False))


def _member(shape: Shape | None, name: str) -> Shape | None:
    if _is_free_form(shape):
        return shape
    if isinstance(shape, MapShape):
        keys = getattr(shape.key, "enum", ())
        if keys and name not in keys:
            raise LookupError(f"{shape.name} has no key {name}")
        return _value(shape)
    if not isinstance(shape, StructureShape) or name not in shape.members:
        raise LookupError(f"{shape.name if shape else 'nothing'} has no member {name}")
    return shape.members[name]


def _element(shape: Shape | None) -> Shape | None:
    return shape.member if isinstance(shape, ListShape) else shape


def _value(shape: Shape | None) -> Shape | None:
    if isinstance(shape, MapShape):
        return shape.value
    raise LookupError("values() needs a map")
