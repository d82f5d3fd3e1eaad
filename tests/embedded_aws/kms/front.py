"""KMS as the gateway sees it: finds the key of a request, answers it, records it in the trail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .. import names
from ..common_errors import common
from ..errors import JSON_TYPE, AwsError
from ..http_message import Reply, Request
from ..identity import Identity
from ..trail import Event
from . import crypto, describing, granting, lifecycle, service
from .call import Call
from .keys import Key, Use
from .states import CRYPTOGRAPHIC

if TYPE_CHECKING:
    from ..world import World

OPERATION_MODULES = (crypto, describing, granting, lifecycle)
"""Imported so that their operations are in the table."""

_SECRET = frozenset({"Plaintext", "CiphertextBlob", "Message", "EncryptedKeyMaterial", "Mac"})


def key_of(world: World, request: Request, identity: Identity) -> str | None:
    """Return the ARN of the key that a request names, or the name that it gives instead."""
    call = _call(world, request.operation or "", request.json(), identity, request.region)
    key = _find(call)
    if key is not None:
        return key.arn
    named = call.params.get("KeyId") or call.params.get("TargetKeyId")
    return named if isinstance(named, str) else None


def answer(
    world: World, request: Request, identity: Identity, stale: bool
) -> tuple[Reply, str | None]:
    """Answer a request; return also the ARN of its key. Raise AwsError as AWS refuses."""
    if request.region not in world.scenario.accounts[identity.account].regions:
        raise common("unknown", request)
    with world.lock:
        call = _call(world, request.operation or "", request.json(), identity, request.region)
        call.agent = request.headers.get("user-agent", call.agent)
        call.stale = stale
        try:
            result = service.answer(call)
        except AwsError as error:
            _record(world, call, error)
            raise
        _record(world, call, None, result)
    headers = {"Content-Type": JSON_TYPE, "x-amzn-RequestId": call.request_id}
    reply = Reply(200, headers, json.dumps(result).encode())
    return reply, call.key.arn if call.key else None


def deny(world: World, request: Request, identity: Identity, error: AwsError) -> None:
    """Record a denial on demand, as the trail has every denial."""
    with world.lock:
        call = _call(world, request.operation or "", request.json(), identity, request.region)
        call.key = _find(call)
        _record(world, call, error)


def meddle(world: World, identity: Identity, region: str, then: Mapping[str, Any]) -> None:
    """Make the KMS call of another principal; raise AwsError if it is refused."""
    params = {name: value for name, value in then.items() if name != "operation"}
    with world.lock:
        call = _call(world, str(then["operation"]), params, identity, region)
        _record(world, call, None, service.answer(call))


def _call(
    world: World, operation: str, params: dict[str, Any], identity: Identity, region: str
) -> Call:
    return Call(
        world.keys, identity, region, operation, params, world.now(), world.tracking_started
    )


def _find(call: Call) -> Key | None:
    """Return the key that a request names, if it does and the key exists."""
    named = call.params.get("KeyId") or call.params.get("TargetKeyId")
    if not isinstance(named, str):
        return None
    try:
        return call.find(named, alias=True, cross_account=True)
    except AwsError:
        return None


def _record(
    world: World, call: Call, error: AwsError | None, result: Mapping[str, Any] | None = None
) -> None:
    """Write a call into the trails of its caller and its key's owner, and a use into its keys."""
    used = [one for one in (call.key, *call.others) if one is not None]
    if error is None and call.operation in CRYPTOGRAPHIC:
        for key in used:
            key.last_use = Use(call.operation, call.now, call.event_id, call.request_id)
    shown = error is None or world.scenario.failed_events_carry_resources
    event = Event(
        call.now,
        call.operation,
        call.identity.account,
        call.region,
        call.identity.arn(call.region),
        call.identity.access_key,
        (*_alias(call, used), *(key.arn for key in used)) if shown else (),
        _recorded(call.params),
        _trail_code(error),
        error.message if error else None,
        call.request_id,
        own_id=call.event_id,
        agent=call.agent,
        answer=result if call.operation == "ScheduleKeyDeletion" else None,
    )
    world.trail.record(event)
    if error is None:
        for owner in {key.account for key in used} - {event.account}:
            world.trail.record(replace(event, account=owner))


def _alias(call: Call, used: list[Key]) -> tuple[str, ...]:
    """The alias that a call changes: its event has it in `resources`, beside the one key that it is
    put on or taken from ("UpdateAlias", Logging AWS KMS API calls, AWS KMS Developer Guide)."""
    name = call.params.get("AliasName")
    if not isinstance(name, str) or not used:
        return ()
    return (names.alias_arn(used[0].account, used[0].region, name),)


def _recorded(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name[:1].lower() + name[1:]: value for name, value in params.items() if name not in _SECRET
    }


def _trail_code(error: AwsError | None) -> str | None:
    """CloudTrail writes AccessDenied where the answer says AccessDeniedException."""
    if error is None:
        return None
    return "AccessDenied" if error.code == "AccessDeniedException" else error.code
