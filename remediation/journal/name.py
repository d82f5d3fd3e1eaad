"""The name of a journal in S3, as `--journal` takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ..access import BUCKET_NAME
from ..errors import BadInput
from ..escape import short

S3: Final = "s3://"


@dataclass(frozen=True)
class JournalName:
    """`s3://BUCKET/PREFIX/`."""

    bucket: str
    prefix: str
    """Empty, or ends with a slash."""

    @classmethod
    def parse(cls, text: str) -> JournalName:
        """Parse the name. Raises BadInput if no bucket can have it."""
        bucket, _, prefix = text.removeprefix(S3).partition("/")
        if not BUCKET_NAME.fullmatch(bucket) or re.search(r"[\x00-\x1f\x7f]|//", prefix):
            raise BadInput(f"{short(text)}: Not a journal's name. Fix: use s3://BUCKET/PREFIX/")
        return cls(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "")

    def __str__(self) -> str:
        return f"{S3}{self.bucket}/{self.prefix}"
