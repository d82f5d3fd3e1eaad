"""The only place that builds AWS clients: sessions, account check, pace, whole answers, clock."""

from __future__ import annotations

from .accounts import Access, Accounts, Located, Place, Spot
from .clients import Manners

__all__ = ["Access", "Accounts", "Located", "Manners", "Place", "Spot"]
