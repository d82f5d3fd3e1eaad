"""Which AWS service and operation a request means, read from botocore's own service models."""

from __future__ import annotations

import functools
import gzip
import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import botocore
from moto.core.model import OperationModel
from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from .http_message import Request

DIRECTORY_BUCKETS = "s3express"
"""What botocore signs S3's requests about directory buckets as."""

_FIELD = re.compile(r'"(endpointPrefix|signingName|targetPrefix|protocol)"\s*:\s*"([^"]*)"')


@functools.cache
def _metadata() -> dict[str, dict[str, str]]:
    """Return the few metadata that routing needs, by service; a model's head holds them."""
    found = {}
    for folder in (Path(botocore.__file__).parent / "data").iterdir():
        files = sorted(folder.glob("*/service-2.json.gz"))
        if files:
            with gzip.open(files[-1], "rt", encoding="utf-8") as stream:
                head = stream.read(3000)
            found[folder.name] = dict(reversed(_FIELD.findall(head)))
    return found


@functools.cache
def _by_signing_name() -> dict[str, list[str]]:
    found = defaultdict(list)
    for service, fields in sorted(_metadata().items()):
        found[fields.get("signingName", fields.get("endpointPrefix", service))].append(service)
    return found


def candidates(signing_name: str) -> list[str]:
    """Return the services (botocore's names) that sign as `signing_name`, the namesake first."""
    found = _by_signing_name().get("s3" if signing_name == DIRECTORY_BUCKETS else signing_name, [])
    return sorted(found, key=lambda service: (service != signing_name, service))


def operation_model(request: Request, raw: MotoRequest) -> OperationModel | None:
    """Return the operation that a request means, or None if no service has it."""
    if request.service == DIRECTORY_BUCKETS and urlsplit(request.target).path == "/":
        listing: OperationModel = get_service_model("s3").operation_model("ListDirectoryBuckets")
        return listing
    target = request.headers.get("x-amz-target")
    for service in candidates(request.service):
        fields = _metadata()[service]
        if target is not None:
            if fields.get("targetPrefix") != target.rsplit(".", 1)[0]:
                continue
            name: str | None = target.rsplit(".", 1)[1]
        elif request.form.get("Action"):
            name = request.form["Action"]
        else:
            name = None
        model = get_service_model(service)
        if name is not None:
            if name in model.operation_names:
                named: OperationModel = model.operation_model(name)
                return named
        elif fields.get("protocol", "").startswith("rest"):
            try:
                return get_service_router(service).match(raw)[0]
            except (HTTPException, NotImplementedError):
                continue
    return None
