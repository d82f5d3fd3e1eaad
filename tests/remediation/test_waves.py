"""Which keys a plan takes first when more can be scheduled than `max_keys` allows."""

from __future__ import annotations

from typing import Any

import pytest
from dead_key import ARN, BEGIN_OF_HISTORY, DEAD, changed, event, plan_item

from keysweep.remediation.models import (
    NEXT_WAVE,
    Evidence,
    Hold,
    KeyArn,
    KeyHistory,
    PlanItem,
    Unreadable,
    VerdictKind,
)
from keysweep.remediation.plan import PlanItems
from keysweep.remediation.planner import first_wave

BEFORE_HISTORY = KeyHistory(since=BEGIN_OF_HISTORY)


def disabled(days: float) -> KeyHistory:
    return KeyHistory(since=BEGIN_OF_HISTORY, last_change=event("DisableKey", days))


HISTORIES: dict[str, KeyHistory | Unreadable | None] = {
    "a": disabled(40),
    "b": None,
    "c": disabled(80),
    "d": Unreadable(unreadable="denied"),
    "e": BEFORE_HISTORY,
    "f": KeyHistory(since=BEGIN_OF_HISTORY, last_change=event("EnableKey", 85)),
    "0": disabled(60),
}
"""By the first digit of the key's id."""


def item(digit: str, **changes: Any) -> PlanItem:
    arn = KeyArn(
        ARN.partition, ARN.account_id, ARN.region, f"{digit * 8}-1111-4111-8111-{'1' * 12}"
    )
    evidence: Evidence = changed(key_arn=arn, history=HISTORIES[digit])
    return plan_item(arn, **{"evidence": evidence, **changes})


def digits(items: PlanItems, verdict: VerdictKind) -> set[str]:
    return {one.key_arn.key_id[0] for one in items if one.verdict is verdict}


@pytest.mark.parametrize(
    ("most", "taken"),
    [(0, ""), (1, "e"), (2, "ec"), (3, "ec0"), (4, "ec0a"), (5, "ec0ab"), (6, "ec0abd")],
)
def test_the_keys_disabled_for_longest_come_first_and_unknown_times_last(
    most: int, taken: str
) -> None:
    items = PlanItems(map(item, sorted(HISTORIES)))
    wave = first_wave(items, most)
    assert digits(wave, VerdictKind.SCHEDULE) == {*taken}
    assert digits(wave, VerdictKind.HOLD) == {*HISTORIES} - {*taken}
    reasons = {reason.rule for one in wave for reason in one.reasons}
    assert reasons == {NEXT_WAVE}
    assert [one.key_arn for one in wave] == [one.key_arn for one in items]


def test_keys_on_hold_count_for_nothing_and_enough_room_changes_nothing() -> None:
    held = item("a", verdict=VerdictKind.HOLD, reasons=(Hold(rule="in-use", message="x"),))
    items = PlanItems([held, item("b"), item("c")])
    assert first_wave(items, 2) is items
    assert next(iter(first_wave(items, 0))).reasons == held.reasons


def test_a_key_that_waits_keeps_its_evidence() -> None:
    (waiting,) = first_wave(PlanItems([item("c")]), 0)
    assert waiting.evidence == item("c").evidence
    assert DEAD.history == BEFORE_HISTORY
