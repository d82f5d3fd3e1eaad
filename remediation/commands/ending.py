"""After AWS was changed: what is left, and what does it."""

from __future__ import annotations

from collections.abc import Iterable

from ..journal import Journal
from ..work import Stop
from . import LEFT
from .saying import say


def code_at_end(stop: Stop, journals: Iterable[Journal], code: int) -> int:
    """The exit code, after saying why the run ended early and what does the rest."""
    for journal in journals:
        if journal.failure is not None:
            stop.ask(f"{journal.path}: the journal cannot be written: {journal.failure}")
    if not stop.asked:
        return code
    say(f"{stop.reason}; what is left is done by: the same command")
    return LEFT
