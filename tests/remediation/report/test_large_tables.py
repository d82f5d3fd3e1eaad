"""What a person sees of many keys: groups instead of rows, and how many are not shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from dead_key import ACCOUNT, NOW, OUTSIDER, plan_item, plan_of
from message_parts import figures

from keysweep.remediation.models import Hold, KeyArn, KeyResult, Outcome, PlanItem, VerdictKind
from keysweep.remediation.plan import Plan, PlanItems
from keysweep.remediation.report import csv_rows, page, tables
from keysweep.remediation.report.tables import Report
from keysweep.remediation.report.view import READABLE_ROWS

MANY = 2 * READABLE_ROWS


def arn(number: int, account: str = ACCOUNT) -> KeyArn:
    """The ARN of one of many keys."""
    return KeyArn("aws", account, "eu-west-1", f"1234abcd-12ab-34cd-56ef-{number:012}")


def item(number: int, *, owner: str | None, rule: str | None) -> PlanItem:
    """One of many keys: held by a rule, or to be scheduled."""
    account = ACCOUNT if number % 2 else OUTSIDER
    return plan_item(
        arn(number, account),
        verdict=VerdictKind.SCHEDULE if rule is None else VerdictKind.HOLD,
        reasons=() if rule is None else (Hold(rule=rule, message="a reason"),),
        owner=owner,
    )


def rows(report: Report, heading: str) -> tuple[tuple[str, ...], ...]:
    """The rows below the heading."""
    (table,) = (table for table in report.tables if table.heading.startswith(heading))
    return table.rows


def test_many_keys_are_grouped_by_account_owner_and_rule() -> None:
    chosen = [item(number, owner="shop", rule=None) for number in range(MANY)]
    held = [item(MANY + n, owner=None, rule=("in-use", "too-new")[n % 2]) for n in range(MANY)]
    few = tables.of_plan(plan_of(*chosen, *held))
    half = str(READABLE_ROWS)
    assert rows(few, "To schedule") == (
        (ACCOUNT, "shop", "", half, "$60"),
        (OUTSIDER, "shop", "", half, "$60"),
    )
    assert rows(few, "On hold") == (
        (ACCOUNT, "unknown", "too-new", half, "$60"),
        (OUTSIDER, "unknown", "in-use", half, "$60"),
    )
    assert len(list(csv_rows.of_plan(plan_of(*chosen, *held)))) == 1 + 2 * MANY


def test_of_many_results_those_are_shown_that_were_not_done() -> None:
    done = [
        KeyResult(
            key_arn=arn(number), outcome=Outcome.SCHEDULED, deletion_date=NOW + timedelta(days=30)
        )
        for number in range(MANY)
    ]
    left = [
        KeyResult(key_arn=arn(MANY + number), outcome=Outcome.FAILED, message="denied")
        for number in range(3)
    ]
    few = tables.of_results([*done, *left])
    assert {row[0] for row in rows(few, "Results")} == {one.key_arn.key_id for one in left}
    more, summary = few.lines
    assert (figures(more), "--format json" in more) == ([str(MANY)], True)
    assert summary == f"{MANY} scheduled, 3 failed"
    assert len(list(csv_rows.of_results([*done, *left]))) == 1 + MANY + 3
    assert tables.of_results(done).tables == ()


def test_many_keys_that_were_not_done_are_counted() -> None:
    left = [
        KeyResult(key_arn=arn(number), outcome=Outcome.FAILED, message="denied")
        for number in range(MANY)
    ]
    done = KeyResult(key_arn=arn(MANY), outcome=Outcome.CANCELLED)
    few = tables.of_results([*left, done])
    assert len(rows(few, "Results")) == READABLE_ROWS
    more, summary = few.lines
    assert figures(more) == [str(READABLE_ROWS + 1), str(READABLE_ROWS)]
    assert "--format json" in more
    assert summary == f"1 cancelled, {MANY} failed"


@pytest.mark.parametrize(
    "report",
    [
        tables.of_plan,
        lambda made: list(csv_rows.of_plan(made)),
        page.of_plan,
        lambda made: page.of_results(
            [KeyResult(key_arn=arn(1), outcome=Outcome.SCHEDULED)], made, NOW
        ),
    ],
)
def test_a_report_reads_each_item_once(
    report: Callable[[Plan], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan_of(
        *(item(number, owner="shop", rule=(None, "in-use")[number % 2]) for number in (1, 2))
    )
    reads: Counter[int] = Counter()
    real = PlanItems._read

    def counted(items: PlanItems, position: int) -> PlanItem:
        reads[position] += 1
        return real(items, position)

    monkeypatch.setattr(PlanItems, "_read", counted)
    report(made)
    assert reads == {0: 1, 1: 1}
