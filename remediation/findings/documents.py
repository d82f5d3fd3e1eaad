"""A results document as a sequence of records, whatever its layout: list, object, or lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import BadInput
from .shown import shown


def records(stream: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    """Each record's place and bytes. Raises BadInput for a document that is not whole."""
    text = stream.read().strip()
    try:
        if text[:1] == b"[":
            found = json.loads(text)
        else:
            try:
                found = [json.loads(text)]
            except ValueError:
                found = [json.loads(line) for line in text.splitlines()]
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{shown(name)} is no whole JSON document: {error}") from error
    for number, record in enumerate(found, 1):
        yield f"record {number}", json.dumps(record).encode()
