"""The HTTP server: threads, keep-alive, the embedded clock in every Date header, spoilt answers."""

from __future__ import annotations

import contextlib
import socket
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .control import PREFIX, Control
from .gateway import Gateway
from .http_message import Reply, Request


class Server(ThreadingHTTPServer):
    """One embedded AWS on a loopback port."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway = gateway
        self.control = Control(gateway)
        super().__init__(("127.0.0.1", port), Handler)
        gateway.endpoint = self.endpoint

    @property
    def endpoint(self) -> str:
        """URL for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay quiet about clients that go away in the middle, which fault tests do."""


class Handler(BaseHTTPRequestHandler):
    """Reads requests and writes replies, each in one piece."""

    protocol_version = "HTTP/1.1"
    server: Server
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Answer one request, whatever its method."""
        self.raw_requestline = self.rfile.readline(65_537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self._body(headers))
        if request.path.startswith(PREFIX):
            reply = self.server.control.answer(request)
        else:
            reply = self.server.gateway.answer(request)
        self._write(reply)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(chunks)
        return self.rfile.read(int(headers.get("content-length") or 0))

    def _write(self, reply: Reply) -> None:
        body, cut = reply.body, reply.cut
        if cut in ("stale", "meddle"):
            cut = None
        if cut in ("drop_before", "drop_after", "hang_before", "hang_after"):
            self._close()
            return
        headers = dict(reply.headers)
        headers["Date"] = formatdate(self.server.gateway.world.clock.now(), usegmt=True)
        if cut == "truncate_valid_length":
            body = body[: len(body) // 2]
        if cut != "truncate_unsized":
            headers.setdefault("Content-Length", str(len(body)))
        if cut in ("truncate", "truncate_unsized"):
            body = body[: len(body) // 2]
            headers["Connection"] = "close"
        phrase = HTTPStatus(reply.status).phrase
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        start = f"HTTP/1.1 {reply.status} {phrase}\r\n{head}\r\n".encode("latin-1")
        no_body = self.command == "HEAD" or reply.status in (204, 304)
        self.wfile.write(start if no_body else start + body)
        self.wfile.flush()
        if cut in ("truncate", "truncate_unsized"):
            self._close()

    def _close(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client may have been faster
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *args: Any) -> None:
        """Say nothing: the control API has the log of calls."""
