"""Results in S3, from `prowler aws --output-bucket BUCKET` or any scanner.

Prowler 5.46.0 names its objects `<output directory>/<format>/prowler-output-<account>-<time>...`.
The output directory is that of `--output-directory`, by default the absolute path of `output`,
which begins with a slash, without everything up to `prowler/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ..aws.access_errors import unavailable
from ..aws.accounts import Accounts
from ..aws.failures import code_of, denied
from ..errors import (
    RUN_AGAIN,
    AccessRefused,
    BadInput,
    InvariantError,
    KeysweepError,
    TruncatedResponse,
)
from ..escape import short
from .buffer import Readable
from .remote import (
    NO_FILE,
    PATTERNS,
    S3,
    RemoteResults,
    Result,
    names_results,
    newest_runs,
    older_run_warnings,
)

LIST_PERMISSION: Final = "s3:ListBucket"
READ_PERMISSION: Final = "s3:GetObject"
DECRYPT_PERMISSION: Final = "kms:Decrypt"
"""For a bucket that is encrypted with a KMS key."""

DOCUMENT: Final = "policies/iam/results-bucket.json"

MOST_FILES: Final = 10_000
"""Most files of one folder. More are a data lake, not a scanner's results."""

ATTEMPTS: Final = 3
"""For interrupted bodies. botocore retries errors before the body."""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
""""General purpose bucket naming rules" (Amazon S3 User Guide); an access point's alias too."""

_ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
_ARCHIVED: Final = "InvalidObjectState"
_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})


class S3Results:
    """Finds results under `s3://bucket/prefix`, with the user's credentials."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._made: Any = None

    def find(self, path: str) -> RemoteResults:
        """The object of that name, or the newest runs' objects below it.

        A name with the suffix of a results file is an object. Raises BadInput if it cannot be read.
        """
        bucket, _, key = path.removeprefix(S3).partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise BadInput(
                f"{short(path)}: {short(bucket) or 'nothing'!r} is not a bucket name. Fix: use "
                "s3://BUCKET/PREFIX, or an access point alias"
            )
        if names_results(key):
            return RemoteResults(is_folder=False, files=(_Object(self._client, bucket, key),))
        prefix = key if key.endswith("/") or not key else f"{key}/"
        chosen, older = newest_runs(self._list(bucket, prefix, path))
        if not chosen:
            raise BadInput(
                f"{short(path)} holds no {NO_FILE}. Fix: prowler aws -M json-ocsf --output-bucket "
                f"{bucket} without these options, which writes below its --output-directory"
            )
        if len(chosen) > MOST_FILES:
            raise BadInput(
                f"{short(path)} holds more than {MOST_FILES} files ({PATTERNS}); name the "
                "folder of the results"
            )
        return RemoteResults(is_folder=True, files=chosen, warnings=older_run_warnings(path, older))

    def _client(self) -> Any:
        if self._made is None:
            self._made = self._accounts.own_client("s3")
        return self._made

    def _list(self, bucket: str, prefix: str, path: str) -> Iterator[_Object]:
        try:
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    if names_results(one["Key"]):
                        yield _Object(self._client, bucket, one["Key"], one["Size"])
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            what = f"{short(path)} cannot be listed"
            raise _failure(what, error, bucket, LIST_PERMISSION) from error


@dataclass(frozen=True)
class _Object:
    """An object with results."""

    client: Callable[[], Any]
    bucket: str
    key: str
    size: int | None = None
    """In bytes, from the listing."""

    @property
    def path(self) -> str:
        return f"{S3}{self.bucket}/{self.key}"

    def read(self, take: Callable[[Readable], Result]) -> Result:
        for attempt in range(ATTEMPTS):
            try:
                answer = self.client().get_object(Bucket=self.bucket, Key=self.key)
                with answer["Body"] as body:
                    return take(_Whole(body, answer.get("ContentLength"), self.size))
            except (ClientError, BotoCoreError, TruncatedResponse, OSError) as error:
                # botocore has already retried what is worth retrying.
                if isinstance(error, ClientError) or attempt + 1 == ATTEMPTS:
                    what = f"{short(self.path)} cannot be read"
                    raise _failure(what, error, self.bucket, READ_PERMISSION) from error
        raise InvariantError("the last attempt returns or raises")


class _Whole:
    """A body that raises TruncatedResponse at its end if its length is not the announced one."""

    def __init__(self, body: Readable, *announced: int | None) -> None:
        self._body = body
        self._announced = [length for length in announced if length is not None]
        self._done = 0

    def read(self, size: int, /) -> bytes:
        part = self._body.read(size)
        self._done += len(part)
        if not part and any(length != self._done for length in self._announced):
            raise TruncatedResponse(
                f"the response of S3 GetObject was truncated after {self._done} of "
                f"{max(self._announced)} bytes, or the object was replaced meanwhile"
            )
        return part


def _failure(
    what: str,
    error: ClientError | BotoCoreError | TruncatedResponse | OSError,
    bucket: str,
    permission: str,
) -> KeysweepError:
    """BadInput if the path names nothing; else AWS or the network refused it."""
    if isinstance(error, BotoCoreError):
        return unavailable(what, error)
    nothing = isinstance(error, ClientError) and code_of(error) in {"NoSuchBucket", *_MISSING}
    kind = BadInput if nothing else AccessRefused
    return kind(f"{what}: {_why(error, bucket, permission)}")


def _why(error: ClientError | TruncatedResponse | OSError, bucket: str, permission: str) -> str:
    """Why a bucket could not be read, and what to do."""
    if not isinstance(error, ClientError):
        text = " ".join(str(error).split())[:300]
        return (
            f"{text} ({type(error).__name__}, bucket {bucket}). Fix: {RUN_AGAIN}, or check the AWS "
            "configuration"
        )
    code = code_of(error)
    failed = f"{error.operation_name} of bucket {bucket}"
    if denied(code):
        also = "" if permission == LIST_PERMISSION else f", and {DECRYPT_PERMISSION} on its key"
        return f"{failed} was denied ({code}). Fix: allow {permission}{also} ({DOCUMENT})"
    failed = f"{failed} failed ({code})"
    if code == "NoSuchBucket":
        return f"{failed}: there is no such bucket. Fix: check its name"
    if code in _MISSING:
        return f"{failed}: there is no such object. Fix: check its name"
    if code in _ELSEWHERE:
        region = error.response["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
        return f"{failed}: it is in {region or 'another Region'}. Fix: set AWS_REGION to that"
    if code == _ARCHIVED:
        return f"{failed}: the object is archived. Fix: restore it, or scan again"
    return f"{failed}. Fix: {RUN_AGAIN}"
