"""Concurrency limits: high enough that quotas and the network are the bottleneck.

Each account-Region has its own quotas, so many are processed at once. When there are few, each gets
more threads, since an answer takes tens of milliseconds.
"""

from __future__ import annotations

import os
from typing import Final

ACCOUNT_REGIONS: Final = 64
"""Account-Regions processed at a time. A slow one occupies few threads."""

SCANS: Final = 4
"""Account-Regions that a process scans for references at a time. Each has two dozen threads and
takes half a second of CPU or more, so more at a time would take more memory and save no time."""

_THREADS: Final = 256
_FEWEST_KEYS: Final = 4
_MOST_KEYS: Final = 16
_KEYS_AHEAD: Final = 32
"""CloudTrail's quota allows so many lookups in 20 seconds."""


def usable_cores() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keys_at_a_time(account_regions: int) -> int:
    """Number of keys of one account-Region to process at a time."""
    return min(
        _MOST_KEYS, max(_FEWEST_KEYS, _THREADS // max(1, min(account_regions, ACCOUNT_REGIONS)))
    )


def keys_ahead(account_regions: int, jobs: int) -> int:
    """Number of keys of one account-Region to read ahead while it waits to be scanned.

    The scan may hold them after all. Few account-Regions need not wait.
    """
    return _KEYS_AHEAD if account_regions > SCANS * jobs else 0
