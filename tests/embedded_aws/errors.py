"""An AWS error answer, and how each protocol writes it."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

JSON_TYPE = "application/x-amz-json-1.1"


class AwsError(Exception):
    """An answer other than success: AWS's error code, its message and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def validation(message: str, code: str = "ValidationException") -> AwsError:
    """Return the error for a request whose values break a constraint."""
    return AwsError(code, message)


def constraint(
    value: object, parameter: str, rule: str, code: str = "ValidationException"
) -> AwsError:
    """Return AWS's usual sentence for one value that breaks one rule."""
    shown = "null" if value is None else f"'{value}'"
    return validation(
        f"1 validation error detected: Value {shown} at '{parameter}' failed to satisfy "
        f"constraint: Member must {rule}",
        code,
    )


def render(error: AwsError, protocol: str, request_id: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of an error in a protocol: json, query, ec2, rest-xml, rest-json."""
    code, message = escape(error.code), escape(error.message)
    if protocol == "json":
        body = json.dumps({"__type": error.code, "message": error.message})
        return {"Content-Type": JSON_TYPE, "x-amzn-ErrorType": error.code}, body.encode()
    if protocol == "rest-json":
        body = json.dumps({"message": error.message})
        return {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}, body.encode()
    if protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
    elif protocol == "rest-xml":
        body = (
            f"<Error><Code>{code}</Code><Message>{message}</Message>"
            f"<RequestId>{request_id}</RequestId></Error>"
        )
    else:
        body = (
            f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>"
        )
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'
    return {"Content-Type": "text/xml"}, text.encode()
