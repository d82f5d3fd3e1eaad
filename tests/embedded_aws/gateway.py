"""The way of every request: who, what, faults, quotas, the service, the logs."""

from __future__ import annotations

import json
import re
import threading
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import cloudtrail, lake, sts
from .errors import JSON_TYPE, AwsError, render
from .faults import Fault
from .http_message import Reply, Request
from .identity import Identity
from .kms import crypto, describing, granting, lifecycle, service
from .kms.call import Call
from .kms.keys import Key, Use
from .kms.states import CRYPTOGRAPHIC
from .trail import Event
from .world import LoggedCall, World

_OPERATIONS_MODULES = (crypto, describing, granting, lifecycle)
"""Imported so that their operations are in the table."""

_SECRET = frozenset({"Plaintext", "CiphertextBlob", "Message", "EncryptedKeyMaterial", "Mac"})

_CODES = {
    "deny": {
        "json": ("AccessDeniedException", 400),
        "rest-json": ("AccessDeniedException", 403),
        "ec2": ("UnauthorizedOperation", 403),
        "query": ("AccessDenied", 403),
        "rest-xml": ("AccessDenied", 403),
    },
    "throttle": {
        "json": ("ThrottlingException", 400),
        "rest-json": ("TooManyRequestsException", 429),
        "ec2": ("RequestLimitExceeded", 503),
        "query": ("Throttling", 400),
        "rest-xml": ("SlowDown", 503),
    },
    "expire": {
        "json": ("ExpiredTokenException", 400),
        "rest-json": ("ExpiredTokenException", 403),
        "ec2": ("RequestExpired", 400),
        "query": ("ExpiredToken", 403),
        "rest-xml": ("ExpiredToken", 400),
    },
    "error_500": {
        "json": ("InternalFailure", 500),
        "rest-json": ("InternalServerErrorException", 500),
        "ec2": ("InternalError", 500),
        "query": ("InternalFailure", 500),
        "rest-xml": ("InternalError", 500),
    },
    "unknown": {
        "json": ("UnrecognizedClientException", 400),
        "rest-json": ("UnrecognizedClientException", 403),
        "ec2": ("AuthFailure", 401),
        "query": ("InvalidClientTokenId", 403),
        "rest-xml": ("InvalidAccessKeyId", 403),
    },
}
"""Codes and statuses of the common errors, which differ between AWS's protocols."""

_SENTENCES = {
    "deny": "User: {who} is not authorized to perform: {action} on resource: {resource} with an "
    "explicit deny in an identity-based policy",
    "throttle": "Rate exceeded",
    "expire": "The security token included in the request is expired",
    "error_500": "We encountered an internal error. Please try again.",
    "unknown": "The security token included in the request is invalid.",
}


@dataclass
class Visit:
    """One request on its way through the gateway."""

    request: Request
    identity: Identity | None = None
    key: str | None = None
    fault: Fault | None = None
    model: Any = None
    """botocore's operation model, where only method and path tell the operation."""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def service(self) -> str:
        """Signing name of the service."""
        return self.request.service or "unsigned"

    @property
    def operation(self) -> str:
        """Name of the operation, or method and path where it is not known."""
        if self.model is not None:
            return str(self.model.name)
        return self.request.operation or f"{self.request.method} {self.request.path}"


class Gateway:
    """Answers AWS requests from a world; other services than KMS and STS are moto's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._moto_lock = threading.Lock()
        self._moto: Any = None

    def replace(self, world: World) -> None:
        """Begin anew with another world and make its resources; ValueError if one fails."""
        self.world.faults.clear()
        with self._moto_lock:
            self.world = world
            if self._moto is not None:
                self._moto.reset()
        self.make_resources()

    def make_resources(self) -> None:
        """Make the resources of the world's estate, which costs moto's import."""
        accounts = self.world.estate.accounts.values()
        if any(region.resources for one in accounts for region in one.regions.values()):
            from . import resources

            resources.seed(self, self.world.estate)

    def answer(self, request: Request, logged: bool = True) -> Reply:
        """Answer one request; whatever goes wrong inside becomes AWS's internal error."""
        visit = Visit(request)
        try:
            reply = self._serve(visit)
            outcome = "ok" if reply.status < 400 else _error_type(reply)
        except AwsError as error:
            reply, outcome = self._refuse(visit, error)
        except Exception as trouble:  # noqa: BLE001 - the client must get an answer
            traceback.print_exception(trouble)
            words = "the embedded AWS failed: see its stderr"
            reply, outcome = self._refuse(visit, AwsError("InternalFailure", words, 500))
        reply.headers.setdefault("x-amzn-RequestId", visit.request_id)
        fault = visit.fault
        if fault is not None and fault.kind not in _CODES:
            reply.cut = fault.kind
            outcome = f"fault:{fault.kind}" if outcome == "ok" else outcome
        if logged:
            self._log(visit, outcome, reply.status)
        if fault is not None and fault.kind.startswith("hang"):
            self.world.faults.released.wait(fault.seconds)
        return reply

    def _serve(self, visit: Visit) -> Reply:
        request, world = visit.request, self.world
        identity = world.identities.find(request.access_key)
        if identity is None:
            raise _common("unknown", request)
        visit.identity = identity
        if request.operation is None:
            visit.model = self._moto_now().operation(request)
        visit.key = self._key_of(request, identity)
        where = (visit.service, visit.operation, identity.account, request.region)
        fault = visit.fault = world.faults.take(*where, visit.key)
        if fault is not None and fault.kind in _CODES:
            raise self._fault_error(visit, fault, identity)
        if fault is not None and fault.kind in ("drop_before", "hang_before"):
            return Reply(200)
        if not world.quotas.allows(*where):
            raise _common("throttle", request)
        return self._dispatch(visit, identity)

    def _refuse(self, visit: Visit, error: AwsError) -> tuple[Reply, str]:
        if error.code == "ExpiredTokenException":
            error = _common("expire", visit.request)
        headers, body = render(error, visit.request.protocol, visit.request_id)
        return Reply(error.status, headers, body), error.code

    def _log(self, visit: Visit, outcome: str, status: int) -> None:
        identity, region = visit.identity, visit.request.region
        self.world.calls.append(
            LoggedCall(
                self.world.clock.now(),
                identity.account if identity else None,
                region,
                visit.service,
                visit.operation,
                visit.key,
                outcome,
                identity.arn(region) if identity else None,
                status,
            )
        )

    def _fault_error(self, visit: Visit, fault: Fault, identity: Identity) -> AwsError:
        request = visit.request
        code, status = _CODES[fault.kind][request.protocol]
        if fault.kind == "error_500" and request.service == "kms":
            code = "KMSInternalException"
        message = fault.message or _SENTENCES[fault.kind].format(
            who=identity.arn(request.region),
            action=f"{request.service}:{visit.operation}",
            resource=visit.key or "*",
        )
        error = AwsError(fault.code or code, message, status)
        if fault.kind == "deny" and request.service == "kms":
            call = self._kms_call(request, identity)
            call.key = _find(call)
            self._record(call, error)
        return error

    def _dispatch(self, visit: Visit, identity: Identity) -> Reply:
        world, request = self.world, visit.request
        if request.service == "kms":
            return self._kms(visit, identity)
        if request.service == "sts":
            text = sts.answer(
                visit.operation,
                request.form or request.query,
                identity,
                request.region,
                self.world.identities,
                visit.request_id,
            )
            return Reply(200, {"Content-Type": "text/xml"}, text.encode())
        if request.service == "cloudtrail" and visit.operation == "LookupEvents":
            result = cloudtrail.lookup_events(
                world.trail, identity.account, request.region, request.json(), world.now()
            )
            return Reply(200, {"Content-Type": JSON_TYPE}, json.dumps(result).encode())
        if request.service == "cloudtrail" and visit.operation in lake.OPERATIONS:
            result = world.lake.answer(
                visit.operation, identity.account, request.region, request.json(), world.now()
            )
            return Reply(200, {"Content-Type": JSON_TYPE}, json.dumps(result).encode())
        if request.service == "ec2" and visit.operation == "DescribeRegions":
            enabled = list(self.world.estate.accounts[identity.account].regions)
            text = sts.describe_regions(request.form, enabled, visit.request_id)
            return Reply(200, {"Content-Type": "text/xml"}, text.encode())
        return self._other(request, identity, visit.model)

    def _kms_call(self, request: Request, identity: Identity) -> Call:
        world = self.world
        return Call(
            world.keys,
            identity,
            request.region,
            request.operation or "",
            request.json(),
            world.now(),
            world.tracking_started,
        )

    def _kms(self, visit: Visit, identity: Identity) -> Reply:
        world, request = self.world, visit.request
        if request.region not in world.estate.accounts[identity.account].regions:
            raise _common("unknown", request)
        with world.lock:
            call = self._kms_call(request, identity)
            try:
                result = service.answer(call)
            except AwsError as error:
                self._record(call, error)
                raise
            self._record(call, None)
        visit.key = call.key.arn if call.key else visit.key
        headers = {"Content-Type": JSON_TYPE, "x-amzn-RequestId": call.request_id}
        return Reply(200, headers, json.dumps(result).encode())

    def _record(self, call: Call, error: AwsError | None) -> None:
        """Write a KMS call into the trail of its caller, and a use into its keys."""
        used = [one for one in (call.key, *call.others) if one is not None]
        if error is None and call.operation in CRYPTOGRAPHIC:
            for key in used:
                key.last_use = Use(call.operation, call.now, call.event_id, call.request_id)
        event = Event(
            call.now,
            call.operation,
            call.identity.account,
            call.region,
            call.identity.arn(call.region),
            call.identity.access_key,
            tuple(key.arn for key in used),
            _recorded(call.params),
            _trail_code(error),
            error.message if error else None,
            call.request_id,
            own_id=call.event_id,
        )
        self.world.trail.record(event)
        owners = {key.account for key in used} - {event.account}
        if error is None:
            for owner in owners:
                self.world.trail.record(replace(event, account=owner))

    def _key_of(self, request: Request, identity: Identity) -> str | None:
        """Return the ARN of the key that a KMS request names, or what it says in its place."""
        if request.service != "kms":
            return None
        call = self._kms_call(request, identity)
        key = _find(call)
        if key is not None:
            return key.arn
        named = call.params.get("KeyId") or call.params.get("TargetKeyId")
        return named if isinstance(named, str) else None

    def _other(self, request: Request, identity: Identity, operation: Any) -> Reply:
        moto = self._moto_now()
        answers = self.world.answers
        if answers:
            operation = operation or moto.operation(request)
            if operation is not None:
                service = operation.service_model.service_name
                where = (identity.account, request.region, service, operation.name)
                if where in answers:
                    made: Reply = moto.serialize(request, operation, answers[where])
                    return made
        reply: Reply = moto.answer(request, identity.account, operation)
        return reply

    def _moto_now(self) -> Any:
        """Return moto, which costs a second the first time."""
        with self._moto_lock:
            if self._moto is None:
                from .moto_bridge import Moto

                self._moto = Moto(lambda: self.world)
            return self._moto


def _recorded(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name[:1].lower() + name[1:]: value for name, value in params.items() if name not in _SECRET
    }


def _trail_code(error: AwsError | None) -> str | None:
    """CloudTrail writes AccessDenied where the answer says AccessDeniedException."""
    if error is None:
        return None
    return "AccessDenied" if error.code == "AccessDeniedException" else error.code


def _find(call: Call) -> Key | None:
    """Return the key that a request names, if it does and the key exists."""
    named = call.params.get("KeyId") or call.params.get("TargetKeyId")
    if not isinstance(named, str):
        return None
    try:
        return call.find(named, alias=True, cross_account=True)
    except AwsError:
        return None


def _common(kind: str, request: Request) -> AwsError:
    """Return one of the errors that every service has, in the words of its protocol."""
    code, status = _CODES[kind][request.protocol]
    return AwsError(code, _SENTENCES[kind], status)


def _error_type(reply: Reply) -> str:
    """Return the error code in a reply of moto."""
    for name, value in reply.headers.items():
        if name.lower() == "x-amzn-errortype":
            return value
    found = re.search(rb'<Code>(.*?)</Code>|"__type": ?"(?:[^"#]*#)?([^"]*)"', reply.body)
    return (found[1] or found[2]).decode() if found else f"http {reply.status}"
