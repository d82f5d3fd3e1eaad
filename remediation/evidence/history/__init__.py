"""What happened to keys, from CloudTrail's event history or its log files in Athena."""

from __future__ import annotations

from .event_history import EventHistory
from .sources import history_sources

SOURCES = history_sources(EventHistory())
