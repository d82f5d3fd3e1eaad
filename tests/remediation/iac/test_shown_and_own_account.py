"""The table of findings without a key, and the own account for stacks and aliases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from code_findings import finding
from dead_key import plan_of

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Access, Accounts
from keysweep.remediation.errors import AccountUnavailable
from keysweep.remediation.models import Unmapped
from keysweep.remediation.plan import Plan
from keysweep.remediation.report import csv_rows, tables
from keysweep.remediation.report.view import READABLE_ROWS

SHOP = "111122223333"


def plan(*unmapped: Unmapped) -> Plan:
    return plan_of(created_at=datetime(2026, 11, 1, tzinfo=UTC), unmapped=unmapped)


def unresolved(number: int = 1, **changes: object) -> Unmapped:
    return Unmapped.model_validate(
        {
            "finding": finding(f"aws_kms_key.k{number}", "/prod/main.tf", line=number),
            "reason": "no state",
            "step": "add --tfstate prod=state.json",
            **changes,
        }
    )


def test_a_finding_without_a_key_is_shown_with_location_reason_candidates_and_step() -> None:
    vague = unresolved(2, reason="ambiguous", candidates=("a[0]", "a[1]"))
    theirs = unresolved(finding=finding("aws_kms_key.k1", "/prod/main.tf", check="CKV_AWS_227"))
    (table,) = tables.of_plan(plan(unresolved(), theirs, vague)).tables
    assert table.heading.endswith(": 2")
    assert table.rows == (
        (
            "/prod/main.tf:1",
            "aws_kms_key.k1",
            "no state",
            "add --tfstate prod=state.json",
        ),
        (
            "/prod/main.tf:2",
            "aws_kms_key.k2",
            "ambiguous: a[0], a[1]",
            "add --tfstate prod=state.json",
        ),
    )


def test_more_than_people_read_are_in_the_csv() -> None:
    many = plan(*(unresolved(number) for number in range(1, 200)))
    short = tables.of_plan(many)
    assert len(short.tables[0].rows) == READABLE_ROWS
    assert any("--format csv" in line for line in short.lines)
    assert len(list(csv_rows.of_plan(many))) == 1 + 199


@pytest.fixture
def own(server: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    server.reset({"accounts": {SHOP: {"regions": ["eu-west-1", "us-east-1"]}}})
    for name, value in server.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_own_account_is_that_of_the_credentials(own: pytest.MonkeyPatch) -> None:
    connection = Accounts(Access()).own_connection("eu-west-1")
    assert (connection.account_id, connection.region, connection.partition) == (
        SHOP,
        "eu-west-1",
        "aws",
    )


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
    ],
)
def test_without_a_region_the_configured_one_counts(own, variables, region: str) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        own.delenv(name)
    for name, value in variables.items():
        own.setenv(name, value)
    assert Accounts(Access()).own_connection().region == region


def test_a_missing_and_an_unknown_region_are_reported(own: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccountUnavailable, match="mars-east-1"):
        Accounts(Access()).own_connection("mars-east-1")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        own.delenv(name)
    with pytest.raises(AccountUnavailable, match="AWS_REGION"):
        Accounts(Access()).own_connection()


def test_credentials_that_do_not_work_are_reported(own: pytest.MonkeyPatch) -> None:
    own.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    with pytest.raises(AccountUnavailable, match="credentials do not work"):
        Accounts(Access()).own_connection("eu-west-1")


def test_other_accounts_are_entered_by_a_role_alone() -> None:
    assert not Accounts(Access()).changes_roles
    assert Accounts(Access(role_name="Sweeper")).changes_roles
