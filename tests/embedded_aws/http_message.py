"""HTTP requests and replies between the server and the services."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .errors import AwsError

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_REST_XML = frozenset({"s3", "s3-object-lambda", "route53", "cloudfront"})


@dataclass
class Request:
    """A request as it came in; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def path(self) -> str:
        """Path without the query."""
        return urlsplit(self.target).path if "?" in self.target else self.target

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameters; of a repeated one the last."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @cached_property
    def form(self) -> dict[str, str]:
        """Parameters of a form body, which query protocols use."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def json(self) -> dict[str, Any]:
        """Parameters of a JSON body; raise AwsError if it is none."""
        try:
            params = json.loads(self.body or b"{}")
        except ValueError:
            params = None
        if not isinstance(params, dict):
            raise AwsError("SerializationException", "The body is not a JSON object")
        return params

    @cached_property
    def _scope(self) -> tuple[str, str, str]:
        text = self.headers.get("authorization", "")
        credential = self.query.get("X-Amz-Credential")
        match = _CREDENTIAL.search(f"Credential={credential}" if credential else text)
        return (match[1], match[2], match[3].lower()) if match else ("", "us-east-1", "")

    @property
    def access_key(self) -> str:
        """Access key id of the signature; empty for an unsigned request."""
        return self._scope[0]

    @property
    def region(self) -> str:
        """Region of the signature."""
        return self._scope[1]

    @property
    def service(self) -> str:
        """Signing name of the service, as `kms` or `elasticfilesystem`."""
        return self._scope[2]

    @cached_property
    def protocol(self) -> str:
        """How this service talks: json, query, ec2, rest-xml or rest-json."""
        if "x-amz-target" in self.headers:
            return "json"
        if self.service in _REST_XML:
            return "rest-xml"
        if self.form:
            return "ec2" if self.service == "ec2" else "query"
        return "rest-json"

    @cached_property
    def operation(self) -> str | None:
        """Name of the operation where the request itself says it."""
        target = self.headers.get("x-amz-target")
        if target:
            return target.rsplit(".", 1)[-1]
        return self.form.get("Action")


@dataclass
class Reply:
    """What goes back; `cut` tells the server how to spoil it (see faults.py)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: str | None = None
