"""A journal's objects in S3: list all of them, read them whole, never overwrite one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from ..aws.bucket_errors import (
    LIST_PERMISSION,
    MISSING,
    READ_PERMISSION,
    Failure,
    Permission,
    bucket_failure,
)
from ..aws.failures import code_of
from ..errors import InvariantError, KeysweepError, TruncatedResponse
from .name import JournalName

WRITE_PERMISSION: Final = "s3:PutObject"
DELETE_PERMISSION: Final = "s3:DeleteObject"
GENERATE_PERMISSION: Final = "kms:GenerateDataKey"
"""Needed to write to a bucket that is encrypted with a KMS key."""

DOCUMENT: Final = "policies/iam/journal-bucket.json"

_LIST: Final = Permission(LIST_PERMISSION, DOCUMENT, of_key=None)
_READ: Final = Permission(READ_PERMISSION, DOCUMENT)
_WRITE: Final = Permission(WRITE_PERMISSION, DOCUMENT, GENERATE_PERMISSION)
_DELETE: Final = Permission(DELETE_PERMISSION, DOCUMENT, of_key=None)

_CONFLICT: Final = "ConditionalRequestConflict"
_EXISTS: Final = frozenset({"PreconditionFailed", "412"})
CONFLICT_PAUSES: Final = (0.2, 1.0)
"""Seconds to wait before repeating a write that conflicted with a simultaneous one. S3 rejects such
a write ("Adding preconditions to S3 operations with conditional requests", Amazon S3 User Guide).
"""

_ERRORS: Final = (ClientError, BotoCoreError, TruncatedResponse, OSError)

_log: Final = logging.getLogger(__name__)


class Taken(Exception):
    """An object of this name exists, with other content."""


class Content(NamedTuple):
    """A complete object."""

    body: bytes
    etag: str


@dataclass(frozen=True)
class Bucket:
    """The objects under a journal's prefix."""

    name: JournalName
    client: Callable[[], Any] = field(compare=False, repr=False)

    def sizes(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the names under a folder, in order, with their sizes.

        Raises AccessRefused, also if the listing is incomplete.
        """
        prefix = f"{self.name.prefix}{folder}"
        try:
            for page in self._pages(prefix):
                for one in page.get("Contents", ()):
                    yield one["Key"].removeprefix(prefix), one["Size"]
        except _ERRORS as error:
            raise self._failure("cannot be listed", error, _LIST) from error

    def _pages(self, prefix: str) -> Iterator[Any]:
        more: dict[str, str] = {}
        while True:
            page = self.client().list_objects_v2(Bucket=self.name.bucket, Prefix=prefix, **more)
            token = page.get("NextContinuationToken")
            whole = page.get("KeyCount") == len(page.get("Contents", ()))
            if not whole or page.get("IsTruncated") is not bool(token):
                raise TruncatedResponse("the response of S3 ListObjectsV2 is not complete")
            if token is not None and token == more.get("ContinuationToken"):
                raise TruncatedResponse("the response of S3 ListObjectsV2 repeats a page")
            yield page
            if token is None:
                return
            more = {"ContinuationToken": token}

    def get(self, key: str, size: int | None = None) -> Content | None:
        """Return a complete object, or None if it does not exist. `size` is the listed size.

        Raises AccessRefused if it could not be read.
        """
        try:
            return self._get(key, size)
        except _ERRORS as error:
            raise self._failure(f"{key} cannot be read", error, _READ) from error

    def _get(self, key: str, size: int | None = None) -> Content | None:
        try:
            answer = self.client().get_object(
                Bucket=self.name.bucket, Key=f"{self.name.prefix}{key}"
            )
        except ClientError as error:
            if code_of(error) in MISSING:
                return None
            raise
        with closing(answer["Body"]) as stream:  # as a context manager, it hides botocore's errors
            body = stream.read()
        if answer.get("ContentLength") != len(body) or (size is not None and size != len(body)):
            raise TruncatedResponse(f"the response of S3 GetObject has {len(body)} bytes")
        return Content(body, answer["ETag"])

    def put_new(self, key: str, body: bytes) -> str:
        """Write an object that does not exist yet, and return its entity tag.

        After any error, reads the object back and compares it: S3 may have written it although its
        answer was lost, and botocore retries. Raises Taken if it has other content, and
        AccessRefused or BadInput if it was not written.
        """
        for pause in (*CONFLICT_PAUSES, None):
            try:
                answer = self.client().put_object(
                    Bucket=self.name.bucket,
                    Key=f"{self.name.prefix}{key}",
                    Body=body,
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
                return str(answer["ETag"])
            except _ERRORS as error:
                _log.debug("%s was not written at once", key, exc_info=True)
                written = self._written(key, body)
                if written is not None:
                    return written
                code = code_of(error) if isinstance(error, ClientError) else ""
                if pause is None or code not in {_CONFLICT, *_EXISTS}:
                    raise self._failure(f"{key} cannot be written", error, _WRITE) from error
                time.sleep(pause)
        raise InvariantError("the last attempt returns or raises")

    def _written(self, key: str, body: bytes) -> str | None:
        """Return the entity tag of the object if it has this content, or None if it was not read.

        Raises Taken if it has other content.
        """
        try:
            found = self._get(key)
        except _ERRORS:
            _log.debug("%s could not be read", key, exc_info=True)
            return None
        if found is None:
            return None
        if found.body != body:
            raise Taken(key)
        return found.etag

    def delete(self, key: str, etag: str) -> bool:
        """Delete the object if its entity tag still matches; return whether it did.

        Raises AccessRefused.
        """
        try:
            self.client().delete_object(
                Bucket=self.name.bucket, Key=f"{self.name.prefix}{key}", IfMatch=etag
            )
        except _ERRORS as error:
            code = code_of(error) if isinstance(error, ClientError) else ""
            if code in {*MISSING, *_EXISTS}:
                return False
            raise self._failure(f"{key} cannot be deleted", error, _DELETE) from error
        return True

    def _failure(self, what: str, error: Failure, permission: Permission) -> KeysweepError:
        return bucket_failure(f"{self.name}: {what}", error, self.name.bucket, permission)
