"""Recognize files in other formats, to say in the error which file to give instead."""

from __future__ import annotations

import msgspec

_INSTEAD = "give the JSON of the same scan (prowler -M json-ocsf, checkov -o json)"


class _Sarif(msgspec.Struct):
    version: str
    runs: list[msgspec.Raw]


def reason_for_record(record: msgspec.Raw) -> str | None:
    """Why a document with this record is refused, if it is recognized."""
    try:
        msgspec.json.decode(record, type=_Sarif)
    except msgspec.DecodeError:
        return None
    return f"is SARIF, which does not contain the keys' ARNs. Fix: {_INSTEAD}"


def reason_for_text(start: bytes) -> str | None:
    """The same for text that is not JSON, from its first bytes."""
    if start.startswith((b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "is compressed. Fix: unpack it first"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return f"is HTML or XML. Fix: {_INSTEAD}"
    line = text.split(b"\n", 1)[0].upper()
    if any(line.startswith(first) for first in _CSV_STARTS):
        return f"is CSV. Fix: {_INSTEAD}"
    return None


_CSV_STARTS = (
    b"AUTH_METHOD;",  # Prowler 4 and 5
    b"ASSESSMENT_START_TIME;",  # Prowler 3
    b"PROVIDER;",  # Prowler's compliance CSV
    b"RESOURCE,PATH,",  # Checkov
)
