"""The journal: append-only JSON lines of every write; the source for undo, status and reruns.

A line is on the disk (fsync), or in the bucket, before the call that it announces. One process
writes at a time. `lines` has the format, `reader` what a journal says of each key, and `writer` the
appending. `store` is the interface to where a journal is kept: `file_store` or `s3_store`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from .copy import copy
from .deletions import Deletion, deletions
from .file_store import JournalUnusable
from .lines import (
    DELIVERY_DELAY,
    USE_REPORTING_DELAY,
    AnyLine,
    IntentLine,
    Line,
    LookLine,
    OutcomeLine,
    RebuildLine,
    RebuiltDeletion,
    RunLine,
)
from .locations import Location, distinct, exists
from .name import JournalName
from .reader import History, KeyRecord, demand_empty, read, read_undamaged
from .writer import Journal, JournalFailed

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
    "JournalName",
    "JournalUnusable",
    "KeyRecord",
    "Line",
    "Location",
    "LookLine",
    "OutcomeLine",
    "RebuildLine",
    "RebuiltDeletion",
    "RunLine",
    "copy",
    "deletions",
    "demand_empty",
    "distinct",
    "exists",
    "read",
    "read_undamaged",
]
