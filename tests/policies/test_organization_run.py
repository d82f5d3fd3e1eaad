"""The state machine with the real command in each task, which is started as its image starts it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from lifted_rules import lift
from organization_runs import (
    BUCKET,
    HISTORY,
    PLAN_ROLE,
    REGION,
    TOOL,
    account_with,
    organization,
    records,
)
from page_reader import read_page

from keysweep.remediation import planfile
from keysweep.remediation.models import UseAttempts

SHOP = "444455556666"
POLICY = {"version": 1, "history_days": 210, "exceptions": [lift("in-use")]}
"""Services that are not there hold nothing."""
TWICE, THRICE = "200000000112", "200000000111"


def indexed(text: str) -> dict[str, list[list[str]]]:
    """The rows of the index by account: why a plan is missing, and its figures."""
    found: dict[str, list[list[str]]] = {}
    for row in read_page(text).all("tr"):
        account, *cells = (cell.text for cell in row.all("th", "td"))
        if account.isdigit():
            found.setdefault(account, []).append(cells)
    return found


@pytest.mark.sample
def test_a_run_names_the_account_that_it_lacks_and_the_next_run_plans_it(tmp_path: Path) -> None:
    facts = {TWICE: {"fails": 2}, THRICE: {"fails": 3}}
    accounts = {TWICE: account_with(), THRICE: account_with()}
    with organization(tmp_path, accounts, facts) as made:
        ended = made.run("night")
        assert ended["status"] == "FAILED", made.log()
        assert ended["error"] == "Keysweep.NotCollected"
        assert [THRICE in ended["cause"], TWICE in ended["cause"]] == [True, False]
        assert [made.scans(account) for account in (TOOL, TWICE, THRICE)] == [1, 3, 3]
        assert {key for key in made.objects() if key.endswith("html")} == {
            f"night/plans/{TOOL}.html",
            f"night/plans/{TWICE}.html",
            "night/index.html",
        }
        rows = indexed(made.read("night/index.html"))
        assert {account: len(found) for account, found in rows.items()} == {
            TOOL: 1,
            TWICE: 1,
            THRICE: 2,
        }

        again = made.run("again", {"accounts": [THRICE]})
        assert again["status"] == "SUCCEEDED", made.log()
        (tmp_path / "plan.json").write_text(made.read(f"again/plans/{THRICE}.json"), "utf-8")
        plan = planfile.load(tmp_path / "plan.json")
        assert {source.path for source in plan.sources} == {
            f"s3://{BUCKET}/again/scan/{THRICE}/no-key.json"
        }
        assert indexed(made.read("again/index.html")).keys() == {THRICE}


@pytest.mark.sample
def test_the_plan_task_reads_history_in_athena_before_it_enters_the_account(tmp_path: Path) -> None:
    used = {"name": "Decrypt", "days_ago": 200, "error": "DisabledException"}
    key = {"name": "old", "state": "Disabled", "created_days_ago": 900, "disabled_days_ago": 300}
    accounts = {
        SHOP: {"roles": PLAN_ROLE, "regions": {REGION: {"keys": [{**key, "events": [used]}]}}}
    }
    table = {"workgroup": "team", "bucket": "amzn-s3-demo-trail", "days": 215}
    facts = {SHOP: {"records": records(SHOP, "old")}}
    given = {**HISTORY, "HistoryTrailBucket": table["bucket"]}
    with organization(tmp_path, accounts, facts, home={"athena": table}, **given) as made:
        made.write("retirement.yaml", json.dumps(POLICY).encode())
        ended = made.run("night", {"accounts": [SHOP]})
        assert ended["status"] == "SUCCEEDED", made.log()
        (tmp_path / "plan.json").write_text(made.read(f"night/plans/{SHOP}.json"), "utf-8")
        assert [one["account"] for one in made.calls("athena", "StartQueryExecution")] == [TOOL]
        assert {one["account"] for one in made.calls("glue", "GetTable")} == {TOOL}
        assert {one["account"] for one in made.calls("cloudtrail", "LookupEvents")} <= {SHOP}
    plan = planfile.load(tmp_path / "plan.json")
    assert plan.history == "athena:team/audit.trail"
    (item,) = plan.items
    assert isinstance(item.evidence.use_attempts, UseAttempts)
    assert [one.event for one in item.evidence.use_attempts.attempts] == ["Decrypt"]


SCANNED = "210000000000"
"""By the real Prowler."""
CLOSED = "220000000000"
"""Keysweep cannot enter it, though Prowler can."""
UNREAD = "230000000000"
"""Prowler cannot enter it."""
SUSPENDED = "240000000000"
QUIET = tuple(f"25{n:010}" for n in range(24))


@pytest.mark.slow
def test_thirty_accounts(tmp_path: Path) -> None:
    """30 active accounts on two pages, of which 27 get a plan."""
    prowler = os.environ.get("KEYSWEEP_PROWLER", "")
    assert Path(prowler).is_file(), "no prowler: run these tests with `make test`"
    facts: dict[str, Any] = {
        SCANNED: {"prowler": prowler},
        CLOSED: {"records": records(CLOSED, "old")},
        UNREAD: {"fails": 9},
        TWICE: {"fails": 2},
        THRICE: {"fails": 3},
    }
    accounts = {
        **{account: account_with() for account in (*QUIET, UNREAD, TWICE, THRICE)},
        SUSPENDED: account_with(status="SUSPENDED"),
        SCANNED: account_with("old", "older", role={**PLAN_ROLE, "Auditor": {}}),
        CLOSED: account_with("old", role={"Auditor": {}}),
    }
    with organization(tmp_path, accounts, facts, AccountsAtATime="2") as made:
        ended = made.run("night", seconds=1500, pause=2)
        listed = json.loads(made.read("night/accounts.json"))
        assert (len(listed), SUSPENDED in listed) == (30, False)
        assert ended["error"] == "Keysweep.NotCollected", made.log()
        assert {account for account in accounts if account in ended["cause"]} == {
            CLOSED,
            UNREAD,
            THRICE,
        }
        rows = indexed(made.read("night/index.html"))
        assert {account for account, found in rows.items() if len(found) == 2} == {
            CLOSED,
            UNREAD,
            THRICE,
        }
        assert set(rows) == set(listed)
        (row,) = rows[SCANNED]
        assert row[:3] == ["0", "2", "0"]
        (scan,) = [key for key in made.objects() if f"/scan/{SCANNED}/" in key and "ocsf" in key]
        assert {one["status_code"] for one in json.loads(made.read(scan))} == {"FAIL"}
        assert f"night/doctor/{SCANNED}/to-decide.yaml" in made.objects()
        assert len(made.calls("organizations", "ListAccounts")) == 2
        changed = {"ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "EnableKey"}
        assert not changed & {one["operation"] for one in made.calls()}
