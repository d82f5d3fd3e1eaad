"""Requests to delete keys, as CloudTrail records them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ...aws import Connection
from .event_history import KEPT, EventHistory, records

EVENT: Final = "ScheduleKeyDeletion"
PERMISSIONS: Final = EventHistory.permissions
REACHES_BACK: Final = KEPT
"""How far. No key waits so long for a deletion that has a date."""

_AGENT: Final = re.compile(r"(?<![^\s\[])keysweep/[0-9][\w.+-]*", re.ASCII)
_YEAR: Final = re.compile(r"(?<=[0-9]{4}),")
_DATES: Final = ("%b %d, %Y %I:%M:%S %p", "%b %d, %Y %H:%M:%S %p")
"""12 hours as Java writes them, and 24 hours in spite of the PM ("ScheduleKeyDeletion", Logging AWS
KMS API calls, AWS KMS Developer Guide). No text has two meanings: each hour after noon that
precedes a PM is above 12."""


@dataclass(frozen=True)
class DeletionEvent:
    """A request to delete a key that AWS accepted."""

    id: str
    time: datetime
    key_arn: str | None
    """None: it could not be read."""
    caller: str | None = None
    source: str | None = None
    """Address that the request came from."""
    user_agent: str | None = None
    """Keysweep's part of the user agent; None: the request was not Keysweep's."""
    pending_window_days: int | None = None
    deletion_date: datetime | None = None
    """From the answer. None: it has none, as for a primary key with replicas, or it could not be
    read."""


def deletion_events(connection: Connection) -> Iterator[DeletionEvent]:
    """Those of an account-Region within 90 days, newest first. AWS's errors pass through."""
    for record in records(connection, "EventName", EVENT):
        event = parse(record)
        if event is not None:
            yield event


def parse(record: dict[str, Any]) -> DeletionEvent | None:
    """Parse a record of LookupEvents. None: AWS refused the request.

    What is missing or unreadable is None in the event: it then matches no deletion.
    """
    detail = _detail(record.get("CloudTrailEvent"))
    if detail.get("errorCode"):
        return None
    identity, request, answer = (
        _object(detail.get(part))
        for part in ("userIdentity", "requestParameters", "responseElements")
    )
    window = request.get("pendingWindowInDays")
    agent = _AGENT.search(_text(detail.get("userAgent")) or "")
    return DeletionEvent(
        id=record["EventId"],
        time=record["EventTime"],
        key_arn=_resource(record) or _text(answer.get("keyId")),
        caller=_text(identity.get("arn")) or _text(identity.get("invokedBy")),
        source=_text(detail.get("sourceIPAddress")),
        user_agent=None if agent is None else agent[0],
        pending_window_days=window if type(window) is int else None,
        deletion_date=date_of(answer.get("deletionDate")),
    )


def date_of(text: object) -> datetime | None:
    """The deletion date in an event. None: there is none, or it could not be read."""
    if not isinstance(text, str):
        return None
    plain = _YEAR.sub("", " ".join(text.split()), count=1)
    for form in _DATES:
        try:
            return datetime.strptime(plain, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _detail(text: object) -> dict[str, Any]:
    try:
        return _object(json.loads(text)) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _resource(record: dict[str, Any]) -> str | None:
    """The key among the resources of a record, which it has even if its event is unreadable."""
    keys = {
        name
        for one in record.get("Resources") or ()
        if ":key/" in (name := one.get("ResourceName") or "")
    }
    return keys.pop() if len(keys) == 1 else None
