"""Whether a glob of the policy can match any key. One that cannot would protect nothing.

Globs are those of Python's fnmatch: `*`, `?`, `[abc]`, `[!a-c]`, case matters.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from fnmatch import translate
from typing import Final, NamedTuple

OF_KEYS_ALONE: Final = ":key/"
"""A glob with this text matches key ids, never aliases."""


class _Characters(NamedTuple):
    """One character of a set, or any number of them."""

    of: frozenset[str]
    many: bool = False


_DIGITS: Final = frozenset(string.digits)
_LOWER: Final = frozenset(string.ascii_lowercase)
_DASH: Final = frozenset("-")
_IN_ALIASES: Final = frozenset(string.ascii_letters + string.digits + ":/_-")
_ANY: Final = _IN_ALIASES


def _text(text: str) -> list[_Characters]:
    return [_Characters(frozenset(character)) for character in text]


def _several(of: frozenset[str], count: int) -> list[_Characters]:
    return [_Characters(of)] * count


_HEX: Final = _DIGITS | frozenset("abcdef")
_UUID: Final = [
    *_several(_HEX, 8),
    *(part for count in (4, 4, 4, 12) for part in (_Characters(_DASH), *_several(_HEX, count))),
]
_MULTI_REGION: Final = [*_text("mrk-"), *_several(_HEX, 32)]
_HOME: Final = [
    *_text("arn:aws"),
    _Characters(_LOWER | _DASH, many=True),
    *_text(":kms:"),
    _Characters(_LOWER),
    _Characters(_LOWER | _DIGITS | _DASH, many=True),
    *_text(":"),
    *_several(_DIGITS, 12),
    *_text(":"),
]
_ALIAS: Final = [*_text("alias/"), _Characters(_IN_ALIASES), _Characters(_IN_ALIASES, many=True)]

KEYS: Final = ([*_HOME, *_text("key/"), *_UUID], [*_HOME, *_text("key/"), *_MULTI_REGION])
"""The ARNs of keys ("Key identifiers (KeyId)", AWS KMS Developer Guide)."""

ALIASES: Final = (_ALIAS, [*_HOME, *_ALIAS])
"""Names and ARNs of aliases ("CreateAlias", AWS KMS API Reference)."""


def can_match_key(glob: str) -> bool:
    """Whether the ARN of some key matches."""
    tokens = list(_tokens(glob))
    return any(_meet(tokens, name) for name in KEYS)


def can_match_alias(glob: str) -> bool:
    """Whether the name or the ARN of some alias matches, in a glob that is not of keys alone."""
    tokens = list(_tokens(glob))
    return OF_KEYS_ALONE not in glob and any(_meet(tokens, name) for name in ALIASES)


def _tokens(glob: str) -> Iterator[_Characters]:
    for sign in re.findall(r"\*|\[!?\]?[^\]]*\]|.", glob, re.DOTALL):
        if sign == "*":
            yield _Characters(_ANY, many=True)
        elif sign == "?" or len(sign) > 1:
            matches = re.compile(translate(sign)).match
            yield _Characters(frozenset(character for character in _ANY if matches(character)))
        else:
            yield _Characters(frozenset(sign))


def _meet(one: list[_Characters], other: list[_Characters]) -> bool:
    """Whether some text is of both forms: a walk through both at once."""
    todo, seen = [(0, 0)], set[tuple[int, int]]()
    while todo:
        here = i, j = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        if (i, j) == (len(one), len(other)):
            return True
        a = one[i] if i < len(one) else None
        b = other[j] if j < len(other) else None
        if a and a.many:
            todo.append((i + 1, j))
        if b and b.many:
            todo.append((i, j + 1))
        if a and b and a.of & b.of:
            todo.append((i + (not a.many), j + (not b.many)))
    return False
