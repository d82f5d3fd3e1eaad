"""Text from outside, made safe to print: names in results files may hold terminal escapes."""

from __future__ import annotations

import os
from typing import Final

NAME: Final = 200
SENTENCE: Final = 1000


def shown(text: object, longest: int = NAME) -> str:
    """`text` with everything that is not printable escaped, cut after `longest` characters."""
    raw = str(text)
    cut = raw if len(raw) <= longest else f"{raw[:longest]}..."
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in cut
    )


def path_text(path: str) -> str:
    """A path as text that can be written as UTF-8, whatever bytes the file's name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
