"""The errors that every AWS service has, in the words of each protocol."""

from __future__ import annotations

from .errors import AwsError
from .http_message import Request

CODES = {
    "deny": {
        "json": ("AccessDeniedException", 400),
        "rest-json": ("AccessDeniedException", 403),
        "ec2": ("UnauthorizedOperation", 403),
        "query": ("AccessDenied", 403),
        "rest-xml": ("AccessDenied", 403),
    },
    "throttle": {
        "json": ("ThrottlingException", 400),
        "rest-json": ("TooManyRequestsException", 429),
        "ec2": ("RequestLimitExceeded", 503),
        "query": ("Throttling", 400),
        "rest-xml": ("SlowDown", 503),
    },
    "expire": {
        "json": ("ExpiredTokenException", 400),
        "rest-json": ("ExpiredTokenException", 403),
        "ec2": ("RequestExpired", 400),
        "query": ("ExpiredToken", 403),
        "rest-xml": ("ExpiredToken", 400),
    },
    "error_500": {
        "json": ("InternalFailure", 500),
        "rest-json": ("InternalServerErrorException", 500),
        "ec2": ("InternalError", 500),
        "query": ("InternalFailure", 500),
        "rest-xml": ("InternalError", 500),
    },
    "unknown": {
        "json": ("UnrecognizedClientException", 400),
        "rest-json": ("UnrecognizedClientException", 403),
        "ec2": ("AuthFailure", 401),
        "query": ("InvalidClientTokenId", 403),
        "rest-xml": ("InvalidAccessKeyId", 403),
    },
}
"""Codes and statuses of the common errors, which differ between AWS's protocols."""

SENTENCES = {
    "deny": "User: {who} is not authorized to perform: {action} on resource: {resource} {why}",
    "throttle": "Rate exceeded",
    "expire": "The security token included in the request is expired",
    "error_500": "We encountered an internal error. Please try again.",
    "unknown": "The security token included in the request is invalid.",
}


def common(kind: str, request: Request, **words: str) -> AwsError:
    """Return deny, throttle, expire, error_500 or unknown (credentials) for a request."""
    code, status = CODES[kind][request.protocol]
    if kind == "error_500" and request.service == "kms":
        code = "KMSInternalException"
    if code == "AuthFailure":
        return AwsError(
            code, "AWS was not able to validate the provided access credentials", status
        )
    return AwsError(code, SENTENCES[kind].format(**words) if words else SENTENCES[kind], status)
