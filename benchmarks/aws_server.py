"""A lightweight AWS for benchmarks: python -m benchmarks.aws_server, which prints its port.

It computes each answer from the ARN in the request. It has KMS and STS; every other service is
empty, and so is the event history. Latency and AWS's quotas are configurable, and requests are
counted by operation. It is one process with one thread. `bench_server` checks that it is much
faster than what is measured with it.

`POST /control` takes the JSON of `Setting` and starts a new count; `GET /counts` returns the
counts.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from .scenario import REGIONS, Scenario, account_of_access_key, account_region_of

QUOTAS: Final = {
    "kms:CancelKeyDeletion": 5,
    "kms:DescribeKey": 2000,
    "kms:GetKeyLastUsage": 5,
    "kms:GetKeyPolicy": 1000,
    "kms:GetKeyRotationStatus": 1000,
    "kms:ListAliases": 500,
    "kms:ListGrants": 100,
    "kms:ListKeyRotations": 100,
    "kms:ListKeys": 500,
    "kms:ListResourceTags": 2000,
    "kms:ScheduleKeyDeletion": 15,
    "kms:TagResource": 10,
    "cloudtrail:LookupEvents": 2,
}
"""Requests per second in one account and Region: "Request quotas" (AWS KMS Developer Guide),
"Quotas in AWS CloudTrail" (AWS CloudTrail User Guide). A bucket holds one second's worth."""

BORN: Final = datetime(2020, 9, 13, tzinfo=UTC).timestamp()
USED: Final = datetime(2026, 5, 1, tzinfo=UTC).timestamp()
TRACKED_SINCE: Final = datetime(2026, 4, 23, tzinfo=UTC).timestamp()

JSON: Final = "application/x-amz-json-1.1"
XML: Final = "text/xml"

_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TARGET: Final = re.compile(rb"(?i)\r\nx-amz-target: *[\w.]+\.(\w+)")
_HOST: Final = re.compile(rb"(?i)\r\nhost: *(\S+)")
_SCOPE: Final = re.compile(rb"Credential=(\w+)/\d+/([\w-]+)/([\w-]+)/aws4_request")


@dataclass
class Setting:
    """How the server behaves, and which keys there are."""

    latency: float = 0.0
    """Delay of every answer, in seconds."""
    quotas: bool = False
    scenario: Scenario = field(default_factory=Scenario)


@dataclass
class World:
    """State that all connections share."""

    setting: Setting = field(default_factory=Setting)
    counts: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    """Highest number of requests of an operation in one account and Region within one second."""
    pending: dict[str, float] = field(default_factory=dict)
    """Deletion dates of the keys that are pending deletion, by ARN."""
    buckets: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)
    seconds: dict[tuple[str, str, str], tuple[int, int]] = field(default_factory=dict)
    in_flight: int = 0
    most_in_flight: int = 0

    def control(self, order: dict[str, Any]) -> None:
        """Apply a setting and start a new count; keys keep their states unless `fresh`."""
        self.setting = Setting(order["latency"], order["quotas"], Scenario(**order["scenario"]))
        if order["fresh"]:
            self.pending.clear()
        for counter in (self.counts, self.throttled, self.most):
            counter.clear()
        self.buckets.clear()
        self.seconds.clear()
        self.most_in_flight = self.in_flight

    def report(self) -> dict[str, Any]:
        """The counts, as JSON."""
        return {
            "requests": dict(self.counts),
            "throttled": dict(self.throttled),
            "most_a_second": dict(self.most),
            "most_in_flight": self.most_in_flight,
        }

    def count(self, account: str, region: str, operation: str) -> bool:
        """Count a request. Returns whether the quota allows it."""
        self.counts[operation] += 1
        now = time.monotonic()
        where = (account, region, operation)
        second, seen = self.seconds.get(where, (0, 0))
        seen = seen + 1 if int(now) == second else 1
        self.seconds[where] = int(now), seen
        self.most[operation] = max(self.most[operation], seen)
        limit = QUOTAS.get(operation)
        if limit is None or not self.setting.quotas:
            return True
        level, then = self.buckets.get(where, (limit, now))
        level = min(limit, level + (now - then) * limit)
        allowed = level >= 1
        self.buckets[where] = (level - 1 if allowed else level, now)
        if not allowed:
            self.throttled[operation] += 1
        return allowed


class Connection(asyncio.Protocol):
    """One connection: one request after another without pipelining, as AWS's SDKs send them."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self._world = world
        self._loop = loop
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < whole:
                if b"100-continue" in head:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body = self._buffer[end + 4 : whole]
            self._buffer = self._buffer[whole:]
            self._take(head, body)

    def _take(self, head: bytes, body: bytes) -> None:
        world = self._world
        if head.startswith((b"POST /control", b"GET /counts")):
            if head.startswith(b"POST"):
                world.control(json.loads(body))
            self._transport.write(_message(200, JSON, json.dumps(world.report()).encode()))
            return
        answer = _message(*answer_to(world, head, body))
        if not world.setting.latency:
            self._transport.write(answer)
            return
        world.in_flight += 1
        world.most_in_flight = max(world.most_in_flight, world.in_flight)
        self._loop.call_later(world.setting.latency, self._send, answer)

    def _send(self, answer: bytes) -> None:
        self._world.in_flight -= 1
        if not self._transport.is_closing():
            self._transport.write(answer)


def _message(status: int, kind: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nDate: {_date(int(time.time()))}\r\n"
        f"x-amzn-RequestId: 0\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


@cache
def _date(moment: int) -> str:
    return formatdate(moment, usegmt=True)


# --- answers ------------------------------------------------------------------------------------

Answer = tuple[int, str, bytes]


def answer_to(world: World, head: bytes, body: bytes) -> Answer:
    """Status, content type and body of the answer to a request."""
    scope = _SCOPE.search(head)
    account = account_of_access_key(scope[1].decode()) if scope else "0"
    region, service = (scope[2].decode(), scope[3].decode()) if scope else ("", "")
    if target := _TARGET.search(head):
        operation = target[1].decode()
        if not world.count(account, region, f"{service}:{operation}"):
            return _refused("ThrottlingException", "Rate exceeded")
        if operation == "DescribeEndpoints":
            return _endpoints(head)
        return _json(world, service, operation, account, region, body)
    if b"x-www-form-urlencoded" in head:
        form = parse_qs(body.decode())
        operation = form["Action"][0]
        world.count(account, region, f"{service}:{operation}")
        if operation == "DescribeStackResources":
            return 400, XML, _NO_STACK
        return 200, XML, _form(world, service, operation, account, form).encode()
    world.count(account, region, f"{service}:{head.split(b' ', 2)[1].decode()}")
    if service in _NOTHING_IN_XML:
        return 200, XML, _NOTHING_IN_XML[service]
    return 200, JSON, b"{}"


_NO_STACK: Final = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>"
    b"<Message>Stack for the resource does not exist</Message></Error></ErrorResponse>"
)
_NOTHING_IN_XML: Final = {
    "s3": b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>",
    "s3express": b"<ListAllMyDirectoryBucketsResult><Buckets/></ListAllMyDirectoryBucketsResult>",
    "route53": b"<ListHostedZonesResponse><HostedZones/><IsTruncated>false</IsTruncated>"
    b"<MaxItems>100</MaxItems></ListHostedZonesResponse>",
}


def _json(
    world: World, service: str, operation: str, account: str, region: str, body: bytes
) -> Answer:
    if service == "kms" and (answer := _KMS.get(operation)):
        return answer(world, account, region, json.loads(body))
    return 200, JSON, b'{"Events":[]}' if operation == "LookupEvents" else b"{}"


def _endpoints(head: bytes) -> Answer:
    """Timestream's SDK first reads its host, which is this one."""
    host = _HOST.search(head)
    assert host is not None
    endpoint = {"Address": f"http://{host[1].decode()}", "CachePeriodInMinutes": 1440}
    return _json_answer({"Endpoints": [endpoint]})


def _refused(code: str, message: str) -> Answer:
    return 400, JSON, json.dumps({"__type": code, "message": message}).encode()


def _json_answer(document: dict[str, Any]) -> Answer:
    return 200, JSON, json.dumps(document).encode()


def _arn(account: str, region: str, request: dict[str, Any]) -> str:
    given: str = request["KeyId"]
    return given if given.startswith("arn:") else f"arn:aws:kms:{region}:{account}:key/{given}"


def _list_keys(world: World, account: str, region: str, request: dict[str, Any]) -> Answer:
    ids = world.setting.scenario.key_ids(account, region)
    start, size = int(request.get("Marker", 0)), request.get("Limit", 100)
    page = ids[start : start + size]
    more = start + size < len(ids)
    home = f"arn:aws:kms:{region}:{account}:key/"
    keys = [{"KeyId": one, "KeyArn": home + one} for one in page]
    marker = {"NextMarker": str(start + size)} if more else {}
    return _json_answer({"Keys": keys, "Truncated": more, **marker})


def _describe_key(world: World, account: str, region: str, request: dict[str, Any]) -> Answer:
    arn = _arn(account, region, request)
    until = world.pending.get(arn)
    state: dict[str, Any] = {"KeyState": "PendingDeletion", "DeletionDate": until}
    if until is None:
        state = {"KeyState": "Disabled" if world.setting.scenario.is_disabled(arn) else "Enabled"}
    return _json_answer(
        {
            "KeyMetadata": {
                "AWSAccountId": arn.split(":")[4],
                "KeyId": arn[-36:],
                "Arn": arn,
                "CreationDate": BORN,
                "Enabled": state["KeyState"] == "Enabled",
                "Description": "",
                "KeyUsage": "ENCRYPT_DECRYPT",
                "Origin": "AWS_KMS",
                "KeyManager": "CUSTOMER",
                "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
                "KeySpec": "SYMMETRIC_DEFAULT",
                "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
                "MultiRegion": False,
                **state,
            }
        }
    )


def _list_resource_tags(world: World, account: str, region: str, request: dict[str, Any]) -> Answer:
    kept = world.setting.scenario.is_kept(_arn(account, region, request))
    tags = [{"TagKey": "keysweep:keep", "TagValue": "yes"}] if kept else []
    return _json_answer({"Tags": tags, "Truncated": False})


def _get_key_policy(_world: World, account: str, _region: str, _asked: dict[str, Any]) -> Answer:
    statement = {
        "Sid": "root",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    return _json_answer({"Policy": policy, "PolicyName": "default"})


def _get_key_last_usage(
    _world: World, account: str, region: str, request: dict[str, Any]
) -> Answer:
    return _json_answer(
        {
            "KeyId": _arn(account, region, request),
            "KeyCreationDate": BORN,
            "TrackingStartDate": TRACKED_SINCE,
            "KeyLastUsage": {"Operation": "Decrypt", "Timestamp": USED},
        }
    )


def _schedule_key_deletion(
    world: World, account: str, region: str, request: dict[str, Any]
) -> Answer:
    arn = _arn(account, region, request)
    if arn in world.pending:
        return _refused("KMSInvalidStateException", f"{arn} is pending deletion.")
    days = request.get("PendingWindowInDays", 30)
    world.pending[arn] = until = round(time.time(), 3) + days * 86_400
    answer = {"KeyId": arn, "DeletionDate": until, "KeyState": "PendingDeletion"}
    return _json_answer({**answer, "PendingWindowInDays": days})


def _cancel_key_deletion(
    world: World, account: str, region: str, request: dict[str, Any]
) -> Answer:
    arn = _arn(account, region, request)
    if world.pending.pop(arn, None) is None:
        return _refused("KMSInvalidStateException", f"{arn} is not pending deletion.")
    return _json_answer({"KeyId": arn})


def _empty(name: str) -> Callable[[World, str, str, dict[str, Any]], Answer]:
    answer = _json_answer({name: [], "Truncated": False})
    return lambda _world, _account, _region, _asked: answer


_KMS: Final[dict[str, Callable[[World, str, str, dict[str, Any]], Answer]]] = {
    "CancelKeyDeletion": _cancel_key_deletion,
    "DescribeKey": _describe_key,
    "GetKeyLastUsage": _get_key_last_usage,
    "GetKeyPolicy": _get_key_policy,
    "GetKeyRotationStatus": lambda *_: _json_answer({"KeyRotationEnabled": False}),
    "ListAliases": _empty("Aliases"),
    "ListGrants": _empty("Grants"),
    "ListKeyRotations": _empty("Rotations"),
    "ListKeys": _list_keys,
    "ListResourceTags": _list_resource_tags,
    "ScheduleKeyDeletion": _schedule_key_deletion,
}


def _form(
    world: World, service: str, operation: str, account: str, form: dict[str, list[str]]
) -> str:
    if service == "ec2":
        answer = ""
        if operation == "DescribeRegions":
            enabled = REGIONS[: world.setting.scenario.regions]
            answer = "".join(
                f"<item><regionName>{name}</regionName>"
                "<optInStatus>opt-in-not-required</optInStatus></item>"
                for name in enabled
            )
            answer = f"<regionInfo>{answer}</regionInfo>"
        return f"<{operation}Response><requestId>0</requestId>{answer}</{operation}Response>"
    answer = ""
    if operation == "GetCallerIdentity":
        arn = f"arn:aws:iam::{account}:user/operator"
        answer = f"<Arn>{arn}</Arn><UserId>AIDAOPERATOR</UserId><Account>{account}</Account>"
    elif operation == "AssumeRole":
        entered = account_region_of(form["RoleArn"][0])[0]
        until = datetime.fromtimestamp(time.time() + 3600, UTC).isoformat()
        answer = (
            f"<Credentials><AccessKeyId>ASIA{entered}</AccessKeyId><SecretAccessKey>s"
            "</SecretAccessKey><SessionToken>t</SessionToken><Expiration>"
            f"{escape(until)}</Expiration></Credentials>"
        )
    return (
        f"<{operation}Response><{operation}Result>{answer}</{operation}Result>"
        f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{operation}Response>"
    )


def main() -> None:
    """Serve until the process ends. The first line of standard output is the port."""

    async def serve() -> None:
        world, loop = World(), asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(world, loop), "127.0.0.1", 0, backlog=1024
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
