"""The journal: append-only JSON lines of every write; the source for undo, status and reruns.

A line is on the disk (fsync) before the call that it announces. One process writes at a time: the
operating system's lock ends with the process. `lines` has the format, `reader` what a journal says
of each key, `writer` the lock and the appending.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .deletions import Deletion, deletions
from .lines import (
    DELIVERY_DELAY,
    USE_REPORTING_DELAY,
    AnyLine,
    IntentLine,
    Line,
    LookLine,
    OutcomeLine,
    RunLine,
)
from .reader import History, KeyRecord, distinct, exists, read, read_undamaged
from .writer import Journal, JournalFailed, JournalUnusable

DEFAULT_PATH: Final = Path("keysweep-journal.jsonl")

__all__ = [
    "DEFAULT_PATH",
    "DELIVERY_DELAY",
    "USE_REPORTING_DELAY",
    "AnyLine",
    "Deletion",
    "History",
    "IntentLine",
    "Journal",
    "JournalFailed",
    "JournalUnusable",
    "KeyRecord",
    "Line",
    "LookLine",
    "OutcomeLine",
    "RunLine",
    "deletions",
    "distinct",
    "exists",
    "read",
    "read_undamaged",
]
