"""Requests to delete keys: what an event of CloudTrail says, and what it does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from dead_key import ARN

from keysweep.remediation.evidence.history.deletion_events import DeletionEvent, date_of, parse

WHEN = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATE = datetime(2026, 12, 1, 12, tzinfo=UTC)
CALLER = "arn:aws:sts::111122223333:assumed-role/KeysweepApply/keysweep"
AGENT = "Boto3/1.42.97 md/Botocore#1.42.97 lang/python#3.12.3 Botocore/1.42.97 keysweep/1.2.0"

DETAIL: dict[str, Any] = {
    "eventName": "ScheduleKeyDeletion",
    "userIdentity": {"type": "AssumedRole", "arn": CALLER},
    "sourceIPAddress": "192.0.2.7",
    "userAgent": AGENT,
    "requestParameters": {"keyId": str(ARN), "pendingWindowInDays": 30},
    "responseElements": {
        "keyId": str(ARN),
        "keyState": "PendingDeletion",
        "deletionDate": "Dec 1, 2026 12:00:00 PM",
    },
    "resources": [{"ARN": str(ARN), "type": "AWS::KMS::Key"}],
}
WHOLE = DeletionEvent(
    id="e-1",
    time=WHEN,
    key_arn=str(ARN),
    caller=CALLER,
    source="192.0.2.7",
    user_agent="keysweep/1.2.0",
    pending_window_days=30,
    deletion_date=DATE,
)


def record(text: str | None = None, listed: bool = True, **changes: Any) -> dict[str, Any]:
    """A record of LookupEvents; a change to None leaves the part out."""
    detail = {name: value for name, value in (DETAIL | changes).items() if value is not None}
    return {
        "EventId": "e-1",
        "EventName": "ScheduleKeyDeletion",
        "EventTime": WHEN,
        "Resources": [{"ResourceName": str(ARN)}] if listed else [],
        "CloudTrailEvent": json.dumps(detail) if text is None else text,
    }


def test_a_whole_event_says_who_asked_for_what() -> None:
    assert parse(record()) == WHOLE
    assert parse(record(listed=False)) == WHOLE


def test_a_refused_request_is_no_deletion() -> None:
    assert parse(record(errorCode="AccessDenied")) is None


def test_a_service_that_made_the_call_is_its_caller() -> None:
    event = parse(record(userIdentity={"invokedBy": "config.amazonaws.com"}))
    assert event is not None
    assert event.caller == "config.amazonaws.com"


@pytest.mark.parametrize(
    ("agent", "found"),
    [
        (AGENT, "keysweep/1.2.0"),
        ("keysweep/1.2.0", "keysweep/1.2.0"),
        ("[Boto3/1.40 keysweep/2.0.dev1+g1]", "keysweep/2.0.dev1+g1"),
        ("Boto3/1.42.97", None),
        ("notkeysweep/1.2.0", None),
        ("app/keysweep/1.2.0", None),
        ("keysweep", None),
        ("keysweep/", None),
        ("AWS Internal", None),
        ("", None),
        (7, None),
        (None, None),
    ],
)
def test_the_user_agent_names_keysweep_or_does_not(agent: object, found: str | None) -> None:
    event = parse(record(userAgent=agent))
    assert event is not None
    assert event.user_agent == found


CUT = {
    "no answer": {"responseElements": None},
    "an answer that is left out": {"responseElements": {"omitted": True}},
    "an answer without a date": {"responseElements": {"keyId": str(ARN)}},
    "a text as the answer": {"responseElements": "..."},
    "a date that is none": {"responseElements": {"deletionDate": "soon"}},
}


@pytest.mark.parametrize("what", CUT)
def test_an_event_without_its_date_has_none(what: str) -> None:
    event = parse(record(**CUT[what]))
    assert event is not None
    assert (event.key_arn, event.deletion_date) == (str(ARN), None)


@pytest.mark.parametrize("text", ["", "{", json.dumps(DETAIL)[:-40], "[]", "null", "[" * 9999])
def test_a_truncated_event_matches_nothing(text: str) -> None:
    assert parse(record(text)) == DeletionEvent("e-1", WHEN, str(ARN))
    assert parse(record(text, listed=False)) == DeletionEvent("e-1", WHEN, None)


@pytest.mark.parametrize("window", [None, "30", True, 30.0])
def test_a_waiting_period_is_a_whole_number(window: object) -> None:
    event = parse(record(requestParameters={"pendingWindowInDays": window}))
    assert event is not None
    assert event.pending_window_days is None


@pytest.mark.parametrize(
    ("text", "date"),
    [
        # The guide's example, and the same in the 12 hours of Java's format.
        ("Apr 12, 2021 18:58:30 PM", datetime(2021, 4, 12, 18, 58, 30, tzinfo=UTC)),
        ("Apr 12, 2021 6:58:30 PM", datetime(2021, 4, 12, 18, 58, 30, tzinfo=UTC)),
        ("Apr 12, 2021, 6:58:30\u202fPM", datetime(2021, 4, 12, 18, 58, 30, tzinfo=UTC)),
        ("Jan 1, 2026 12:00:00 AM", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Jan 1, 2026 00:00:00 AM", datetime(2026, 1, 1, tzinfo=UTC)),
        ("Jan 1, 2026 12:30:00 PM", datetime(2026, 1, 1, 12, 30, tzinfo=UTC)),
        ("Jan 01, 2026 09:05:00 AM", datetime(2026, 1, 1, 9, 5, tzinfo=UTC)),
        ("Feb 30, 2026 9:05:00 AM", None),
        ("2026-01-01", None),
        ("", None),
        (1767225600, None),
        (None, None),
    ],
)
def test_the_date_as_cloudtrail_spells_it(text: object, date: datetime | None) -> None:
    assert date_of(text) == date
