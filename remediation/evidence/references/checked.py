"""Which botocore the reference list was checked with: members of newer models are not in it."""

from __future__ import annotations

import re

import botocore

from .entries import ReferenceList


def checked_with(references: ReferenceList) -> str:
    """Say which models the list was compared with."""
    return f"References to keys were checked with the service models of {references.checked_with}."


def newer(references: ReferenceList, installed: str = botocore.__version__) -> str | None:
    """Warn of an installed botocore that is newer than the list; None: it is not."""
    if _version(installed) <= _version(references.checked_with):
        return None
    return (
        f"botocore {installed} is installed, and references to keys were checked with "
        f"{references.checked_with}. AWS may have new fields that name keys, which are not read. "
        "Fix: update keysweep"
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
