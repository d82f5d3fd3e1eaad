"""The time, as AWS has it, whatever the local clock does meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from dead_key import plan_of

from keysweep.remediation.apply import refuse_expired
from keysweep.remediation.aws.clock import Clock
from keysweep.remediation.errors import Refused

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def elapsed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds since the machine was started, sleep included."""
    seconds = [100.0]
    monkeypatch.setattr(time, "clock_gettime", lambda clock: seconds[0])
    return seconds


def test_the_time_is_that_of_aws(elapsed: list[float]) -> None:
    clock = Clock()
    clock.observe("Sun, 01 Nov 2026 12:00:00 GMT")
    assert clock.now() == NOON
    elapsed[0] += 90
    assert clock.now() == NOON + timedelta(seconds=90)


def test_time_in_which_the_machine_sleeps_counts(
    elapsed: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    clock.observe("Sun, 01 Nov 2026 12:00:00 GMT")
    still = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: still)  # Linux's stands still meanwhile
    elapsed[0] += timedelta(hours=9).total_seconds()
    assert clock.now() == NOON + timedelta(hours=9)


def test_a_clock_knows_whose_time_it_has(elapsed: list[float]) -> None:
    clock, other = Clock(), Clock()
    clock.observe("yesterday")
    assert not clock.is_of_aws
    clock.observe("Sun, 01 Nov 2026 12:00:00 GMT")
    other.follow(clock)
    assert (clock.is_of_aws, other.is_of_aws) == (True, True)


@pytest.mark.parametrize("aws_was_read", [True, False])
def test_a_plan_from_the_future_is_refused_by_the_clock_that_was_read(aws_was_read: bool) -> None:
    clock = Clock()
    if aws_was_read:
        clock.observe("Sun, 01 Nov 2026 12:00:00 GMT")
    plan = plan_of(created_at=clock.now() + timedelta(hours=1))
    with pytest.raises(Refused) as refused:
        refuse_expired(plan, clock)
    assert ("AWS" in str(refused.value)) == aws_was_read


@pytest.mark.parametrize("header", [None, "", "yesterday", "Sun, 99 Nov 2026 12:00:00 GMT"])
def test_a_header_without_a_time_changes_nothing(header: str | None, elapsed: list[float]) -> None:
    clock = Clock()
    clock.observe("Sun, 01 Nov 2026 12:00:00 GMT")
    clock.observe(header)
    assert clock.now() == NOON
