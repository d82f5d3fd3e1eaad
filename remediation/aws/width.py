"""How much is done side by side: enough that quotas and the network bind, and not this program.

Accounts and Regions have quotas of their own, so all of them are worked on together as far as
threads are cheap. Few of them get more threads each, since an answer takes tens of milliseconds.
"""

from __future__ import annotations

from typing import Final

PLACES: Final = 64
"""Accounts and Regions at a time. A slow one holds few of the threads."""

SCANS: Final = 6
"""Accounts and Regions at a time whose services are listed. Each takes some hundred clients and a
second or two of a core, so that more of them take more memory and no less time."""

_THREADS: Final = 256
_FEWEST_KEYS: Final = 4
_MOST_KEYS: Final = 16


def keys_at_a_time(connections: int) -> int:
    """How many keys of one account and Region are worked on together, among so many places."""
    return min(_MOST_KEYS, max(_FEWEST_KEYS, _THREADS // max(1, min(connections, PLACES))))
