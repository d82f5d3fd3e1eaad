"""The only place that builds AWS clients: sessions, account check, whole answers, the clock."""

from __future__ import annotations

from .accounts import Access, Accounts, Located, Place

__all__ = ["Access", "Accounts", "Located", "Place"]
