"""What an account without any resource answers, derived from botocore's service models.

AWS has every service; where moto lacks one, an error would be a gap that AWS does not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moto.core.model import OperationModel
from moto.core.request import determine_request_protocol
from moto.core.serialize import get_serializer_class

from .errors import AwsError
from .http_message import Reply

_READS = re.compile(r"(List|Describe|Get|BatchGet|Search|Lookup|Query|Scan)[A-Z]")
_SETTINGS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("auditmanager", "GetSettings"): {"settings": {"isAwsOrgEnabled": False}},
}
"""Settings that every account has, which their models do not require."""

_MISSING = re.compile(r"NotFound|NoSuch|DoesNotExist|Unknown")


def answer(operation: OperationModel, content_type: str) -> Reply:
    """Answer a reading operation of an account that has nothing.

    A listing is empty. One named thing is not found. Anything that changes something is refused
    aloud, since a pretended success would make a test lie.
    """
    if not _READS.match(operation.name):
        raise AwsError("NotImplemented", f"the embedded AWS has no {operation.name}", 501)
    shape = operation.output_shape
    members: Mapping[str, Any] = shape.members if shape else {}
    settings = _SETTINGS.get((operation.service_model.service_name, operation.name))
    if settings is not None:
        return serialize(operation, content_type, settings)
    lists = [name for name, member in members.items() if member.type_name in ("list", "map")]
    required = operation.input_shape.required_members if operation.input_shape else []
    if not lists and required:
        raise _missing(operation)
    result: dict[str, Any] = {name: [] for name in lists if members[name].type_name == "list"}
    result |= {name: {} for name in lists if members[name].type_name == "map"}
    for name in shape.required_members if shape else []:
        result.setdefault(name, _nothing(members[name]))
    return serialize(operation, content_type, result)


def serialize(operation: OperationModel, content_type: str, result: object) -> Reply:
    """Return a result as the operation's protocol writes it."""
    service = operation.service_model
    protocol = determine_request_protocol(service, content_type)
    serializer = get_serializer_class(service.service_name, protocol)(operation)
    made = serializer.serialize(result)
    body = made["body"]
    encoded = body.encode() if isinstance(body, str) else bytes(body)
    return Reply(int(made["status_code"]), {k: str(v) for k, v in made["headers"].items()}, encoded)


def _missing(operation: OperationModel) -> AwsError:
    for shape in operation.error_shapes:
        if _MISSING.search(shape.name):
            error = shape.metadata.get("error", {})
            code = error.get("code", shape.name)
            return AwsError(code, "The resource does not exist.", error.get("httpStatusCode", 404))
    return AwsError("ResourceNotFoundException", "The resource does not exist.", 404)


def _nothing(shape: Any) -> Any:
    """Return the emptiest value of a shape."""
    kind = shape.type_name
    if kind == "structure":
        return {name: _nothing(shape.members[name]) for name in shape.required_members}
    empty: dict[str, Any] = {"list": [], "map": {}, "boolean": False, "string": "", "blob": b""}
    return empty.get(kind, 0)
