"""CSV: one flat table for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import timedelta

from dead_key import ARN, NOW, plan_item, plan_of

from keysweep.remediation.models import (
    AppliedException,
    Hold,
    KeyResult,
    Outcome,
    VerdictKind,
)
from keysweep.remediation.report import csv_rows
from keysweep.remediation.status import StatusRow


def table(lines: Iterable[str]) -> list[dict[str, str]]:
    """The document as a spreadsheet reads it; every row has every column."""
    text = "".join(lines)
    assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1
    return list(csv.DictReader(io.StringIO(text)))


def test_a_plan_is_one_table_with_numbers_and_every_reason_in_words() -> None:
    reasons = (Hold(rule="too-new", message="young"), Hold(rule="in-use", message="a bucket"))
    chosen = plan_item(monthly_cost_usd=1.5)
    hold = {"verdict": VerdictKind.HOLD, "reasons": reasons, "owner": "shop", "lead": "x"}
    held = [chosen.model_copy(update=hold)] * 4
    rows = table(csv_rows.of_plan(plan_of(chosen, *held)))
    assert rows[0] == {
        "verdict": "schedule",
        "key_arn": str(ARN),
        "alias": "alias/old-shop",
        "account_id": ARN.account_id,
        "region": ARN.region,
        "owner": "unknown",
        "lead": "",
        "rule": "",
        "reason": "",
        "exceptions": "",
        "monthly_cost_usd": "1.5",
        "pending_window_days": "30",
        "since": "",
    }
    assert sum(float(row["monthly_cost_usd"]) for row in rows) == 7.5
    for row in rows[1:]:
        assert (row["owner"], row["lead"]) == ("shop", "x")
        assert (row["rule"], row["reason"]) == ("too-new; in-use", "young; a bucket")


def test_exceptions_are_named_and_no_cell_is_a_formula() -> None:
    decided = AppliedException(rule="too-new", reason="y", approved_by="z", until="2027-01-01")
    (row,) = table(
        csv_rows.of_plan(
            plan_of(plan_item(owner="=1+1", lead="@x\n\x1b[1m", exceptions=(decided,)))
        )
    )
    assert row["owner"] == "'=1+1"
    assert row["lead"].startswith("'@x")
    assert row["lead"].isprintable()
    assert all(part in row["exceptions"] for part in ("too-new", "y", "z", "2027-01-01"))


def test_results_and_states_have_dates_and_numbers_to_compute_with() -> None:
    end = NOW + timedelta(days=30)
    result = KeyResult(
        key_arn=ARN, outcome=Outcome.SCHEDULED, alias="alias/a", owner="shop", deletion_date=end
    )
    (row,) = table(csv_rows.of_results([result]))
    assert (row["outcome"], row["alias"], row["owner"]) == ("scheduled", "alias/a", "shop")
    assert row["deletion_date"] == f"{end:%Y-%m-%dT%H:%M:%SZ}"
    state = StatusRow(
        key_arn=ARN, state="PendingDeletion", deletion_date=end, days_left=0, monthly_cost_usd=3.0
    )
    (row,) = table(csv_rows.of_status([state]))
    assert (row["state"], row["days_left"], row["monthly_cost_usd"]) == (
        "PendingDeletion",
        "0",
        "3.0",
    )
    assert (row["owner"], row["situation"], row["drift"]) == ("unknown", "", "")


def test_a_report_without_keys_still_names_its_columns() -> None:
    assert list(csv_rows.of_results([])) == [f"{','.join(csv_rows.RESULT_COLUMNS)}\r\n"]
