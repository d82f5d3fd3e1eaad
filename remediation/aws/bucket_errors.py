"""Errors of S3 for people: why a bucket could not be used, and what to do."""

from __future__ import annotations

from typing import Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ..errors import RUN_AGAIN, AccessRefused, BadInput, KeysweepError, TruncatedResponse
from .access_errors import unavailable
from .failures import code_of, denied

LIST_PERMISSION: Final = "s3:ListBucket"
READ_PERMISSION: Final = "s3:GetObject"
DECRYPT_PERMISSION: Final = "kms:Decrypt"
"""For a bucket that is encrypted with a KMS key."""

MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
"""Codes of an object that does not exist."""

_ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_ARCHIVED: Final = "InvalidObjectState"

Failure = ClientError | BotoCoreError | TruncatedResponse | OSError


class Permission(NamedTuple):
    """What a request to a bucket needs."""

    action: str
    document: str
    """The IAM document that has it."""
    of_key: str | None = DECRYPT_PERMISSION
    """What it also needs on the KMS key of the bucket."""


def bucket_failure(what: str, error: Failure, bucket: str, permission: Permission) -> KeysweepError:
    """BadInput if the path names nothing; else AWS or the network refused it."""
    if isinstance(error, BotoCoreError):
        return unavailable(what, error)
    nothing = isinstance(error, ClientError) and code_of(error) in {"NoSuchBucket", *MISSING}
    kind = BadInput if nothing else AccessRefused
    return kind(f"{what}: {_why(error, bucket, permission)}")


def _why(
    error: ClientError | TruncatedResponse | OSError, bucket: str, permission: Permission
) -> str:
    """Why a bucket could not be used, and what to do."""
    if not isinstance(error, ClientError):
        text = " ".join(str(error).split())[:300]
        return (
            f"{text} ({type(error).__name__}, bucket {bucket}). Fix: {RUN_AGAIN}, or check the AWS "
            "configuration"
        )
    code = code_of(error)
    failed = f"{error.operation_name} of bucket {bucket}"
    if denied(code):
        also = "" if permission.of_key is None else f", and {permission.of_key} on its key"
        return (
            f"{failed} was denied ({code}). Fix: allow {permission.action}{also} "
            f"({permission.document})"
        )
    failed = f"{failed} failed ({code})"
    if code == "NoSuchBucket":
        return f"{failed}: there is no such bucket. Fix: check its name"
    if code in MISSING:
        return f"{failed}: there is no such object. Fix: check its name"
    if code in _ELSEWHERE:
        region = error.response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        return f"{failed}: it is in {region or 'another Region'}. Fix: set AWS_REGION to that"
    if code == _ARCHIVED:
        return f"{failed}: the object is archived. Fix: restore it"
    return f"{failed}. Fix: {RUN_AGAIN}"
