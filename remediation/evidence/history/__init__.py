"""What happened to keys, from CloudTrail's event history or a CloudTrail Lake event data store."""

from __future__ import annotations

from .event_history import EventHistory
from .sources import history_sources

SOURCES = history_sources(EventHistory())
