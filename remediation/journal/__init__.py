"""The journal: append-only JSON lines of every write; the source for undo, status and reruns.

Each line is on disk (fsync), or in the bucket, before the call that it announces. Only one process
writes at a time. `lines` defines the format, `reader` builds the record of each key, and `writer`
appends. `store` is the interface to storage, with `file_store` and `s3_store` behind it. `copy`
moves a journal between them.
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
    IntentLine,
    Line,
    OutcomeLine,
    RebuildLine,
    RebuiltDeletion,
)
from .locations import Location, distinct, exists, store_of
from .name import JournalName
from .reader import History, KeyRecord, demand_empty, read, read_undamaged
from .writer import Journal, JournalFailed

DEFAULT_PATH: Final = Path("keysweep-journal.jsonl")

__all__ = [
    "DEFAULT_PATH",
    "DELIVERY_DELAY",
    "USE_REPORTING_DELAY",
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
    "OutcomeLine",
    "RebuildLine",
    "RebuiltDeletion",
    "copy",
    "deletions",
    "demand_empty",
    "distinct",
    "exists",
    "read",
    "read_undamaged",
    "store_of",
]
