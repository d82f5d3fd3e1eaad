"""An AWS for one scan: a disabled key, an enabled one, and one pending deletion that is in use.

CloudTrail shows an attempt to use the last one. The server listens on the loopback address. It is
also the proxy of the scanner's process and refuses all other requests, so that the process cannot
reach the real AWS.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"
DAY: Final = 86_400
POLL: Final = 0.02
"""Seconds within which the server ends."""

_IDENTITY = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/keysweep-verify</Arn>
<UserId>AIDAKEYSWEEPVERIFY</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult>
</GetCallerIdentityResponse>"""
_REGIONS = f"""<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">
<regionInfo><item><regionName>{REGION}</regionName>
<optInStatus>opt-in-not-required</optInStatus></item></regionInfo></DescribeRegionsResponse>"""
_ANSWERS = {"GetCallerIdentity": _IDENTITY, "DescribeRegions": _REGIONS}
_REFUSAL = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not here</Message></Error>"
    "</ErrorResponse>"
)


class FakeAws:
    """Context manager of the server. Its three keys have new ids every time."""

    def __init__(self) -> None:
        self.disabled, self.enabled, self.pending = (
            f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.uuid4()}" for _ in range(3)
        )
        self._states = {
            self.disabled: "Disabled",
            self.enabled: "Enabled",
            self.pending: "PendingDeletion",
        }
        handler = type("Handler", (_Handler,), {"json_answer": staticmethod(self.answer)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def variables(self) -> dict[str, str]:
        """Environment variables that make a process's AWS clients use this server only."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "AKIAKEYSWEEPVERIFY00",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "2",
            "HTTP_PROXY": self.endpoint,
            "HTTPS_PROXY": self.endpoint,
            "http_proxy": self.endpoint,
            "https_proxy": self.endpoint,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def answer(self, operation: str, request: dict[str, object]) -> dict[str, object] | None:
        """The response to a call of KMS or CloudTrail; None refuses it."""
        keys = {arn.rpartition("/")[2]: arn for arn in self._states}
        if operation == "ListKeys":
            listed = [{"KeyId": name, "KeyArn": arn} for name, arn in keys.items()]
            return {"Keys": listed, "Truncated": False}
        if operation == "LookupEvents":
            is_named = self.pending in json.dumps(request)
            return {"Events": _events(self.pending) if is_named else []}
        name = str(request.get("KeyId")).rpartition("/")[2]
        if name not in keys:
            return None
        if operation == "ListResourceTags":
            return {"Tags": [], "Truncated": False}
        if operation == "DescribeKey":
            return {"KeyMetadata": _metadata(keys[name], self._states[keys[name]])}
        return None


def _metadata(arn: str, state: str) -> dict[str, object]:
    """KeyMetadata of DescribeKey. Times are seconds since 1970."""
    metadata: dict[str, object] = {
        "AWSAccountId": ACCOUNT,
        "KeyId": arn.rpartition("/")[2],
        "Arn": arn,
        "CreationDate": 1_700_000_000,  # 2023-11-14T22:13:20Z
        "Enabled": state == "Enabled",
        "KeyState": state,
        "Description": "made by keysweep verify",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "MultiRegion": False,
    }
    if state == "PendingDeletion":
        metadata["DeletionDate"] = int(time.time()) + 20 * DAY
    return metadata


def _events(arn: str) -> list[dict[str, object]]:
    """CloudTrail's events of a key whose deletion was scheduled ten days ago, newest first."""
    refused: dict[str, str | None] = {
        "errorCode": "KMSInvalidStateException",
        "errorMessage": f"{arn} is pending deletion.",
    }
    scheduled: dict[str, str | None] = {"errorCode": None}
    events = [("Decrypt", DAY, refused), ("ScheduleKeyDeletion", 10 * DAY, scheduled)]
    return [
        {
            "EventId": str(uuid.uuid4()),
            "EventName": name,
            "EventSource": "kms.amazonaws.com",
            "EventTime": int(time.time()) - ago,
            "CloudTrailEvent": json.dumps({"eventName": name, **detail}),
        }
        for name, ago, detail in events
    ]


class _Handler(BaseHTTPRequestHandler):
    """Handles one request."""

    protocol_version = "HTTP/1.1"

    json_answer: Callable[[str, dict[str, object]], dict[str, object] | None]
    """Set for each server; a static method, so that it is not bound to a request."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service, _, operation = self.headers.get("X-Amz-Target", "").rpartition(".")
        if service:
            answer = self.json_answer(operation, json.loads(body))
            refusal = {"__type": "AccessDeniedException", "message": "not here"}
            return self._reply(400 if answer is None else 200, json.dumps(answer or refusal))
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        action = form.get("Action", [""])[0]
        return self._reply(200 if action in _ANSWERS else 403, _ANSWERS.get(action, _REFUSAL))

    def do_GET(self) -> None:
        self._reply(403, _REFUSAL)

    do_PUT = do_HEAD = do_DELETE = do_CONNECT = do_GET  # noqa: N815

    def _reply(self, status: int, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Do not log."""
