"""The only place that builds AWS clients: sessions, account check, pace, whole answers, clock."""

from __future__ import annotations

from .accounts import Access, AccountRegion, Accounts, Connection, Located
from .clients import ClientSettings

__all__ = ["Access", "AccountRegion", "Accounts", "ClientSettings", "Connection", "Located"]
