"""Processes that read whole accounts, so that a run uses every core.

All requests of one account leave from one process, so that its rates stay those of AWS's quotas.
Credentials and what is the same in every account come from the parent. Nothing that changes AWS or
writes a journal runs in a worker.
"""

from __future__ import annotations

from .pool import Job, Workers
from .remote import Report

__all__ = ["Job", "Report", "Workers"]
