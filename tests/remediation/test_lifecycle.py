"""Every combination of journal, key and time, and the situation that it is."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from dead_key import ARN, NOW, changed

from keysweep.remediation.journal import IntentLine, KeyRecord, OutcomeLine
from keysweep.remediation.lifecycle import (
    Origin,
    Situation,
    checked_at,
    is_conclusive,
    is_near,
    is_unwatched,
    origin,
    origin_of_any,
    state_of,
    waits_in_journal,
)
from keysweep.remediation.models import KeyDescription, NotFound, Outcome

WINDOW = 30
SCHEDULE, CANCEL = "ScheduleKeyDeletion", "CancelKeyDeletion"
AT = NOW - timedelta(days=3)
"""When the journal's deletion began."""
DATE = AT + timedelta(days=WINDOW)


def described(state: str, **fields: object) -> KeyDescription:
    seen = changed(description={"key_state": state, **fields}).description
    assert isinstance(seen, KeyDescription)
    return seen


def begun(seconds: float, **fields: object) -> KeyDescription:
    """A deletion that began so many seconds after AT."""
    return described("PendingDeletion", deletion_date=DATE + timedelta(seconds=seconds), **fields)


def waiting(window: int = WINDOW) -> KeyDescription:
    """A primary that waits for its replicas."""
    return described(
        "PendingReplicaDeletion", pending_window_days=window, multi_region_type="PRIMARY"
    )


def intent(minutes: float = 0, window: int | None = WINDOW, name: str = "i") -> IntentLine:
    """An intent so many minutes after AT."""
    return IntentLine(
        run="r",
        id=name,
        time=AT + timedelta(minutes=minutes),
        operation=SCHEDULE,
        key_arn=ARN,
        pending_window_days=window,
    )


def outcome(operation: str, kind: Outcome, *, dated: bool = False) -> OutcomeLine:
    return OutcomeLine(
        run="r",
        id="i",
        time=AT,
        operation=operation,
        key_arn=ARN,
        outcome=kind,
        deletion_date=DATE if dated else None,
    )


# --- one unanswered intent ------------------------------------------------------------------------

ORIGINS = {
    -61 * 60: Origin.FOREIGN,
    -121: Origin.FOREIGN,
    -120: Origin.UNDETERMINED,
    -3: Origin.UNDETERMINED,
    -2: Origin.OURS,
    0: Origin.OURS,
    60: Origin.OURS,
    120: Origin.OURS,
    121: Origin.UNDETERMINED,
    59 * 60: Origin.UNDETERMINED,
    60 * 60: Origin.UNDETERMINED,
    60 * 60 + 1: Origin.FOREIGN,
}
"""By how many seconds after the intent the deletion began."""


@pytest.mark.parametrize(("seconds", "expected"), ORIGINS.items())
def test_who_began_a_deletion_whose_answer_was_lost(seconds: int, expected: Origin) -> None:
    assert origin(begun(seconds), intent(), NOW) is expected


@pytest.mark.parametrize("seconds", [121, 3_601, 8 * 86_400])
def test_a_primary_may_have_waited_for_any_time(seconds: int) -> None:
    seen = begun(seconds, multi_region_type="PRIMARY")
    assert origin(seen, intent(), NOW) is Origin.UNDETERMINED
    assert origin(begun(seconds - 30 * 86_400), intent(), NOW) is Origin.FOREIGN


@pytest.mark.parametrize(
    ("seconds", "window", "expected"),
    [
        (0, WINDOW, Origin.OURS),
        (120, WINDOW, Origin.OURS),
        (121, WINDOW, Origin.UNDETERMINED),
        (90 * 86_400, WINDOW, Origin.UNDETERMINED),
        (0, 7, Origin.FOREIGN),
    ],
)
def test_a_deletion_without_a_date_is_decided_by_the_intents_age(
    seconds: int, window: int, expected: Origin
) -> None:
    assert origin(waiting(window), intent(), AT + timedelta(seconds=seconds)) is expected


def test_an_intent_without_a_waiting_period_and_a_key_that_is_not_pending() -> None:
    assert origin(begun(0), intent(window=None), NOW) is Origin.FOREIGN
    assert origin(described("Disabled"), intent(), NOW) is Origin.FOREIGN


def test_the_strongest_of_several_intents_counts() -> None:
    ours, unsure, others = intent(0), intent(-30), intent(-120)
    for some, expected in [
        ((others, unsure, ours), Origin.OURS),
        ((others, unsure), Origin.UNDETERMINED),
        ((others,), Origin.FOREIGN),
        ((), Origin.FOREIGN),
    ]:
        assert origin_of_any(begun(0), some, NOW) is expected


def test_within_five_minutes_no_answer_is_trusted() -> None:
    assert not is_conclusive(intent(), AT + timedelta(seconds=299))
    assert is_conclusive(intent(), AT + timedelta(seconds=300))


# --- every combination ----------------------------------------------------------------------------

DATED = outcome(SCHEDULE, Outcome.SCHEDULED, dated=True)
UNDATED = outcome(SCHEDULE, Outcome.SCHEDULED)
RECORDS = {
    "nothing": KeyRecord(ARN),
    "dated": KeyRecord(ARN, scheduled=intent(), scheduled_outcome=DATED),
    "undated": KeyRecord(ARN, scheduled=intent(), scheduled_outcome=UNDATED),
    "open": KeyRecord(ARN, open=(intent(),)),
    "cancelled": KeyRecord(ARN, cancelled=outcome(CANCEL, Outcome.CANCELLED)),
    "cancelled, open": KeyRecord(
        ARN, cancelled=outcome(CANCEL, Outcome.CANCELLED), open=(intent(),)
    ),
    "dated, open later": KeyRecord(
        ARN, scheduled=intent(), scheduled_outcome=DATED, open=(intent(60, name="j"),)
    ),
}
KEYS: dict[str, KeyDescription | NotFound] = {
    "to the second": begun(0),
    "two seconds off": begun(2),
    "half a minute off": begun(30),
    "half an hour off": begun(1_800),
    "an hour off": begun(3_600),
    "a week off": begun(7 * 86_400),
    "earlier": begun(-7 * 86_400),
    "waiting": waiting(),
    "waiting otherwise": waiting(7),
    "Disabled": described("Disabled"),
    "Enabled": described("Enabled"),
    "Unavailable": described("Unavailable"),
    "not found": NotFound(),
}
TIMES = {
    "at once": AT + timedelta(seconds=30),
    "later": AT + timedelta(hours=3),
    "after the end": AT + timedelta(days=31),
}

_O, _U, _D, _F = Situation.OURS, Situation.UNDETERMINED, Situation.DRIFTED, Situation.FOREIGN
PENDING: dict[str, dict[str, Situation]] = {
    #             to the second, 2 s, 30 s, 30 min, 1 h, a week, earlier, waiting, otherwise
    name: dict(zip(list(KEYS)[:9], row, strict=True))
    for name, row in {
        "nothing": (_F, _F, _F, _F, _F, _F, _F, _F, _F),
        "dated": (_O, _O, _D, _D, _D, _D, _D, _D, _D),
        "undated": (_O, _O, _O, _O, _O, _O, _D, _O, _D),
        "open": (_O, _O, _O, _U, _U, _F, _F, _U, _F),
        "cancelled": (_F, _F, _F, _F, _F, _F, _F, _F, _F),
        "cancelled, open": (_O, _O, _O, _U, _U, _F, _F, _U, _F),
        "dated, open later": (_O, _O, _D, _D, _O, _D, _D, _U, _D),
    }.items()
}
AT_REST = {
    "nothing": Situation.NEVER_BEGUN,
    "dated": Situation.CANCELLED_ELSEWHERE,
    "undated": Situation.CANCELLED_ELSEWHERE,
    "open": Situation.INTERRUPTED,
    "cancelled": Situation.RESTORED,
    "cancelled, open": Situation.INTERRUPTED,
    "dated, open later": Situation.CANCELLED_ELSEWHERE,
}


def expected(record: str, key: str, time: str) -> Situation:
    if key == "not found":
        if "dated" not in record:
            return Situation.NOT_FOUND
        early = record != "undated" and time != "after the end"
        return Situation.GONE_EARLY if early else Situation.DELETED
    if key == "waiting" and time == "at once" and "open" in record:
        return Situation.OURS
    if key in PENDING[record]:
        return PENDING[record][key]
    if key == "Disabled" and time == "at once" and "dated" in record:
        return Situation.NOT_VISIBLE_YET
    return AT_REST[record]


@pytest.mark.parametrize(("record", "key", "time"), [*product(RECORDS, KEYS, TIMES)])
def test_every_combination(record: str, key: str, time: str) -> None:
    state = state_of(RECORDS[record], KEYS[key], TIMES[time])
    assert state.situation is expected(record, key, time)
    standing = RECORDS[record].scheduled_outcome
    assert state.promised == (None if standing is None else standing.deletion_date)


def test_the_time_until_which_a_late_answer_is_not_trusted() -> None:
    late = state_of(RECORDS["dated"], KEYS["Disabled"], TIMES["at once"])
    assert late.until == AT + timedelta(minutes=5)
    assert state_of(RECORDS["open"], KEYS["Disabled"], NOW).until == AT + timedelta(minutes=5)
    assert state_of(RECORDS["dated"], KEYS["to the second"], NOW).until is None


# --- who looks ------------------------------------------------------------------------------------

WITHIN = timedelta(seconds=1)


@pytest.mark.parametrize("days", [2, 3])
def test_a_key_is_unwatched_after_three_days_without_a_check(days: int) -> None:
    record = KeyRecord(ARN, scheduled=intent(), looked_at=AT + timedelta(days=days))
    assert checked_at(record) == record.looked_at
    assert not is_unwatched(record, AT + timedelta(days=days + 3))
    assert is_unwatched(record, AT + timedelta(days=days + 3) + WITHIN)
    assert is_unwatched(KeyRecord(ARN), NOW), "nothing is known"


def test_a_deletion_scheduled_since_the_last_check_was_checked_by_apply() -> None:
    for begun in ({"scheduled": intent()}, {"open": (intent(),)}):
        record = KeyRecord(ARN, looked_at=AT - timedelta(days=90), **begun)
        assert checked_at(record) == AT
        assert not is_unwatched(record, AT + timedelta(days=3))


def test_a_date_is_near_from_three_days_before_it() -> None:
    assert not is_near(None, NOW)
    assert is_near(NOW + timedelta(days=3), NOW)
    assert not is_near(NOW + timedelta(days=3) + WITHIN, NOW)
    assert is_near(NOW - timedelta(days=1), NOW)
    assert is_near(NOW + timedelta(days=5), NOW, 5)


def test_the_journal_alone_shows_what_waits() -> None:
    scheduled = outcome(SCHEDULE, Outcome.SCHEDULED, dated=True)
    primary = outcome(SCHEDULE, Outcome.SCHEDULED)
    record = KeyRecord(ARN, scheduled=intent(), scheduled_outcome=scheduled)
    assert waits_in_journal(record, DATE - WITHIN)
    assert not waits_in_journal(record, DATE)
    assert waits_in_journal(KeyRecord(ARN, scheduled_outcome=primary), DATE)
    assert waits_in_journal(KeyRecord(ARN, open=(intent(),)), NOW)
    assert not waits_in_journal(KeyRecord(ARN, looked_at=NOW), NOW)
