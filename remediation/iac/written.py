"""The file behind a finding, read again: the record itself does not carry what leads to the key."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..models import CodeLocation
from .bounded import read_bounded
from .leads import BY_PROWLER, Nowhere

LARGEST: Final = 2 * 1024 * 1024
"""Bytes of a playbook or manifest."""

SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})

CHANGED: Final = Nowhere(
    "its file is not the one that Checkov read any more", "scan it again with Checkov"
)


def text_of(code: CodeLocation) -> str | Nowhere:
    """The text of the file, where it still lies; nothing but code is ever opened."""
    absent = Nowhere(
        "the file that says which key it is does not lie here",
        f"plan where Checkov scanned, with an absolute -d, or {BY_PROWLER}",
    )
    if code.absolute_file is None:
        return absent
    path = Path(code.absolute_file)
    if not path.is_absolute() or path.suffix not in SUFFIXES or not path.is_file():
        return absent
    try:
        return read_bounded(path, LARGEST).decode()
    except (BadInput, UnicodeDecodeError):
        return absent
