"""Tags and descriptions by which a key's owner asks to keep it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Final

from ..models import Evidence, known
from ..policy import Policy
from . import Rule

NO: Final = frozenset({"0", "disabled", "f", "false", "n", "no", "none", "off"})
"""Values of a tag that take back what its name asks for. An empty value takes nothing back."""

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD: Final = re.compile(r"[^\W_]+")
_SHOWN: Final = 100
"""Characters of a description that a message shows."""


def _plain(tag: str) -> str:
    """A tag name without its blanks and invisible characters, in one case and one width."""
    visible = (
        c for c in unicodedata.normalize("NFKC", tag) if unicodedata.category(c)[0] not in "ZC"
    )
    return "".join(visible).casefold()


def _words(text: str) -> str:
    """Text in one case and one width, its humps parted, without apostrophes and what is unseen."""
    visible = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    parted = _HUMP.sub(" ", "".join(visible))
    return re.sub("['\u2018\u2019]", "", parted).casefold()


@lru_cache(maxsize=8)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Matches any of the phrases as whole words; the longest one where several begin."""
    by_length = sorted(map(_words, phrases), key=len, reverse=True)
    return re.compile("|".join(map(_one, by_length)) if phrases else r"(?!)")


def _one(phrase: str) -> str:
    words = _WORD.findall(phrase)
    # Letters without case, as of Japanese, stand without blanks between the words.
    before = r"(?<![^\W\d_])" if words[0][0].upper() != words[0][0] else ""
    after = r"(?![^\W\d_])" if words[-1][-1].upper() != words[-1][-1] else ""
    return before + r"[\W_]*".join(map(re.escape, words)) + after


@lru_cache(maxsize=10_000)
def _asks(phrases: tuple[str, ...], text: str) -> str | None:
    """The words of a text that ask to keep the key."""
    match = _pattern(phrases).search(_words(text))
    return match[0] if match else None


@lru_cache(maxsize=10_000)
def _tag_asks(phrases: tuple[str, ...], name: str, value: str) -> bool:
    """Whether a tag asks to keep the key: by its value, by both, or by a name not taken back."""
    told = _words(name)
    said = f"{told}={_words(value)}"
    at = 0
    while match := _pattern(phrases).search(said, at):
        if match.end() > len(told) or _plain(value) not in NO:
            return True
        at = match.start() + 1
    return False


def _check(evidence: Evidence, policy: Policy, _now: datetime) -> Iterator[str]:
    wanted = _plain(policy.protected_tag)
    phrases = policy.protected_phrases
    for name, value in sorted(known(evidence.tags).items()):
        if _plain(name) == wanted:
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
        "A tag or a description is how an owner protects a key without touching the policy. Of the "
        "policy's `protected_tag` any value counts, and so does the name in another case or with "
        "blanks: people type tags by hand. So do the policy's `protected_phrases` in a "
        "description, or in a tag's name or value, unless the tag's value says no."
    ),
    clears="Remove the tag or change the description, once the owner agrees.",
    needs=("description", "tags"),
    check=_check,
)
