"""Log files that lie in a trail's bucket and are missing from the rows of a query.

Athena skips objects of the archive classes without an error ("Query restored Amazon S3 Glacier
objects", Amazon Athena User Guide). By default, lifecycle rules move no object below 128 KB
("TransitionDefaultMinimumObjectSize", Amazon S3 API Reference), so a day can lose its large files
alone, and its small ones still show reads of AWS KMS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

ARCHIVED: Final = frozenset({"DEEP_ARCHIVE", "GLACIER"})
"""Storage classes whose objects Athena skips."""

_MOST_DAYS: Final = 36_500
"""More days lose nothing that anyone looks for, and may reach before the first year."""


@dataclass(frozen=True, order=True)
class Loss:
    """Days whose log files a lifecycle rule archives or deletes."""

    until: date
    """The first day that it leaves whole."""
    why: str


def worst_loss(
    rules: Iterable[Mapping[str, Any]], bucket: str, folder: str, now: datetime
) -> Loss | None:
    """The loss that reaches furthest, of the lifecycle rules of a bucket for files in a folder.

    A filter by tag or size counts as none: what it leaves out is not known. None: no rule loses
    any.
    """
    losses = (
        loss
        for rule in rules
        if rule.get("Status") != "Disabled" and _reaches(_prefix(rule), folder)
        for loss in _losses(rule, bucket, now)
    )
    return max(losses, default=None)


def is_archived(listed: Mapping[str, Any]) -> bool:
    """Whether a page of a listing has an object that Athena skips."""
    return any(one.get("StorageClass") in ARCHIVED for one in listed.get("Contents", ()))


def _losses(rule: Mapping[str, Any], bucket: str, now: datetime) -> Iterator[Loss]:
    name = f"Lifecycle rule {rule.get('ID') or 'without a name'} of bucket {bucket}"
    actions = [
        *(
            (one, f"moves log files to {one['StorageClass']}, where Athena skips them,")
            for one in rule.get("Transitions", ())
            if one.get("StorageClass") in ARCHIVED
        ),
        (rule.get("Expiration") or {}, "deletes log files"),
    ]
    today = now.astimezone(UTC).date()
    for action, what in actions:
        if (days := action.get("Days")) is not None:
            # S3 counts from each file's time to the next midnight, so that day's may be gone.
            whole = today - timedelta(days=min(days, _MOST_DAYS) - 1)
            yield Loss(whole, f"{name} {what} after {days} days")
        elif (begins := action.get("Date")) is not None and begins <= now:
            yield Loss(today + timedelta(days=1), f"{name} {what} since {begins:%Y-%m-%d}")


def _prefix(rule: Mapping[str, Any]) -> str:
    """The prefix of a rule: in its filter, alone or combined, or where older rules have it."""
    condition = rule.get("Filter") or {}
    both = condition.get("And") or {}
    return str(condition.get("Prefix") or both.get("Prefix") or rule.get("Prefix") or "")


def _reaches(prefix: str, folder: str) -> bool:
    return prefix.startswith(folder) or folder.startswith(prefix)
