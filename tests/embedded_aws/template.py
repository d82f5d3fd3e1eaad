"""One process that has moto loaded and forks a server for each caller, ready in milliseconds.

What one full plan asks for costs moto seven seconds of processor time and 740 MB. Forked servers
share both. `python -P -m embedded_aws.template SOCKET` serves until standard input closes.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from .gateway import Gateway

VARIABLE = "EMBEDDED_AWS_TEMPLATE"
"""Names the template's socket to the processes that a test session starts."""

_REFERENCES = Path(__file__).resolve().parents[2] / "policies" / "key_references.yaml"


@contextlib.contextmanager
def template() -> Iterator[None]:
    """Let every server that is started meanwhile, also by other processes, come from a template."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "socket")
        command = [sys.executable, "-P", "-m", "embedded_aws.template", path]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout is not None
        process.stdout.readline()
        os.environ[VARIABLE] = path
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            process.communicate()


def fork_server(path: str, scenario: str | None, quotas: bool) -> tuple[socket.socket, str]:
    """Return a connection to a new server and the server's endpoint.

    The server writes its errors where this process does, and ends with the connection.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    order = json.dumps({"scenario": scenario, "quotas": quotas})
    socket.send_fds(connection, [order.encode()], [2])
    answer = connection.recv(4096)
    if not answer:
        connection.close()
        raise RuntimeError("the embedded AWS did not start")
    return connection, json.loads(answer)["endpoint"]


def main() -> int:
    """Fork a server for each connection; load moto before the first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # servers end with their callers
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(sys.argv[1])
    listener.listen(64)
    print("ready", flush=True)
    gateway: Gateway | None = None
    while True:
        ready, _, _ = select.select([listener, 0], [], [])
        if 0 in ready:
            return 0
        connection, _ = listener.accept()
        gateway = gateway or _loaded()
        if os.fork() == 0:
            listener.close()
            _serve(connection, gateway)
        connection.close()


def _serve(connection: socket.socket, gateway: Gateway) -> None:
    """Be one server until its caller closes the connection; does not return."""
    from moto.moto_api._internal import mock_random

    from . import scenario as schema
    from .server import Server
    from .world import World

    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else exit codes of ECS tasks are lost
        order, descriptors, _, _ = socket.recv_fds(connection, 65_536, 1)
        os.dup2(descriptors[0], 2)
        os.dup2(2, 1)  # moto prints
        mock_random.seed()
        requested = json.loads(order)
        path = requested["scenario"]
        content = schema.load(Path(path)) if path else schema.parse(schema.EMPTY)
        gateway.replace(World(content, requested["quotas"]))
        server = Server(gateway, 0)
        threading.Thread(target=_wait_for_end, args=(connection, server), daemon=True).start()
        connection.sendall(json.dumps({"endpoint": server.endpoint}).encode())
        server.serve_forever(poll_interval=0.05)
    except (OSError, ValueError) as error:
        print(f"the embedded AWS: {error}", file=sys.stderr, flush=True)
    finally:
        gateway.world.tasks.end()
        os._exit(0)


def _wait_for_end(connection: socket.socket, server: Any) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(4096):
            pass
    server.shutdown()


def _loaded() -> Gateway:
    """Return a gateway that has answered what the reference list asks for."""
    import yaml

    from . import scenario as schema
    from .gateway import Gateway
    from .world import World

    gateway = Gateway(World(schema.parse(schema.EMPTY)))
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(_REFERENCES.read_text(encoding="utf-8"), loader)["entries"]
    calls = {(entry["service"], entry["operation"]) for entry in entries}
    with contextlib.redirect_stderr(io.StringIO()):  # some calls are about nothing that exists
        for service, operation in sorted(calls):
            _call(gateway, service, operation)
    gc.collect()
    gc.freeze()
    return gateway


def _call(gateway: Gateway, service: str, operation: str) -> None:
    """Make a call: whatever its answer, moto then has what the call needs."""
    from botocore.serialize import create_serializer
    from moto.core.utils import get_service_model

    from . import names
    from .http_message import Request

    model = get_service_model(service)
    called = model.operation_model(operation)
    requested = called.input_shape.required_members if called.input_shape else []
    made = create_serializer(model.resolved_protocol, include_validation=False)
    sent = made.serialize_to_request(dict.fromkeys(requested, "x"), called)
    [account] = gateway.world.scenario.accounts
    key, _ = names.access_key(account)
    scope = f"{key}/20250101/us-east-1/{model.signing_name}/aws4_request"
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    headers |= {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}", "host": "127.0.0.1"}
    body = sent["body"]
    content = urlencode(body).encode() if isinstance(body, dict) else body
    gateway.answer(Request(sent["method"], sent["url_path"], headers, content), logged=False)


if __name__ == "__main__":
    sys.exit(main())
