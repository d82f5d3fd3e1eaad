"""The commands to run next: where they are printed, and that they work as they stand."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from prowler_records import prowler_record
from stages import few_references

from documents.member_roles import ROLES as MEMBER_ROLES
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.access import ROLES, Access

SHOP = "111122223333"
ROLE = ("--role-name", "KeysweepOperator")


def commands(text: str) -> list[list[str]]:
    """The commands at the ends of lines, without the program."""
    found = re.findall(r": keysweep (.*)$", text, re.MULTILINE)
    return [shlex.split(one) for one in found]


@pytest.mark.parametrize(
    ("access", "command", "expected"),
    [
        (Access(), "apply", ["apply", "my plan.json"]),
        (
            Access("ops", "Team/Operator", "s3cret"),
            "apply",
            [
                *("apply", "my plan.json", "--profile", "ops"),
                *("--role-name", "Team/Operator", "--external-id", "ID"),
            ],
        ),
        (
            Access(role_name="KeysweepPlan"),
            "apply",
            ["apply", "my plan.json", "--role-name", "KeysweepApply"],
        ),
        (Access("ops", "KeysweepPlan", "s3cret"), "show", ["show", "my plan.json"]),
    ],
)
def test_a_command_has_the_same_access(access: Access, command: str, expected: list[str]) -> None:
    assert shlex.split(access.command_line(command, "my plan.json"))[1:] == expected


def test_limits_are_options_again() -> None:
    limited = Access(only=frozenset({"2" * 12, "1" * 12}), regions=frozenset({"eu-west-1"}))
    assert limited.limits == (
        *("--account", "1" * 12, "--account", "2" * 12, "--region", "eu-west-1"),
    )


def test_the_roles_are_those_of_the_stackset() -> None:
    assert {*ROLES.values()} == {*MEMBER_ROLES}


@pytest.mark.parametrize("journal", ["keysweep-journal.jsonl", "of team.jsonl"])
def test_plan_and_apply_end_with_commands_that_work(
    journal: str,
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
) -> None:
    planned = keysweep("plan", results(), "--policy", state_only, "--out", "a plan.json", *ROLE)
    (apply,) = commands(planned.out)
    assert apply == ["apply", "a plan.json", *ROLE]
    applied = keysweep(*apply, "--journal", journal, "--yes")
    assert applied.code == 0
    status, guard, undo = commands(applied.out)
    assert [one[0] for one in (status, guard, undo)] == ["status", "guard", "cancel"]
    (date,) = {*re.findall(r"\b20\d\d-\d\d-\d\d\b(?! \d\d:)", applied.out.split("Every day")[1])}
    rows = keysweep(*status, "--format", "json").document["rows"]
    assert {row["deletion_date"][:10] for row in rows} == {date}
    assert keysweep(*guard).code == 0
    undone = keysweep(*undo, "--yes", "--format", "json")
    assert undone.document["summary"] == {"cancelled": len(rows)}
    listed = keysweep("status", "--journal", journal, "--account", SHOP, *ROLE)
    (every,) = commands(listed.out)
    assert {"--all", "--account"} <= {*every}
    assert keysweep(*every).code == 0


def test_apply_in_another_format_prints_no_next_step(
    planned: Path, keysweep: Callable[..., Any], aws: EmbeddedAws
) -> None:
    done = keysweep("apply", planned, "--yes", "--format", "markdown", *ROLE)
    assert (done.code, commands(done.out)) == (0, [])


def test_apply_counts_the_keys_of_the_next_wave(
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    aws: EmbeddedAws,
) -> None:
    wave = ("--policy", state_only, "--max-keys", "2", *ROLE)
    assert keysweep("plan", results(), *wave).code == 0
    last = keysweep("apply", "plan.json", "--yes", *ROLE).out.rstrip().splitlines()[-1]
    assert "keysweep plan" in last
    assert "3 keys" in last


def test_the_key_of_a_check_is_named_with_the_access(
    planned: Path, keysweep: Callable[..., Any], aws: EmbeddedAws
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    aws.advance(days=4)
    status = keysweep("status", "--format", "json", *ROLE)
    (warning,) = status.document["warnings"]
    assert commands(warning) == [["guard", *ROLE]]


RULES: Mapping[str, str] = {"kept": "protected-tag", "alive": "not-disabled"}


@pytest.mark.parametrize("name", [*RULES])
def test_a_plan_without_a_key_to_schedule_names_the_reasons(
    name: str, keysweep: Callable[..., Any], results: Callable[..., Path], aws: EmbeddedAws
) -> None:
    done = keysweep("plan", results(aws.key_arn(SHOP, "eu-west-1", name)))
    assert done.code == 0
    end = done.out.partition("Plan written to ")[2]
    assert f"{RULES[name]} (1 key)" in end
    assert not commands(end)


def test_an_empty_plan_whose_keys_could_not_be_read_leads_to_doctor(
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    aws: EmbeddedAws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few_references(monkeypatch)
    aws.fault("deny", service="sqs", times=None)
    path = results(aws.key_arn(SHOP, "eu-west-1", "dead-1"))
    done = keysweep("plan", path, *ROLE)
    (doctor,) = commands(done.out)
    assert doctor == ["doctor", str(path), *ROLE]


@pytest.mark.parametrize(
    ("status", "counted"), [(None, ""), ("PASS", "kms_cmk_not_disabled PASS (1 key)")]
)
def test_a_plan_without_candidates_names_the_scans_filters(
    status: str | None, counted: str, keysweep: Callable[..., Any], tmp_path: Path, aws: EmbeddedAws
) -> None:
    arn = aws.key_arn(SHOP, "eu-west-1", "alive")
    found = [] if status is None else [prowler_record(arn, aws.now(), status_code=status)]
    (tmp_path / "r.json").write_text(json.dumps(found), encoding="utf-8")
    done = keysweep("plan", "r.json")
    assert done.code == 0
    end = done.out.partition("Plan written to ")[2]
    assert counted in end
    assert "--status" in end
    assert not commands(end)
