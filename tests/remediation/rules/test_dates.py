"""The rules that count days: too-new, disabled-too-recently, used-recently, stale-finding."""

from __future__ import annotations

from datetime import timedelta

import pytest
from dead_key import (
    ARN,
    BEGIN_OF_HISTORY,
    NOW,
    changed,
    days_ago,
    event,
    held_by,
    messages_of,
    policy,
)
from message_parts import figures

SECOND = timedelta(seconds=1)


def test_too_new_holds_until_the_very_second() -> None:
    thirty = days_ago(30)
    assert held_by(changed(description={"creation_date": thirty + SECOND})) == {"too-new"}
    assert held_by(changed(description={"creation_date": thirty})) == set()


def test_too_new_names_the_age_and_the_day_that_clears() -> None:
    (message,) = messages_of("too-new", changed(description={"creation_date": days_ago(9)}))
    assert figures(message) == ["9", "2026-10-23", "30", "2026-11-22"]


def test_too_new_follows_an_override() -> None:
    young = changed(description={"creation_date": days_ago(9)})
    rule = [{"accounts": [ARN.account_id], "set": {"min_age_days": 9}}]
    elsewhere = [{"regions": ["us-east-1"], "set": {"min_age_days": 9}}]
    assert held_by(young, policy(overrides=rule)) == set()
    assert held_by(young, policy(overrides=elsewhere)) == {"too-new"}


def test_a_change_that_is_long_enough_ago_holds_nothing() -> None:
    long_ago = changed(history={"last_change": event("DisableKey", 30)})
    assert held_by(long_ago) == set()


@pytest.mark.parametrize("name", ["DisableKey", "CancelKeyDeletion", "EnableKey", "CreateKey"])
def test_any_recent_change_holds(name: str) -> None:
    recent = changed(history={"last_change": event(name, 29.9)})
    assert held_by(recent) == {"disabled-too-recently"}
    (message,) = messages_of("disabled-too-recently", recent)
    assert figures(message) == ["29", "2026-10-02", "30", "2026-11-01"]
    assert name in message
    assert "alice" in message


@pytest.mark.parametrize("name", ["EnableKey", "CreateKey", "ReplicateKey", "ImportKeyMaterial"])
def test_a_last_change_that_does_not_disable_is_a_hole_in_the_history(name: str) -> None:
    odd = changed(history={"last_change": event(name, 60)})
    assert held_by(odd) == {"disabled-too-recently"}
    (message,) = messages_of("disabled-too-recently", odd)
    assert figures(message) == ["2026-09-02"]
    assert name in message


def test_no_change_in_the_history_is_as_old_as_the_history() -> None:
    quiet = changed(history={"last_change": None, "since": BEGIN_OF_HISTORY})
    assert held_by(quiet, policy(min_days_disabled=90)) == set()
    assert held_by(quiet, policy(min_days_disabled=91)) == {"disabled-too-recently"}


def test_last_use_counts_when_it_is_recent() -> None:
    used = changed(last_use={"used": days_ago(89), "operation": "Decrypt"})
    assert held_by(used) == {"used-recently"}
    (message,) = messages_of("used-recently", used)
    assert figures(message)[0] == "89"
    assert "Decrypt" in message
    assert held_by(changed(last_use={"used": days_ago(90)})) == set()


def test_unused_since_the_tracking_began_waits_for_the_tracking() -> None:
    fresh = changed(last_use={"tracking_start": days_ago(39)})
    assert held_by(fresh) == {"used-recently"}
    (message,) = messages_of("used-recently", fresh)
    assert figures(message) == ["39", "2026-09-23", "90", "2026-12-22"]
    assert held_by(changed(last_use={"tracking_start": days_ago(90)})) == set()


def test_never_used_needs_no_days() -> None:
    never = changed(last_use={"tracking_start": days_ago(39), "never": True})
    assert held_by(never) == set()


def test_a_stale_finding_holds() -> None:
    assert held_by(changed(finding_time=days_ago(7))) == set()
    assert held_by(changed(finding_time=days_ago(7) - SECOND)) == {"stale-finding"}
    (message,) = messages_of("stale-finding", changed(finding_time=days_ago(12)))
    assert figures(message) == ["12", "2026-10-20", "7"]


def test_a_finding_without_time_is_not_evaluated_by_it() -> None:
    assert held_by(changed(finding_time=None)) == set()


def test_a_finding_from_the_future_is_stale() -> None:
    assert held_by(changed(finding_time=NOW + timedelta(hours=23))) == set()
    assert held_by(changed(finding_time=NOW + timedelta(days=400))) == {"stale-finding"}
