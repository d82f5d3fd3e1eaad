"""`keysweep doctor` in ordinary accounts: what it shows, what it writes, and what that frees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_runs import Done, run_here
from ordinary_runs import in_front_of, make_plan, names, operator, records

from embedded_aws import ordinary
from embedded_aws.ordinary import TRUTH
from embedded_aws.process import EmbeddedAws
from embedded_aws.refusals import table
from keysweep.remediation.errors import BadInput
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy import policies_folder
from keysweep.remediation.policy_file import load

DECIDED = (ordinary.QUIET, ordinary.REFUSED, ordinary.RESTRICTED)
"""Accounts with no need that AWS no longer shows, as the person who decides knows."""
UNTIL = f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"
BY_HAND = {"<reason>": "never used here", "<who>": "platform team", "<YYYY-MM-DD>": UNTIL}
PARTS = dict(zip(BY_HAND, ("reason", "approved_by", "until"), strict=True))


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(ordinary.scenario()) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("doctor")


@pytest.fixture(scope="module")
def policy(folder: Path) -> Path:
    """The default policy, as a team's own file."""
    path = folder / "policy.yaml"
    path.write_text((policies_folder() / "retirement.yaml").read_text("utf-8"), "utf-8")
    return path


def doctor(
    aws: EmbeddedAws, folder: Path, *arguments: str | Path, accounts: Sequence[str] = DECIDED
) -> Done:
    with in_front_of(aws):
        return run_here(
            ("doctor", "-", "--role-name", ordinary.ROLE, *arguments),
            folder,
            operator(aws),
            records(aws, *accounts),
        )


@pytest.fixture(scope="module")
def first(aws: EmbeddedAws, folder: Path, policy: Path) -> Done:
    arguments = ("--policy", policy, "--policy-out", folder / "decide.yaml", "--format", "json")
    return doctor(aws, folder, *arguments)


@pytest.fixture(scope="module")
def decided(first: Done, folder: Path) -> Path:
    """The policy with every entry uncommented and filled in."""
    text = re.sub("(?m)^  # ", "  ", (folder / "decide.yaml").read_text("utf-8"))
    for placeholder, value in BY_HAND.items():
        text = text.replace(placeholder, value)
    path = folder / "decided.yaml"
    path.write_text(text, "utf-8")
    return path


def rows(done: Done) -> set[tuple[str, str, str, str, str]]:
    return {
        (one["account_id"], one["region"], row["service"], row["operation"], row["class"])
        for one in done.document["account_regions"]
        for row in one["rows"]
        if row["decided_until"] is None
    }


def test_every_refusal_is_a_row_of_its_class(first: Done) -> None:
    assert first.code == 1
    refused = {row[1:] for row in rows(first) if row[0] == ordinary.REFUSED}
    assert refused >= {
        (region, row.service, row.operation, row.answered)
        for region in ordinary.REFUSING_REGIONS
        for row in table().refusals(frozenset(ordinary.CLASSES), region)
        if row.answered != "absent"
    }
    assert {row[1] for row in rows(first) if row[0] == ordinary.RESTRICTED} == {
        ordinary.CLOSED_REGION
    }
    assert not {row for row in rows(first) if row[0] == ordinary.QUIET}


def test_each_row_has_a_fix_and_no_secret_or_name(first: Done) -> None:
    for one in first.document["account_regions"]:
        for row in one["rows"]:
            assert row["fix"]
            assert row["code"]
            assert ordinary.ROLE not in row["message"]
            assert one["account_id"] not in row["message"]


def test_exceptions_to_decide_are_of_the_classes_that_a_person_decides(first: Done) -> None:
    made = first.document
    proposed = {(one["service"], one["operation"]) for one in made["coverage_exceptions"]}
    assert {one[k] for one in made["coverage_exceptions"] for k in ("reason", "until")} == {None}
    assert ("fsx", "DescribeFileCaches") in proposed
    (closed,) = made["closed_regions"]
    assert (closed["accounts"], closed["regions"]) == (
        [ordinary.RESTRICTED],
        [ordinary.CLOSED_REGION],
    )
    assert made["iam_actions"] == []


def verdicts(aws: EmbeddedAws, plan: Plan) -> dict[str, str]:
    name_of = names(aws)
    return {name_of[str(item.key_arn)]: item.verdict.value for item in plan.items}


def test_the_unedited_policy_decides_nothing(first: Done, folder: Path, policy: Path) -> None:
    assert load(folder / "decide.yaml") == load(policy)


def test_each_placeholder_is_refused(decided: Path, folder: Path) -> None:
    text = decided.read_text("utf-8")
    for placeholder, value in BY_HAND.items():
        path = folder / "placeholder.yaml"
        path.write_text(placeholder.join(text.rsplit(value, 1)), "utf-8")
        with pytest.raises(BadInput, match=rf"\]\.{PARTS[placeholder]}: "):
            load(path)


@pytest.mark.sample
def test_filled_in_every_dead_key_is_scheduled_and_no_needed_one(
    aws: EmbeddedAws, decided: Path
) -> None:
    plan = make_plan(aws, load(decided), *DECIDED, ordinary.CLOSED_LATER)
    found = verdicts(aws, plan)
    dead = {one.name for one in TRUTH if one.needed_by is None and one.account in DECIDED}
    assert {name for name, verdict in found.items() if verdict == "schedule"} == dead
    on_exceptions = {names(aws)[str(item.key_arn)] for item in plan.on_exceptions}
    assert on_exceptions == {
        one.name for one in TRUTH if one.name in dead and one.account != ordinary.QUIET
    }
    assert len(on_exceptions) == 5


@pytest.mark.sample
def test_filled_in_the_doctor_finds_nothing_left(
    aws: EmbeddedAws, folder: Path, decided: Path
) -> None:
    done = doctor(aws, folder, "--policy", decided, "--format", "json")
    assert (done.code, rows(done)) == (0, set())
    assert {one["until"] for one in done.document["ending"]} == {UNTIL}


def test_a_new_answer_is_reported_in_aws_words(
    aws: EmbeddedAws, folder: Path, decided: Path
) -> None:
    aws.fault(
        "deny",
        service="sqs",
        operation="ListQueues",
        account=ordinary.QUIET,
        region="us-west-1",
        code="QueuesAsleepException",
        message=f"Account {ordinary.QUIET} has no queues today.",
        times=None,
    )
    arguments = ("--policy", decided, "--format", "json")
    done = doctor(aws, folder, *arguments, accounts=[ordinary.QUIET])
    assert done.code == 1
    undecided: list[Any] = [
        (row["operation"], row["class"], row["code"], row["message"])
        for one in done.document["account_regions"]
        for row in one["rows"]
        if row["decided_until"] is None
    ]
    assert undecided == [
        (
            "ListQueues",
            "unclear",
            "QueuesAsleepException",
            "Account <account> has no queues today.",
        )
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--policy-out", "new.yaml"), 2),
        (("--policy", "policy.yaml", "--policy-out", "policy.yaml"), 2),
        (("--policy", "absent.yaml"), 2),
    ],
)
def test_the_policy_is_extended_into_a_new_file_alone(
    aws: EmbeddedAws, folder: Path, policy: Path, arguments: tuple[str, ...], code: int
) -> None:
    before = policy.read_bytes()
    assert doctor(aws, folder, *arguments, accounts=[ordinary.QUIET]).code == code
    assert policy.read_bytes() == before
    assert not (folder / "new.yaml").exists()


def no_access(done: Done) -> list[tuple[str, str, str]]:
    assert done.code == 1
    assert done.document["coverage_exceptions"] == []
    assert done.document["iam_actions"] == []
    return [
        (row["operation"], row["code"], row["class"])
        for one in done.document["account_regions"]
        for row in one["rows"]
    ]


BARE = ("AssumeRole", "AccessDenied", "unclear")


def entering(aws: EmbeddedAws, folder: Path, *options: str) -> Done:
    """A run for an account with another id than the caller's."""
    own = ("doctor", "--region", "eu-west-1", "--account", ordinary.REFUSED, "--format", "json")
    with in_front_of(aws):
        return run_here([*own, *options], folder, operator(aws))


def test_an_account_that_cannot_be_entered_is_a_row_in_aws_words(
    aws: EmbeddedAws, folder: Path
) -> None:
    done = entering(aws, folder, "--role-name", "Nobody")
    assert no_access(done) == [BARE]
    ((row,),) = [one["rows"] for one in done.document["account_regions"]]
    assert "sts:AssumeRole" in row["message"]
    assert {"Nobody", ordinary.REFUSED} & {*re.split(r"\W", row["message"])} == set()
    assert "--external-id" in row["fix"]


@pytest.mark.parametrize(
    ("message", "answer_class"),
    [
        (
            "User: x is not authorized to perform: sts:AssumeRole on resource: y "
            "because no identity-based policy allows the sts:AssumeRole action",
            "permission",
        ),
        (
            "User: x is not authorized to perform: sts:AssumeRole on resource: y "
            "with an explicit deny in a service control policy",
            "organization",
        ),
    ],
)
def test_the_class_of_a_refused_role_is_by_aws_words(
    aws: EmbeddedAws, folder: Path, message: str, answer_class: str
) -> None:
    aws.fault("deny", operation="AssumeRole", code="AccessDenied", message=message, times=None)
    try:
        done = entering(aws, folder, "--role-name", ordinary.ROLE)
    finally:
        aws.clear_faults()
    assert no_access(done) == [("AssumeRole", "AccessDenied", answer_class)]
    ((row,),) = [one["rows"] for one in done.document["account_regions"]]
    assert ("sts:AssumeRole" in row["fix"]) == (answer_class == "permission")


def test_an_account_without_a_role_to_enter_it_is_a_row(aws: EmbeddedAws, folder: Path) -> None:
    done = entering(aws, folder)
    assert no_access(done) == [("AssumeRole", "AccountUnavailable", "unclear")]
    ((row,),) = [one["rows"] for one in done.document["account_regions"]]
    assert "--role-name" in row["fix"]


def test_a_region_that_does_not_exist_is_bad_input(aws: EmbeddedAws, folder: Path) -> None:
    with in_front_of(aws):
        done = run_here(("doctor", "--region", "mars-north-1"), folder, operator(aws))
    assert (done.code, done.out) == (2, "")
    assert "--region" in done.err


def test_results_without_keys_examine_nothing(aws: EmbeddedAws, folder: Path) -> None:
    with in_front_of(aws):
        done = run_here(("doctor", "-", "--format", "json"), folder, operator(aws), "[]")
    assert (done.code, done.document["account_regions"]) == (0, [])
