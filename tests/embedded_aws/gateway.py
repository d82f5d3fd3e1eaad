"""The way of every request: who, what, faults, quotas, permission, the service, the log."""

from __future__ import annotations

import json
import re
import threading
import traceback
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import cloudtrail, organization, sts, tasks
from .common_errors import CODES, common
from .errors import JSON_TYPE, AwsError, render
from .faults import Fault
from .http_message import Reply, Request
from .iam_actions import action_of
from .iam_policy import Ask
from .iam_resources import resource_context, resource_of
from .identity import Identity
from .kms import front as kms
from .refusals import PAGE
from .world import LoggedCall, World

_XML = {"Content-Type": "text/xml"}
_JSON = {"Content-Type": JSON_TYPE}


@dataclass
class Visit:
    """One request on its way through the gateway."""

    request: Request
    seeds: bool = False
    """Whether the request makes the scenario's resources, as was once allowed."""
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
    """Answers AWS requests from a world; what is not answered here is moto's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.endpoint = ""
        """URL of this server, for what runs inside it and calls AWS."""
        self._connected: World | None = None
        """The world to which Step Functions is connected."""
        self._moto_lock = threading.Lock()
        self._moto: Any = None

    def replace(self, world: World) -> None:
        """Begin anew with another world and make its resources; ValueError if one fails."""
        self.world.faults.clear()
        self.world.tasks.end()
        with self._moto_lock:
            self.world = world
            if self._moto is not None:
                self._moto.reset()
        self.make_resources()

    def make_resources(self) -> None:
        """Make the resources of the world's scenario, which costs moto's import."""
        accounts = self.world.scenario.accounts.values()
        if any(region.resources for one in accounts for region in one.regions.values()):
            from . import resources

            resources.seed(self, self.world.scenario)

    def answer(self, request: Request, logged: bool = True) -> Reply:
        """Answer one request; whatever goes wrong inside becomes AWS's internal error."""
        visit = Visit(request, seeds=not logged)
        try:
            reply = self._serve(visit)
            outcome = "ok" if reply.status < 400 else _error_type(reply)
        except AwsError as error:
            reply, outcome = self._refuse(visit, error)
        except Exception as trouble:  # noqa: BLE001 - the client must get an answer
            traceback.print_exception(trouble)
            words = "the embedded AWS failed: see its stderr"
            reply, outcome = self._refuse(visit, AwsError("InternalFailure", words, 500))
        named = "x-amz-request-id" if request.service == "s3" else "x-amzn-RequestId"
        reply.headers.setdefault(named, visit.request_id)
        fault = visit.fault
        if fault is not None and fault.kind not in CODES:
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
            raise common("unknown", request)
        visit.identity = identity
        if request.operation is None:
            visit.model = self._moto_now().operation(request)
        visit.key = self._key_of(request, identity)
        where = (visit.service, visit.operation, identity.account, request.region)
        fault = visit.fault = world.faults.take(*where, visit.key)
        if fault is not None and fault.kind in CODES:
            raise self._fault_error(visit, fault, identity)
        if fault is not None and fault.kind in ("drop_before", "hang_before"):
            return Reply(200)
        if not world.quotas.allows(*where):
            raise common("throttle", request)
        refused = None if visit.seeds else self._refusal(visit, identity)
        reply = refused or self._dispatch(visit, identity)
        if fault is not None and fault.kind == "meddle":
            self._meddle(visit, fault.then or {})
        return reply

    def _refuse(self, visit: Visit, error: AwsError) -> tuple[Reply, str]:
        if error.code == "ExpiredTokenException":
            error = common("expire", visit.request)
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
        action = action_of(visit.service, visit.operation)
        usual = common(
            fault.kind,
            request,
            who=identity.arn(request.region),
            action=action,
            resource=visit.key or "*",
            why=f"because no identity-based policy allows the {action} action",
        )
        error = AwsError(fault.code or usual.code, fault.message or usual.message, usual.status)
        if fault.kind == "deny" and request.service == "kms":
            kms.deny(self.world, request, identity, error)
        return error

    def _meddle(self, visit: Visit, then: Mapping[str, Any]) -> None:
        """Let the operator of the called key's account do something to it."""
        account = (visit.key or "").split(":")[4] if visit.key else None
        operator = self.world.identities.operator(account or "")
        if operator is None or visit.key is None:
            raise AwsError("InternalFailure", "meddle needs a call that names a key", 500)
        named = {"KeyId": visit.key} if "TargetKeyId" not in then else {}
        kms.meddle(self.world, operator, visit.request.region, {**named, **then})

    def _refusal(self, visit: Visit, identity: Identity) -> Reply | None:
        """Refuse as the Region, the caller's policies or the service do; a reply is a page."""
        request, world = visit.request, self.world
        region = world.scenario.accounts[identity.account].regions.get(request.region)
        if region is not None and region.refuses_tokens:
            raise common("unknown", request)
        self._authorize(visit, identity)
        if not world.refusals:
            return None
        visit.model = visit.model or self._moto_now().operation(request)
        if visit.model is None:
            return None
        where = (identity.account, request.region, visit.model.service_model.service_name)
        refusal = world.refusals.get((*where, visit.operation)) or world.refusals.get((*where, "*"))
        if refusal is None:
            return None
        if refusal.page:
            return Reply(refusal.status, {"Content-Type": "text/html"}, PAGE)
        raise AwsError(
            refusal.code,
            refusal.message.format(
                who=identity.arn(request.region), account=identity.account, region=request.region
            ),
            refusal.status,
        )

    def _authorize(self, visit: Visit, identity: Identity) -> None:
        """Ask the caller's IAM policies; KMS asks them itself, together with the key policy."""
        if visit.service == "kms" or visit.operation == "GetCallerIdentity":
            return
        action = action_of(visit.service, visit.operation)
        context = {"aws:requestedregion": visit.request.region, **resource_context(visit.request)}
        resource = resource_of(action, visit.request, identity.account)
        refusal = identity.refusal(Ask(action, resource, context))
        if refusal is not None:
            who = identity.arn(visit.request.region)
            raise common(
                "deny", visit.request, who=who, action=action, resource=resource or "*", why=refusal
            )

    def _dispatch(self, visit: Visit, identity: Identity) -> Reply:
        world, request, operation = self.world, visit.request, visit.operation
        if request.service == "kms":
            stale = visit.fault is not None and visit.fault.kind == "stale"
            reply, key = kms.answer(world, request, identity, stale)
            visit.key = key or visit.key
            return reply
        if request.service == "sts":
            text = sts.answer(
                operation,
                request.form or request.query,
                identity,
                request.region,
                world.identities,
                visit.request_id,
            )
            return Reply(200, dict(_XML), text.encode())
        if request.service == "cloudtrail" and operation == "LookupEvents":
            result = cloudtrail.lookup_events(
                world.trail, identity.account, request.region, request.json(), world.now()
            )
            return Reply(200, dict(_JSON), json.dumps(result).encode())
        if request.service in {"athena", "cloudtrail", "glue"}:
            made = world.athena.answer(
                request.service, operation, identity.account, request.region, request.json()
            )
            if made is not None:
                return Reply(200, dict(_JSON), json.dumps(made).encode())
        if request.service == "s3" and request.query.keys() & {"list-type", "lifecycle"}:
            text = world.athena.bucket(request.path.strip("/"), request.query)
            if text is not None:
                return Reply(200, dict(_XML), text.encode())
        if (run := self._runs(visit, identity)) is not None:
            return Reply(200, dict(_JSON), json.dumps(run).encode())
        if request.service == "ec2" and operation == "DescribeRegions":
            enabled = list(world.scenario.accounts[identity.account].regions)
            text = sts.describe_regions(request.form, enabled, visit.request_id)
            return Reply(200, dict(_XML), text.encode())
        return self._other(request, identity, visit.model)

    def _runs(self, visit: Visit, identity: Identity) -> dict[str, Any] | None:
        """What AWS Organizations and the tasks of Amazon ECS answer, if the request is theirs."""
        request, operation = visit.request, visit.operation
        if request.service == "organizations" and operation in organization.OPERATIONS:
            scenario, caller = self.world.scenario, identity.account
            return organization.answer(operation, scenario, caller, request.json())
        if request.service == "ecs" and operation in tasks.OPERATIONS:
            run = self.world.tasks.answer
            return run(operation, identity, request.region, request.json(), self.endpoint)
        return None

    def _key_of(self, request: Request, identity: Identity) -> str | None:
        """Return the key that a request is about, for faults and the log."""
        if request.service == "kms":
            return kms.key_of(self.world, request, identity)
        if request.operation == "LookupEvents":
            attributes = request.json().get("LookupAttributes") or [{}]
            if attributes[0].get("AttributeKey") == "ResourceName":
                return str(attributes[0].get("AttributeValue"))
        if request.operation == "DescribeStackResources":
            return request.form.get("PhysicalResourceId")
        return None

    def _other(self, request: Request, identity: Identity, operation: Any) -> Reply:
        moto = self._moto_now()
        if request.service == "states":
            self._connect_step_functions()
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

    def _connect_step_functions(self) -> None:
        """Let the state machines of this world call this server, as their roles."""
        if self._connected is not self.world:
            from . import step_functions

            step_functions.connect(self.endpoint, self._session_of_a_state_machine)
            self._connected = self.world

    def _session_of_a_state_machine(self, role: str) -> dict[str, str]:
        """boto3's credentials of a role that trusts Step Functions, in its own account."""
        identities = self.world.identities
        owner = identities.operator(role.split(":")[4])
        if owner is None:
            raise AwsError("AccessDeniedException", f"{role} is not of an account here")
        session = identities.assume(owner, role, "states", 3600, None)
        return {
            "aws_access_key_id": session.access_key,
            "aws_secret_access_key": "secret",
            "aws_session_token": "token",
        }

    def _moto_now(self) -> Any:
        """Return moto, which costs a second the first time."""
        with self._moto_lock:
            if self._moto is None:
                from .moto_bridge import Moto

                self._moto = Moto(lambda: self.world)
            return self._moto


def _error_type(reply: Reply) -> str:
    """Return the error code in a reply of moto."""
    for name, value in reply.headers.items():
        if name.lower() == "x-amzn-errortype":
            return value
    found = re.search(rb'<Code>(.*?)</Code>|"__type": ?"(?:[^"#]*#)?([^"]*)"', reply.body)
    return (found[1] or found[2]).decode() if found else f"http {reply.status}"
