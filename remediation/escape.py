"""Escape text from outside: no terminal escapes, no bidirectional tricks, no formulas, no markup.

Names, descriptions, tags, file names and AWS's messages can hold anything. Standard library only.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from typing import Final

NAME_LENGTH: Final = 200
MESSAGE_LENGTH: Final = 1000

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of control, format and unassigned characters and of line separators."""


def printable(text: object, longest: int | None = None) -> str:
    r"""`text` with every invisible character as its code (`\u{1b}`), cut after `longest`."""
    raw = str(text)
    if longest is not None and len(raw) > longest:
        raw = f"{raw[:longest]}..."
    if raw.isprintable():
        return raw
    return "".join(
        character
        if unicodedata.category(character) not in _HIDDEN
        else f"\\u{{{ord(character):x}}}"
        for character in raw
    )


def short(text: object) -> str:
    """Escaped text, cut to the length of a name, for messages."""
    return printable(text, NAME_LENGTH)


def printable_lines(lines: Iterable[str]) -> str:
    """Escaped texts, each on its own line."""
    return "\n".join(map(printable, lines))


def csv_cell(text: str) -> str:
    """Escaped text that no spreadsheet reads as a formula ("CSV Injection", OWASP)."""
    text = printable(text)
    return f"'{text}" if text.lstrip()[:1] in {"=", "+", "-", "@"} else text


def markdown_text(text: str) -> str:
    """Escaped text without Markdown or HTML (GitHub Flavored Markdown, section 6.1)."""
    return "".join(
        f"\\{character}" if character in "\\`*_{}[]()<>#+!|~&$:@" else character
        for character in printable(text)
    )


def path_text(path: str) -> str:
    """A path that can be written as UTF-8, whatever bytes the file's name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
