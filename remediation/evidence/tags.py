"""Tags of a key. Malformed tags are kept, since one may protect the key."""

from __future__ import annotations

from ..aws import Connection
from ..models import Cost, Evidence
from .source import Source


def _read(connection: Connection, evidence: Evidence) -> dict[str, str]:
    pages = connection.client("kms").get_paginator("list_resource_tags")
    return {
        tag["TagKey"]: tag["TagValue"]
        for page in pages.paginate(KeyId=str(evidence.key_arn))
        for tag in page["Tags"]
    }


SOURCE = Source("tags", Cost.KEY_CALL, ("kms:ListResourceTags",), read_key=_read)
