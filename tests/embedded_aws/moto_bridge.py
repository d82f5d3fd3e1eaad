"""All other services: moto, called in this process; it is imported at the first need."""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from botocore.model import OperationNotFoundError
from moto.core.base_backend import BackendDict
from moto.core.model import OperationModel
from moto.core.model_instances import reset_model_data
from moto.core.request import Request as MotoRequest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import empty_services, moto_fixes, moto_kms, services
from .http_message import Reply, Request

if TYPE_CHECKING:
    from .world import World

_OWN_HEADERS = frozenset({"content-length", "date", "connection", "transfer-encoding"})


_TAKEN_FOR_S3 = frozenset({services.DIRECTORY_BUCKETS, "s3files"})
"""Signing names of services that moto lacks, and answers as S3."""


class Moto:
    """moto's services; one call at a time, for moto does not guard its state."""

    def __init__(self, current: Callable[[], World]) -> None:
        os.environ["MOTO_ALLOW_NONEXISTENT_REGION"] = "true"  # services that are new in a Region
        moto_kms.install(current)
        moto_fixes.start_quickly()
        self._lock = threading.RLock()
        self._application = _Dispatcher(_create_app)

    def reset(self) -> None:
        """Forget every resource of every account."""
        with self._lock:
            used: list[dict[str, Any]] = vars(BackendDict)["_instances"]
            for backends in used:  # quicker than BackendDict.reset, which builds each anew
                backends.clear()
                for index in vars(backends).values():  # as S3's of the owners of bucket names
                    if isinstance(index, dict):
                        index.clear()
            used.clear()
            reset_model_data()

    def operation(self, request: Request) -> OperationModel | None:
        """Return the operation that a request means."""
        with self._lock:
            return services.operation_model(request, MotoRequest(_environ(request, "")))

    def answer(self, request: Request, account: str, operation: OperationModel | None) -> Reply:
        """Answer a request in the caller's account; what moto lacks, an empty account answers."""
        operation = operation or self.operation(request)
        with self._lock:
            moto_fixes.apply(request.service)
            try:
                reply = None if request.service in _TAKEN_FOR_S3 else self._call(request, account)
            except (NotImplementedError, OperationNotFoundError):
                reply = None
            # To HEAD, S3 answers without a body.
            lacks = reply is not None and request.method != "HEAD" and _lacks(reply)
            if reply is not None and not (reply.status == 404 and lacks):
                return reply
        if operation is None:
            return Reply(404, {"Content-Type": "text/plain"}, b"no AWS service has this operation")
        return empty_services.answer(operation, request.headers.get("content-type", ""))

    def serialize(self, request: Request, operation: OperationModel, result: object) -> Reply:
        """Return a result as the operation's protocol writes it."""
        return empty_services.serialize(operation, request.headers.get("content-type", ""), result)

    def _call(self, request: Request, account: str) -> Reply:
        status = 0
        headers: list[tuple[str, str]] = []

        def start_response(line: str, fields: list[tuple[str, str]], _: Any = None) -> None:
            nonlocal status, headers
            status, headers = int(line.split(" ", 1)[0]), fields

        chunks = self._application(_environ(request, account), start_response)
        body = b"".join(chunks)
        if request.service == "s3" and status == 400 and _NOT_FOUND.search(body):
            status = 404
        kept = {name: value for name, value in headers if name.lower() not in _OWN_HEADERS}
        if request.method == "HEAD":
            kept |= {k: v for k, v in headers if k.lower() == "content-length"}
        return Reply(status, kept, body)


class _Dispatcher(DomainDispatcherApplication):
    """moto's dispatcher without its remarks about services that it lacks."""

    def get_backend_for_host(self, host: str | None) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            return super().get_backend_for_host(host)


_NOT_FOUND = re.compile(rb"<Code>(?:NoSuch\w+|\w+NotFoundError)</Code>")
"""S3's codes with status 404 ("Error responses", Amazon S3 API Reference). botocore's model has no
status for most of them, and moto then answers 400."""


def _create_app(service: Any) -> Any:
    """Return moto's application of a service; NotImplementedError where moto has none."""
    if service is None:
        raise NotImplementedError
    return create_backend_app(service)


def _lacks(reply: Reply) -> bool:
    """Tell a 404 of moto's own routing from one that a service answers."""
    return (
        not reply.body
        or reply.body.lower().startswith(b"<!doctype html")
        or (b"Not yet implemented" in reply.body)
    )


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
