"""The table of KMS operations, and how one request is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import AwsError, constraint
from .call import Call
from .keys import Json, Key

Handler = Callable[[Call, Key], Json]
KeylessHandler = Callable[[Call], Json]


@dataclass(frozen=True)
class Operation:
    """How an operation names its key, and from where it may be called."""

    handler: Handler
    parameter: str = "KeyId"
    alias: bool = False
    cross_account: bool = False
    action: str | None = None


MOST_TAGS = 50

_KEYED: dict[str, Operation] = {}
_KEYLESS: dict[str, KeylessHandler] = {}


def keyed(
    name: str,
    *,
    parameter: str = "KeyId",
    alias: bool = False,
    cross_account: bool = False,
    action: str | None = None,
) -> Callable[[Handler], Handler]:
    """Register an operation on one key: it is found, authorized and in a fitting state."""

    def register(handler: Handler) -> Handler:
        _KEYED[name] = Operation(handler, parameter, alias, cross_account, action)
        return handler

    return register


def keyless(name: str) -> Callable[[KeylessHandler], KeylessHandler]:
    """Register an operation that names no key, or finds its keys itself."""

    def register(handler: KeylessHandler) -> KeylessHandler:
        _KEYLESS[name] = handler
        return handler

    return register


def answer(call: Call) -> Json:
    """Answer a KMS request, or raise AwsError."""
    operation = _KEYED.get(call.operation)
    if operation is None:
        handler = _KEYLESS.get(call.operation)
        if handler is None:
            raise AwsError("UnknownOperationException", "")
        return handler(call)
    name = call.text(operation.parameter)
    key = call.key = call.find(name, operation.alias, operation.cross_account)
    call.authorize(key, operation.action or f"kms:{call.operation}")
    call.check_state(key)
    if call.params.get("DryRun"):
        raise AwsError(
            "DryRunOperationException",
            "The request would have succeeded, but the DryRun option is set.",
        )
    return operation.handler(call, key)


def tags_of(items: object) -> dict[str, str]:
    """Return a request's Tags as a dictionary."""
    if not isinstance(items, list):
        return {}
    found: dict[str, str] = {}
    for number, item in enumerate(items, 1):
        name, value = item.get("TagKey", ""), item.get("TagValue", "")
        parameter = f"tags.{number}.member"
        if not name:
            rule = "have length greater than or equal to 1"
            raise constraint(name, f"{parameter}.tagKey", rule)
        _demand_length(name, f"{parameter}.tagKey", 128)
        _demand_length(value, f"{parameter}.tagValue", 256)
        if name.lower().startswith("aws:"):
            raise AwsError("TagException", "Tags beginning with aws: are reserved")
        if name in found:
            raise AwsError("TagException", "Duplicate tag keys")
        found[name] = value
    if len(found) > MOST_TAGS:
        raise AwsError("TagException", "Too many tags")
    return found


def _demand_length(text: str, parameter: str, most: int) -> None:
    if len(text) > most:
        raise constraint(text, parameter, f"have length less than or equal to {most}")
