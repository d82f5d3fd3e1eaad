"""All other services: moto, called in this process; it is imported at the first need."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from .http_message import Reply, Request

if TYPE_CHECKING:
    from .gateway import Gateway


class Moto:
    """moto's services behind the gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._application = DomainDispatcherApplication(create_backend_app)

    def reset(self) -> None:
        """Forget every resource of every account."""
        BackendDict.reset()
        reset_model_data()

    def answer(self, request: Request, account: str) -> Reply:
        """Answer a request in the caller's account."""
        status = 0
        headers: list[tuple[str, str]] = []

        def start_response(line: str, fields: list[tuple[str, str]], _: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line.split(" ", 1)[0]), fields

        chunks: Iterable[bytes] = self._application(_environ(request, account), start_response)
        body = b"".join(chunks)
        skipped = {"content-length", "date", "connection", "transfer-encoding"}
        kept = {name: value for name, value in headers if name.lower() not in skipped}
        return Reply(status, kept, body)


def _environ(request: Request, account: str) -> dict[str, Any]:
    """Return a WSGI environment."""
    parts = urlsplit(request.target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(parts.path).decode("latin-1"),
        "QUERY_STRING": parts.query,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(request.body)),
    }
    for name, value in request.headers.items():
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name not in ("content-length", "transfer-encoding"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    environ["HTTP_X_MOTO_ACCOUNT_ID"] = account
    return environ
