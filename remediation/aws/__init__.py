"""The only package that creates AWS clients: sessions, account checks, rate limits, clock."""

from __future__ import annotations

from ..access import Access
from .accounts import Accounts, Connection
from .clients import ClientSettings
from .clock import Clock
from .selection import Selection, select

__all__ = [
    "Access",
    "Accounts",
    "ClientSettings",
    "Clock",
    "Connection",
    "Selection",
    "select",
]
