"""What commands print as JSON is what the page about their output explains."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from dead_key import gap_of
from jsonschema import Draft202012Validator

from documents.pages import output_schema
from keysweep.remediation.cli import DONE, INCOMPLETE
from keysweep.remediation.cli.console import print_results
from keysweep.remediation.guard import GuardRow
from keysweep.remediation.models import Hold, KeyArn, KeyResult, Outcome
from keysweep.remediation.status import Status, StatusRow, json_parts

SCHEMA = output_schema()
DATE = datetime(2026, 12, 24, 4, 17, tzinfo=UTC)
ARNS = [
    KeyArn.parse(f"arn:aws:kms:eu-west-1:111122223333:key/{n * 8}-1111-4111-8111-{n * 12}")
    for n in "abc"
]
RESULTS = (
    KeyResult(key_arn=ARNS[0], outcome=Outcome.SCHEDULED, deletion_date=DATE),
    KeyResult(key_arn=ARNS[1], outcome=Outcome.SCHEDULED, deletion_date=DATE),
    KeyResult(key_arn=ARNS[2], outcome=Outcome.CHANGED, message="tags: owner"),
)


def demand(part: str, text: str) -> object:
    """The document, which must be as this part of the schema says, with nothing left out of it."""
    document = json.loads(text)
    only = {"$ref": f"#/$defs/{part}", "$defs": SCHEMA["$defs"]}
    assert [error.message for error in Draft202012Validator(only).iter_errors(document)] == []
    assert document.keys() == SCHEMA["$defs"][part]["properties"].keys()
    return document


def test_results_are_counted_by_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_results("json", RESULTS) == DONE
    assert demand("Outcomes", capsys.readouterr().out) == {
        "summary": {"scheduled": 2, "changed": 1},
        "results": [
            {
                "key_arn": str(result.key_arn),
                "outcome": result.outcome.value,
                "alias": result.alias,
                "owner": result.owner,
                "deletion_date": result.deletion_date and "2026-12-24T04:17:00Z",
                "message": result.message,
            }
            for result in RESULTS
        ],
    }


def test_a_failed_key_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    failed = KeyResult(key_arn=ARNS[0], outcome=Outcome.FAILED, message="denied")
    assert print_results("json", (failed,)) == INCOMPLETE
    demand("Outcomes", capsys.readouterr().out)


def test_no_results_are_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_results("json", ()) == DONE
    assert demand("Outcomes", capsys.readouterr().out) == {"summary": {}, "results": []}


def test_the_status_is_as_explained() -> None:
    rows = (
        StatusRow(key_arn=ARNS[0], state="PendingDeletion", deletion_date=DATE, days_left=18),
        StatusRow(key_arn=ARNS[1], state="unknown", unreadable="DescribeKey was denied"),
    )
    shown = Status(rows=rows, pending=1, deleted=0, drifted=0, unreadable=1, monthly_cost_usd=1.0)
    demand("Status", "".join(json_parts(shown)))


def test_a_line_of_guard_is_as_explained() -> None:
    gap = gap_of(service="ecr", region="eu-west-1", why="DescribeRepositories was denied")
    row = GuardRow(
        key_arn=ARNS[0],
        state="PendingDeletion",
        deletion_date=DATE,
        in_use=True,
        signs=(Hold(rule="changed", message="no longer as it was reviewed: aliases"),),
        unreadable=(Hold(rule="in-use", message="not all could be read", gaps=(gap,)),),
        cancellation=KeyResult(key_arn=ARNS[0], outcome=Outcome.CANCELLED),
    )
    demand("GuardRow", row.model_dump_json())
