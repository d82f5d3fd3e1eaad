"""Pending keys that nothing checks, or that are deleted soon: `status` and `plan` name them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import attention
from keysweep.remediation.models import KeyArn

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")


@pytest.fixture
def applied(planned: Path, keysweep: Callable[..., Any]) -> Path:
    """The journal of the two accounts' five dead keys."""
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    return planned.parent / "keysweep-journal.jsonl"


def unwatched(shown: Any) -> set[str]:
    return {row["key_arn"] for row in shown.document["rows"] if row["unwatched"]}


def test_status_names_what_nothing_checked_for_three_days(
    aws: EmbeddedAws, applied: Path, keysweep: Callable[..., Any], state_only: Path
) -> None:
    def status() -> Any:
        return keysweep("status", "--format", "json", *ROLE)

    def guard(*more: str) -> None:
        assert keysweep("guard", "--policy", state_only, *ROLE, *more).code == 0

    aws.advance(days=2.9)
    assert status().code == 0, "apply checked them"
    aws.advance(days=0.2)
    keys = {row["key_arn"] for row in status().document["rows"]}
    assert (status().code, unwatched(status())) == (1, keys)
    written = applied.read_bytes()
    (warning,) = status().document["warnings"]
    assert all(arn in warning for arn in keys)
    assert applied.read_bytes() == written, "status is no look"

    guard("--account", SHOP)
    others = {arn for arn in keys if DATA in arn}
    assert (status().code, unwatched(status())) == (1, others)
    guard()
    assert (status().code, unwatched(status())) == (0, set())
    aws.advance(days=3.1)
    assert unwatched(status()) == keys


def test_a_check_without_cloudtrail_does_not_count(
    aws: EmbeddedAws, applied: Path, keysweep: Callable[..., Any], state_only: Path
) -> None:
    aws.advance(days=4)
    aws.fault("deny", service="cloudtrail", times=None)
    assert keysweep("guard", "--policy", state_only, *ROLE).code == 1
    assert len(unwatched(keysweep("status", "--format", "json", *ROLE))) == 5


def test_status_and_plan_name_what_is_deleted_within_three_days(
    aws: EmbeddedAws,
    applied: Path,
    keysweep: Callable[..., Any],
    state_only: Path,
    results: Callable[..., Path],
) -> None:
    kept = results(aws.key_arn(SHOP, "eu-west-1", "kept"), name="kept.json")
    aws.advance(days=26.9)
    assert keysweep("guard", "--policy", state_only, *ROLE).code == 0
    assert keysweep("status", *ROLE).code == 0
    assert keysweep("plan", kept, *ROLE).code == 0
    aws.advance(days=0.2)
    shown = keysweep("status", "--format", "json", *ROLE)
    assert shown.code == 1
    assert all(row["near"] for row in shown.document["rows"])
    assert unwatched(shown) == set()
    planned = keysweep("plan", kept, *ROLE)
    assert planned.code == 1
    assert all(row["key_arn"] in planned.err for row in shown.document["rows"])
    assert (applied.parent / "plan.json").exists()
    aws.advance(days=4)
    assert keysweep("status", *ROLE).code == 0, "they are deleted"
    assert keysweep("plan", kept, *ROLE).code == 0


def test_plan_names_the_keys_of_the_journal_that_wait_unwatched(
    aws: EmbeddedAws,
    applied: Path,
    keysweep: Callable[..., Any],
    state_only: Path,
    results: Callable[..., Path],
) -> None:
    import boto3

    aws.advance(days=4)
    restored = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1")).cancel_key_deletion(
        KeyId=restored
    )
    found = results(restored, name="restored.json")
    written = applied.read_bytes()
    done = keysweep("plan", found, "--policy", state_only, *ROLE)
    assert done.code == 1
    waiting = {
        line["key_arn"]
        for line in map(json.loads, written.splitlines())
        if line["line"] == "intent"
    } - {restored}
    assert {arn for arn in waiting | {restored} if arn in done.err} == waiting
    assert applied.read_bytes() == written, "plan is no look"

    moved = applied.rename(applied.parent / "other.jsonl")
    assert keysweep("plan", found, "--policy", state_only, *ROLE).code == 0, (
        "no journal, and none is named"
    )
    assert keysweep("plan", found, "--policy", state_only, "--journal", moved, *ROLE).code == 1
    assert keysweep("guard", "--journal", moved, "--policy", state_only, *ROLE).code == 0
    assert keysweep("plan", found, "--policy", state_only, "--journal", moved, *ROLE).code == 0


def test_a_message_names_twenty_keys_and_counts_the_others() -> None:
    arns = [
        KeyArn.parse(f"arn:aws:kms:eu-west-1:{SHOP}:key/{number:08}-1111-4111-8111-111111111111")
        for number in range(23)
    ]
    (one,) = attention.sentences(
        (attention.Waiting(arn, None, None, unwatched=True, near=False) for arn in arns),
        "keysweep guard --role-name Auditor",
    )
    assert "keysweep guard --role-name Auditor" in one
    assert sum(str(arn) in one for arn in arns) == attention.NAMED == 20
    assert "3 more" in one
