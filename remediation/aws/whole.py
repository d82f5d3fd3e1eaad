"""Answers are whole, or they are errors (safety rule 6).

botocore turns a body that was cut off into an empty dict without an exception (seen with 1.35 to
1.44): a cut ListGrants would read as "no grants". Every client gets this check.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..errors import CutAnswer

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient
    from botocore.model import OperationModel


def demand_whole_answers(client: BaseClient) -> None:
    """Make every call of this client raise CutAnswer unless its body is complete."""
    client.meta.events.register("after-call", _check)


def _check(
    http_response: AWSResponse, parsed: dict[str, Any], model: OperationModel, **_: object
) -> None:
    if model.has_streaming_output:
        return
    body = http_response.content
    name = f"{model.service_model.service_id} {model.name}"
    announced = http_response.headers.get("Content-Length")
    if announced is not None and announced.isdigit() and int(announced) != len(body):
        raise CutAnswer(f"the answer to {name} was cut off after {len(body)} of {announced} bytes")
    if parsed.get("Truncated") is True and not parsed.get("NextMarker"):
        # KMS's paginators end there without a word.
        raise CutAnswer(f"the answer to {name} has more pages, and does not say where")
    if not model.service_model.metadata["protocol"].endswith("json"):
        return  # botocore itself raises ResponseParserError on XML that does not parse
    shape = model.output_shape
    if http_response.status_code >= 300 or (shape is not None and "payload" in shape.serialization):
        return
    if not body and (shape is None or not shape.members):
        return
    try:
        whole = isinstance(json.loads(body), dict | list | None)
    except ValueError:
        whole = False
    if not whole:
        raise CutAnswer(f"the answer to {name} is not JSON ({len(body)} bytes)")
