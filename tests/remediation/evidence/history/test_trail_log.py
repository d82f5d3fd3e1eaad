"""What rows of log files show of a trail: its last change, and days without events."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from keysweep.remediation.evidence.history.athena_table import Trail
from keysweep.remediation.evidence.history.trail_log import TrailLog

OWNER, OTHER = "999988887777", "111122223333"
ARN = f"arn:aws:cloudtrail:eu-west-1:{OWNER}:trail/all"
TRAIL = Trail(ARN, OWNER, "eu-west-1", every_account=True, every_region=True)
START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 20


def row(kind: str, account: str = OWNER, **more: str) -> dict[str, str]:
    empty = dict.fromkeys(("event", "error", "alias", "latest", "who", "days"), "")
    return {"kind": kind, "account": account, **empty, **more}


def change(event: str, day: int, **more: str) -> dict[str, str]:
    time = f"{START + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"
    return row(
        **{"kind": "trail", "event": event, "latest": time, "alias": ARN, "who": "x", **more}
    )


def log_of(*rows: dict[str, str]) -> TrailLog:
    """A log of days that all have an event, with these rows."""
    log = TrailLog(TRAIL, START.date(), date(2026, 11, 1 + DAYS))
    for one in (row("seen", days=" ".join(map(str, range(DAYS)))), *rows):
        log.add(one)
    return log


def test_a_key_depends_on_the_last_change() -> None:
    log = log_of(change("UpdateTrail", 9), change("StopLogging", 7))
    assert not log.is_whole
    assert log.gap(START + timedelta(days=9)) is None
    assert "UpdateTrail" in (log.gap(START + timedelta(days=8)) or "")


@pytest.mark.parametrize(
    "more",
    [
        {"error": "AccessDenied"},
        {"alias": ARN.replace("all", "other")},
        {"alias": "other"},
        {"alias": "all", "account": OTHER},
        {"kind": "use"},
    ],
)
def test_another_event_is_no_change(more: dict[str, str]) -> None:
    log = log_of(change("UpdateTrail", 9, **more))
    assert log.is_whole
    assert log.gap(START) is None


@pytest.mark.parametrize("more", [{"alias": "all"}, {"account": OTHER}, {"who": ""}])
def test_a_change_names_the_trail_in_its_account_or_by_arn(more: dict[str, str]) -> None:
    assert "UpdateTrail" in (log_of(change("UpdateTrail", 9, **more)).gap(START) or "")


def test_each_day_needs_an_event_of_the_trails_account() -> None:
    log = TrailLog(TRAIL, START.date(), date(2026, 11, 1 + DAYS))
    days = [day for day in range(DAYS) if day not in {5, 12}]
    log.add(row("day", days=" ".join(map(str, days[:8]))))
    log.add(row("seen", days=" ".join(map(str, days[8:]))))
    log.add(row("seen", OTHER, days="5 12"))
    assert not log.is_whole
    assert "2026-11-06" in (log.gap(START + timedelta(days=5, hours=9)) or "")
    assert "2026-11-13" in (log.gap(START + timedelta(days=6)) or "")
    assert log.gap(START + timedelta(days=13)) is None


def test_a_time_without_a_zone_is_not_understood() -> None:
    with pytest.raises(ValueError, match="time"):
        log_of(change("UpdateTrail", 9, latest="2026-11-10T00:00:00"))
