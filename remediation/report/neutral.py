"""Text from outside, made harmless: no terminal escapes, no bidirectional tricks, no formulas."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: str) -> str:
    """The text with every control, format and bidirectional character shown as its code."""
    return "".join(
        character
        if unicodedata.category(character) not in _HIDDEN
        else f"\\u{{{ord(character):x}}}"
        for character in text
    )


def plain_lines(lines: Iterable[str]) -> str:
    """Plain texts, each on a line of its own."""
    return "\n".join(map(plain, lines))


def for_csv(text: str) -> str:
    """Plain text that no spreadsheet takes for a formula ("CSV Injection", OWASP)."""
    text = plain(text)
    return f"'{text}" if text.lstrip()[:1] in {"=", "+", "-", "@"} else text


def for_markdown(text: str) -> str:
    """Plain text in which nothing is Markdown or HTML (GitHub Flavored Markdown, section 6.1)."""
    return "".join(
        f"\\{character}" if character in "\\`*_{}[]()<>#+!|~&$:@" else character
        for character in plain(text)
    )
