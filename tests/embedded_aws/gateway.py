"""The way of every request: who, what, faults, quotas, the service, the logs."""

from __future__ import annotations

import json
import threading
import traceback
import uuid
from collections.abc import Mapping
from typing import Any

from . import sts
from .errors import JSON_TYPE, AwsError, render
from .faults import Fault
from .http_message import Reply, Request
from .identity import Identity
from .kms import crypto, describing, granting, lifecycle, service
from .kms.call import Call
from .kms.keys import Use
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


class Gateway:
    """Answers AWS requests from a world; other services than KMS and STS are moto's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._moto_lock = threading.Lock()
        self._moto: Any = None

    def replace(self, world: World) -> None:
        """Begin anew with another world."""
        self.world.faults.clear()
        with self._moto_lock:
            self.world = world
            if self._moto is not None:
                self._moto.reset()

    def answer(self, request: Request) -> Reply:
        """Answer one request; whatever goes wrong inside becomes AWS's internal error."""
        request_id = str(uuid.uuid4())
        service_name, operation = self._what(request)
        identity: Identity | None = None
        key: str | None = None
        fault: Fault | None = None
        world = self.world
        try:
            identity = self._who(request)
            key = self._key_of(request, identity)
            fault = world.faults.take(
                service_name, operation, identity.account, request.region, key
            )
            if fault is not None and fault.kind in _CODES:
                raise self._fault_error(fault, request, identity, operation, key)
            if fault is not None and fault.kind in ("drop_before", "hang_before"):
                reply = Reply(200)
            else:
                if not world.quotas.allows(
                    service_name, operation, identity.account, request.region
                ):
                    raise self._common("throttle", request)
                reply, key = self._dispatch(request, identity, operation, request_id, key)
            outcome = reply.headers.get("x-amzn-ErrorType", "ok" if reply.status < 400 else "error")
        except AwsError as error:
            if error.code == "ExpiredTokenException":
                error = self._common("expire", request)
            headers, body = render(error, request.protocol, request_id)
            reply, outcome = Reply(error.status, headers, body), error.code
        except Exception:
            traceback.print_exc()
            error = AwsError("InternalFailure", "the embedded AWS failed: see its stderr", 500)
            headers, body = render(error, request.protocol, request_id)
            reply, outcome = Reply(500, headers, body), "InternalFailure"
        reply.headers.setdefault("x-amzn-RequestId", request_id)
        if fault is not None and fault.kind not in _CODES:
            reply.cut = fault.kind
            outcome = f"fault:{fault.kind}" if outcome == "ok" else outcome
        world.calls.append(
            LoggedCall(
                world.clock.now(),
                identity.account if identity else None,
                request.region,
                service_name,
                operation,
                key,
                outcome,
                identity.arn(request.region) if identity else None,
                reply.status,
            )
        )
        if fault is not None and fault.kind.startswith("hang"):
            world.faults.released.wait(fault.seconds)
        return reply

    def _what(self, request: Request) -> tuple[str, str]:
        name = request.service or "unsigned"
        return name, request.operation or f"{request.method} {request.path}"

    def _who(self, request: Request) -> Identity:
        identity = self.world.identities.find(request.access_key)
        if identity is None:
            raise self._common("unknown", request)
        return identity

    def _common(self, kind: str, request: Request) -> AwsError:
        code, status = _CODES[kind][request.protocol]
        return AwsError(code, _SENTENCES[kind], status)

    def _fault_error(
        self, fault: Fault, request: Request, identity: Identity, operation: str, key: str | None
    ) -> AwsError:
        code, status = _CODES[fault.kind][request.protocol]
        if fault.kind == "error_500" and request.service == "kms":
            code = "KMSInternalException"
        message = fault.message or _SENTENCES[fault.kind].format(
            who=identity.arn(request.region),
            action=f"{request.service}:{operation}",
            resource=key or "*",
        )
        error = AwsError(fault.code or code, message, status)
        if fault.kind == "deny" and request.service == "kms":
            call = self._kms_call(request, identity)
            call.key = self._find(call)
            self._record(call, error)
        return error

    def _dispatch(
        self,
        request: Request,
        identity: Identity,
        operation: str,
        request_id: str,
        key: str | None,
    ) -> tuple[Reply, str | None]:
        if request.service == "kms":
            return self._kms(request, identity)
        if request.service == "sts":
            text = sts.answer(
                operation,
                request.form or request.query,
                identity,
                request.region,
                self.world.identities,
                request_id,
            )
            return Reply(200, {"Content-Type": "text/xml"}, text.encode()), key
        if request.service == "ec2" and operation == "DescribeRegions":
            enabled = list(self.world.estate.accounts[identity.account].regions)
            text = sts.describe_regions(request.form, enabled, request_id)
            return Reply(200, {"Content-Type": "text/xml"}, text.encode()), key
        return self._other(request, identity), key

    def _kms_call(self, request: Request, identity: Identity) -> Call:
        try:
            params = json.loads(request.body or b"{}")
        except ValueError:
            params = None
        if not isinstance(params, dict):
            raise AwsError("SerializationException", "")
        world = self.world
        return Call(
            world.keys,
            identity,
            request.region,
            request.operation or "",
            params,
            world.now(),
            world.tracking_started,
        )

    def _kms(self, request: Request, identity: Identity) -> tuple[Reply, str | None]:
        world = self.world
        if request.region not in world.estate.accounts[identity.account].regions:
            raise self._common("unknown", request)
        with world.lock:
            call = self._kms_call(request, identity)
            try:
                result = service.answer(call)
            except AwsError as error:
                self._record(call, error)
                raise
            self._record(call, None)
        headers = {"Content-Type": JSON_TYPE, "x-amzn-RequestId": call.request_id}
        arn = call.key.arn if call.key else None
        return Reply(200, headers, json.dumps(result).encode()), arn

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
            call.event_id,
            call.request_id,
        )
        self.world.trail.record(event)

    def _key_of(self, request: Request, identity: Identity) -> str | None:
        """Return the ARN of the key that a KMS request names, or what it says in its place."""
        if request.service != "kms":
            return None
        call = self._kms_call(request, identity)
        key = self._find(call)
        if key is not None:
            return key.arn
        named = call.params.get("KeyId") or call.params.get("TargetKeyId")
        return named if isinstance(named, str) else None

    def _find(self, call: Call) -> Any:
        named = call.params.get("KeyId") or call.params.get("TargetKeyId")
        if not isinstance(named, str):
            return None
        try:
            return call.find(named, alias=True, cross_account=True)
        except AwsError:
            return None

    def _other(self, request: Request, identity: Identity) -> Reply:
        with self._moto_lock:
            if self._moto is None:
                from .moto_bridge import Moto

                self._moto = Moto(self)
            reply: Reply = self._moto.answer(request, identity.account)
            return reply


def _recorded(params: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name[:1].lower() + name[1:]: value for name, value in params.items() if name not in _SECRET
    }


def _trail_code(error: AwsError | None) -> str | None:
    """CloudTrail writes AccessDenied where the answer says AccessDeniedException."""
    if error is None:
        return None
    return "AccessDenied" if error.code == "AccessDeniedException" else error.code
