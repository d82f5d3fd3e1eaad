"""Keys with a tag or description that asks to keep them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from ..models import Evidence, known
from ..policy import Policy
from . import Rule, WhilePending

NO: Final = frozenset({"0", "disabled", "f", "false", "n", "no", "none", "off"})
"""Tag values that cancel what the tag's name asks for. An empty value does not."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[^\W_]+")
_SHOWN: Final = 100
"""How many characters of a description to show in a message."""


def _plain(tag: str) -> str:
    """A tag name without spaces and invisible characters, in one case and width."""
    visible = (
        c for c in unicodedata.normalize("NFKC", tag) if unicodedata.category(c)[0] not in "ZC"
    )
    return "".join(visible).casefold()


def _words(text: str) -> str:
    """Text in one case and width, with camelCase split, without apostrophes and invisible
    characters."""
    visible = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    parted = _HUMP.sub(" ", "".join(visible))
    return re.sub("['\u2018\u2019]", "", parted).casefold()


@lru_cache(maxsize=8)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Match any of the phrases as whole words. The longest match wins."""
    by_length = sorted(map(_words, phrases), key=len, reverse=True)
    return re.compile("|".join(map(_one, by_length)) if phrases else r"(?!)")


def _one(phrase: str) -> str:
    words = _WORD.findall(phrase)
    # Scripts without case, such as Japanese, have no spaces between words.
    before = r"(?<![^\W\d_])" if words[0][0].upper() != words[0][0] else ""
    after = r"(?![^\W\d_])" if words[-1][-1].upper() != words[-1][-1] else ""
    return before + r"[\W_]*".join(map(re.escape, words)) + after


@lru_cache(maxsize=10_000)
def _asks(phrases: tuple[str, ...], text: str) -> str | None:
    """The words in a text that ask to keep the key."""
    match = _pattern(phrases).search(_words(text))
    return match[0] if match else None


@lru_cache(maxsize=10_000)
def _tag_asks(phrases: tuple[str, ...], name: str, value: str) -> bool:
    """Whether a tag's name or value asks to keep the key, and its value does not say no."""
    words = _words(name)
    whole = f"{words}={_words(value)}"
    at = 0
    while match := _pattern(phrases).search(whole, at):
        if match.end() > len(words) or _plain(value) not in NO:
            return True
        at = match.start() + 1
    return False


def _check(evidence: Evidence, policy: Policy, _now: datetime) -> Iterator[str]:
    protected = _plain(policy.protected_tag)
    phrases = policy.protected_phrases
    for name, value in sorted(known(evidence.tags).items()):
        if _plain(name) == protected:
            yield f"it is tagged {name!r} with the value {value!r}"
        elif _tag_asks(phrases, name, value):
            yield f"its tag {name!r} with the value {value!r} asks to keep it"
    text = known(evidence.description).description
    if words := _asks(phrases, text):
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        yield f"its description asks to keep it ({words}): {shown!r}"


RULE = Rule(
    id="protected-tag",
    sentence=(
        "Owners protect a key with a tag or description, without changing the policy. The "
        "policy's `protected_tag` counts with any value, in any case and with spaces, since people "
        "type tags by hand. Its `protected_phrases` count in the description and in the name or "
        "value of a tag, unless the tag's value says no."
    ),
    clears="Once the owner agrees, remove the tag or change the description.",
    needs=("description", "tags"),
    while_pending=WhilePending.IGNORE,
    check=_check,
)
