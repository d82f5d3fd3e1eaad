"""A bucket in memory, for journals in S3."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError


def refusal(code: str, operation: str = "PutObject") -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {}}, operation)


LOST = EndpointConnectionError(endpoint_url="https://s3")


@dataclass
class Memory:
    """A client of S3: what the journal calls, with pages of two names."""

    objects: dict[str, bytes] = field(default_factory=dict)
    before: list[Exception | None] = field(default_factory=list)
    """Errors of the next writes, which do nothing."""
    after: list[Exception | None] = field(default_factory=list)
    """Errors of the next writes, which are done."""
    unreadable: Exception | None = None
    undeletable: Exception | None = None
    change_page: Callable[[dict[str, Any]], None] = lambda page: None
    puts: list[str] = field(default_factory=list)

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, IfNoneMatch: str, **_: Any) -> Any:  # noqa: N803
        assert (Bucket, IfNoneMatch) == ("jrnl", "*")
        self.puts.append(Key)
        if self.before and (error := self.before.pop(0)):
            raise error
        if Key in self.objects:
            raise refusal("PreconditionFailed")
        self.objects[Key] = Body
        if self.after and (error := self.after.pop(0)):
            raise error
        return {"ETag": self.etag(Key)}

    def get_object(self, *, Bucket: str, Key: str) -> Any:  # noqa: N803
        assert Bucket == "jrnl"
        if self.unreadable is not None:
            raise self.unreadable
        if Key not in self.objects:
            raise refusal("NoSuchKey", "GetObject")
        body = self.objects[Key]
        return {"Body": io.BytesIO(body), "ContentLength": len(body), "ETag": self.etag(Key)}

    def delete_object(self, *, Bucket: str, Key: str, IfMatch: str) -> Any:  # noqa: N803
        assert Bucket == "jrnl"
        if self.undeletable is not None:
            raise self.undeletable
        if Key not in self.objects:
            raise refusal("NoSuchKey", "DeleteObject")
        if IfMatch != self.etag(Key):
            raise refusal("PreconditionFailed", "DeleteObject")
        del self.objects[Key]

    def list_objects_v2(self, *, Bucket: str, Prefix: str, ContinuationToken: str = "") -> Any:  # noqa: N803
        assert Bucket == "jrnl"
        names = sorted(one for one in self.objects if one.startswith(Prefix))
        left = [one for one in names if one > ContinuationToken]
        page: dict[str, Any] = {
            "Contents": [{"Key": one, "Size": len(self.objects[one])} for one in left[:2]],
            "KeyCount": len(left[:2]),
            "IsTruncated": len(left) > 2,
        }
        if page["IsTruncated"]:
            page["NextContinuationToken"] = left[1]
        self.change_page(page)
        return page

    def etag(self, key: str) -> str:
        return f'"{hash(self.objects[key])}"'
