"""Reject truncated AWS responses (rule 6 of docs/safety.md).

botocore turns a truncated JSON body into an empty dict without an exception (seen with 1.35 to
1.44), and an empty body of S3 into an empty list: a truncated ListGrants would look like "no
grants". Every client checks each response before botocore parses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from botocore.model import StructureShape

from ..errors import TruncatedResponse

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel, Shape

_OUTSIDE_THE_BODY: Final = frozenset({"header", "headers", "statusCode", "uri", "querystring"})


def reject_truncated_responses(client: BaseClient) -> None:
    """Make every call of this client raise TruncatedResponse unless its body is complete.

    The reader of a streaming body, such as GetObject's, must check it.
    """
    client.meta.events.register("before-parse", _check)


def _check(operation_model: OperationModel, response_dict: Mapping[str, Any], **_: object) -> None:
    status: int = response_dict["status_code"]
    body = response_dict["body"]
    if status >= 500 or not isinstance(body, bytes) or operation_model.http["method"] == "HEAD":
        return  # botocore retries server errors, whatever their body says
    name = f"{operation_model.service_model.service_id} {operation_model.name}"
    _check_length(name, response_dict["headers"], body)
    if not body:
        if status == 200 and _has_body(operation_model.output_shape):
            raise TruncatedResponse(f"the response of {name} is empty")
        return
    if status < 300 and not _is_document(operation_model.output_shape):
        return
    protocol = operation_model.service_model.resolved_protocol
    if protocol.endswith("json"):
        _check_json(name, body)
    elif protocol in {"query", "ec2", "rest-xml"}:
        _check_xml(name, body)


def _check_length(name: str, headers: Mapping[str, str], body: bytes) -> None:
    announced = headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) != len(body) and "Content-Encoding" not in headers:
        raise TruncatedResponse(
            f"the response of {name} was truncated after {len(body)} of {announced} bytes"
        )


def _check_json(name: str, body: bytes) -> None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise TruncatedResponse(
            f"the response of {name} is not JSON ({len(body)} bytes)"
        ) from error
    if not isinstance(document, dict | list | None):
        raise TruncatedResponse(
            f"the response of {name} is not a JSON document ({len(body)} bytes)"
        )
    if isinstance(document, dict) and document.get("Truncated") and not document.get("NextMarker"):
        # Paging of KMS, where botocore's paginators would end without an error.
        raise TruncatedResponse(f"the response of {name} has more pages but no marker")


def _check_xml(name: str, body: bytes) -> None:
    try:
        ET.fromstring(body)  # noqa: S314 - botocore parses the same bytes with the same parser
    except ET.ParseError as error:
        raise TruncatedResponse(f"the response of {name} is not XML ({len(body)} bytes)") from error


def _has_body(shape: Shape | None) -> bool:
    """Whether a response of this shape has a body."""
    if not isinstance(shape, StructureShape):
        return False
    if (payload := shape.serialization.get("payload")) is not None:
        return isinstance(shape.members[payload], StructureShape)
    return any(
        member.serialization.get("location") not in _OUTSIDE_THE_BODY
        for member in shape.members.values()
    )


def _is_document(shape: Shape | None) -> bool:
    """Whether the body is JSON or XML, not the value of one text or binary member."""
    if not isinstance(shape, StructureShape):
        return True
    payload = shape.serialization.get("payload")
    return payload is None or isinstance(shape.members[payload], StructureShape)
