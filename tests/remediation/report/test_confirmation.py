"""The list of keys that a person confirms."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dead_key import ARN, NOW, changed, plan_item

from keysweep.remediation.journal import KeyRecord
from keysweep.remediation.journal.lines import IntentLine
from keysweep.remediation.models import AppliedException, KeyArn, PlanItem
from keysweep.remediation.report.confirmation import (
    MOST_LISTED,
    of_confirmation,
    rows_to_cancel,
    rows_to_schedule,
)

EXCEPTION = AppliedException(
    rule="too-new", reason="never used", approved_by="storage", until="2027-01-01"
)


def key(number: int, account: str = "111122223333") -> KeyArn:
    return KeyArn(ARN.partition, account, ARN.region, f"{number:08x}-1111-4111-8111-111111111111")


def item(arn: KeyArn, **changes: Any) -> PlanItem:
    return plan_item(arn, **{"evidence": changed(key_arn=arn, aliases=("alias/old",)), **changes})


def everything(_arn: KeyArn) -> bool:
    return True


def test_keys_to_schedule_are_listed_and_those_on_exceptions_come_first() -> None:
    resting = item(key(2), exceptions=(EXCEPTION,), pending_window_days=7, monthly_cost_usd=3.0)
    rows = rows_to_schedule([item(key(1)), resting, item(key(3))], lambda arn: arn != key(3), NOW)
    first, second = of_confirmation(rows).tables
    assert first.rows[0][:8] == (
        *(key(2).key_id, "alias/old", "111122223333", ARN.region, "unknown"),
        *("$3", "7 days", f"{NOW + timedelta(days=7):%Y-%m-%d}"),
    )
    assert "too-new" in first.rows[0][8]
    assert all(part in first.rows[0][8] for part in ("never used", "storage", "2027-01-01"))
    assert [row[0] for row in second.rows] == [key(1).key_id]


def test_many_keys_are_summed_by_account_with_the_costliest_first() -> None:
    cheap = [item(key(one)) for one in range(MOST_LISTED)]
    expensive = [
        item(key(one, "444455556666"), monthly_cost_usd=9.0, pending_window_days=one)
        for one in (10, 20, 30)
    ]
    shown = of_confirmation(rows_to_schedule([*cheap, *expensive], everything, NOW), "show p.json")
    (table,) = shown.tables
    assert [line for line in shown.commands if "show p.json" in line]
    assert table.rows == (
        ("444455556666", "3", "$27", "10 to 30 days", f"{NOW + timedelta(days=10):%Y-%m-%d}"),
        ("111122223333", "20", "$20", "30 days", f"{NOW + timedelta(days=30):%Y-%m-%d}"),
    )
    listed = of_confirmation(rows_to_schedule(cheap, everything, NOW), "show p.json")
    assert ([len(table.rows) for table in listed.tables], listed.commands) == ([MOST_LISTED], ())


def test_keys_to_cancel_are_as_journal_plan_and_aws_know_them() -> None:
    intent = IntentLine(
        run="1",
        id="1",
        time=NOW,
        operation="ScheduleKeyDeletion",
        key_arn=key(1),
        pending_window_days=14,
        monthly_cost_usd=2.0,
    )
    records = {
        key(1): KeyRecord(
            key(1),
            scheduled=intent,
            alias="alias/of-journal",
            owner="shop",
            exceptions=(EXCEPTION,),
        )
    }
    planned = {one: item(one) for one in (key(1), key(2))}
    rows = rows_to_cancel([key(1), key(2), key(3)], records, planned, {key(1): NOW})
    first, second = of_confirmation(rows).tables
    assert first.rows[0][1:8] == (
        *("alias/of-journal", "111122223333", ARN.region, "shop", "$2", "14 days"),
        f"{NOW:%Y-%m-%d}",
    )
    assert [(row[1], *row[4:]) for row in second.rows] == [
        ("alias/old", "unknown", "$1", "30 days", ""),
        ("", "unknown", "unknown", "", ""),
    ]
