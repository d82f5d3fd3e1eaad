"""A network in which AWS's own hosts lead to an embedded AWS, or do not exist.

With AWS_ENDPOINT_URL every service has the same host, which always exists. Here clients have AWS's
hosts, and only the last step differs: a request goes to the embedded AWS, or fails as one to a host
without a DNS record does.

`python -P -m embedded_aws.network ARGUMENTS...` runs the keysweep command in such a network, in
front of the embedded AWS that AWS_ENDPOINT_URL names.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError
from botocore.httpsession import URLLib3Session

from .refusals import table

_OF_AWS = re.compile(r"\.(amazonaws\.com(\.cn)?|api\.aws)$")
_BUCKET = re.compile(r"(?P<bucket>.+)\.s3(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?$")
_LOOPBACK = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))]


@contextlib.contextmanager
def leading_to(endpoint: str, missing: Collection[str] | None = None) -> Iterator[None]:
    """Let AWS's hosts lead to an embedded AWS, but for `missing` ones; by default the table's."""
    without = table().missing_hosts() if missing is None else frozenset(missing)
    look_up, send = socket.getaddrinfo, URLLib3Session.send

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        if host in without:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if isinstance(host, str) and _OF_AWS.search(host):
            return _LOOPBACK
        return look_up(host, *rest, **more)

    def to_endpoint(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        parts = urlsplit(str(request.url))
        host = parts.hostname or ""
        if host in without:
            raise EndpointConnectionError(endpoint_url=str(request.url))
        if _OF_AWS.search(host):
            bucket = _BUCKET.fullmatch(host)
            path = f"/{bucket['bucket']}{parts.path}" if bucket else parts.path
            request.url = endpoint + (path or "/") + (f"?{parts.query}" if parts.query else "")
        answer: AWSResponse = send(session, request)
        return answer

    with (
        mock.patch.object(socket, "getaddrinfo", getaddrinfo),
        mock.patch.object(URLLib3Session, "send", to_endpoint),
    ):
        yield


def without_endpoint(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of an operator who calls AWS's own hosts, through no proxy."""
    own = {"AWS_ENDPOINT_URL", "AWS_DISABLE_HOST_PREFIX_INJECTION"}
    return {
        name: value
        for name, value in environment.items()
        if name not in own and not name.lower().endswith("_proxy")
    }


AT_ONCE = "EMBEDDED_AWS_AT_ONCE"
"""Set, the command does not keep to AWS's quotas, which an embedded AWS does not count by default.
"""

_ENDPOINT = "EMBEDDED_AWS_ENDPOINT"
_WORKER = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from embedded_aws.network import worker; worker(int(sys.argv[1]))"
)


def main() -> None:
    """Run the command and end the process with its exit code."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    own = without_endpoint(os.environ)
    os.environ.clear()
    os.environ.update(own | {_ENDPOINT: endpoint})
    from keysweep.remediation.__main__ import main as keysweep
    from keysweep.remediation.workers import pool

    with leading_to(endpoint), _at_once(), mock.patch.object(pool, "_PROGRAM", _WORKER):
        keysweep()


def worker(descriptor: int) -> None:
    """Run a worker of the command in the same network as the command itself."""
    from keysweep.remediation.workers import process

    with leading_to(os.environ[_ENDPOINT]), _at_once():
        process.main(descriptor)


def _at_once() -> contextlib.AbstractContextManager[Any]:
    from keysweep.remediation.aws import limiter

    if AT_ONCE in os.environ:
        return mock.patch.object(limiter, "per_second", return_value=1e6)
    return contextlib.nullcontext()


if __name__ == "__main__":
    main()
