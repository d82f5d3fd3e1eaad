"""Results in S3, from `prowler aws --output-bucket BUCKET` or any scanner.

Prowler 5.46.0 names its objects `<output directory>/<format>/prowler-output-<account>-<time>...`.
The output directory is that of `--output-directory`, by default the absolute path of `output`,
which begins with a slash, without everything up to `prowler/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ..access import BUCKET_NAME
from ..aws.accounts import Accounts
from ..aws.bucket_errors import (
    LIST_PERMISSION,
    READ_PERMISSION,
    Permission,
    bucket_failure,
)
from ..errors import BadInput, InvariantError, TruncatedResponse
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

DOCUMENT: Final = "policies/iam/results-bucket.json"

_LIST: Final = Permission(LIST_PERMISSION, DOCUMENT, of_key=None)
_READ: Final = Permission(READ_PERMISSION, DOCUMENT)

MOST_FILES: Final = 10_000
"""Most files of one folder. More are a data lake, not a scanner's results."""

ATTEMPTS: Final = 3
"""For interrupted bodies. botocore retries errors before the body."""


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
        if not BUCKET_NAME.fullmatch(bucket):
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
            raise bucket_failure(what, error, bucket, _LIST) from error


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
                with closing(answer["Body"]) as body:
                    return take(_Whole(body, answer.get("ContentLength"), self.size))
            except (ClientError, BotoCoreError, TruncatedResponse, OSError) as error:
                # botocore has already retried what is worth retrying.
                if isinstance(error, ClientError) or attempt + 1 == ATTEMPTS:
                    what = f"{short(self.path)} cannot be read"
                    raise bucket_failure(what, error, self.bucket, _READ) from error
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
