"""Access that does not work: exit codes, the former plan, keys left out, unreadable keys."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_runs import Done
from stages import few_references

from embedded_aws.names import access_key
from embedded_aws.process import EmbeddedAws

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
JSON = ("--format", "json")
NO_KEYS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
FORMER = '{"digest": "sha256:former"}'
Command = Callable[..., Done]


@pytest.fixture
def plan(
    aws: EmbeddedAws, keysweep: Command, results: Callable[..., Path], state_only: Path
) -> Command:
    path = results()

    def run(*arguments: str, **variables: str) -> Done:
        return keysweep("plan", path, "--policy", state_only, *arguments, **variables)

    return run


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text(FORMER, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("arguments", "variables", "code"),
    [
        (("--profile", "nobody"), {}, 2),
        (("--account", "999988887777"), {}, 2),
        (("--region", "eu-west-99"), {}, 2),
        (("--max-keys", "many"), {}, 2),
        (("--no-such-option",), {}, 2),
        ((), {"AWS_ENDPOINT_URL": "localhost:4566"}, 2),
        ((), {"AWS_ENDPOINT_URL_KMS": "localhost:4566"}, 2),
        ((), NO_KEYS, 1),
        ((), {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWN"}, 1),
    ],
)
def test_a_plan_that_cannot_be_renewed_is_set_aside(
    arguments: tuple[str, ...],
    variables: dict[str, str],
    code: int,
    plan: Command,
    former: Path,
) -> None:
    done = plan(*arguments, **variables)
    assert (done.code, done.out) == (code, "")
    assert len(done.err.splitlines()) == 1
    assert not former.exists()
    assert former.with_name("plan.json.previous").read_text("utf-8") == FORMER


def test_results_that_cannot_be_read_set_the_plan_aside_too(
    keysweep: Command, tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(FORMER, encoding="utf-8")
    assert keysweep("plan", "absent.json", "--out", "other.json").code == 2
    assert keysweep("plan", "absent.json", "--out=other.json", "--max-keys", "x").code == 2
    assert not other.exists()
    assert (tmp_path / "other.json.previous").exists()


def test_a_plan_that_is_renewed_leaves_no_previous_one(
    plan: Command, former: Path, tmp_path: Path
) -> None:
    assert plan(*ROLE).code == 0
    assert plan("--since", "plan.json", *ROLE).code == 0
    assert json.loads(former.read_text("utf-8"))["since"] is not None
    assert not (tmp_path / "plan.json.previous").exists()


@pytest.mark.parametrize("option", ["--out", "--html"])
def test_a_file_that_cannot_be_written_ends_the_run_before_aws_is_read(
    option: str, plan: Command, aws: EmbeddedAws, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("absent/file", "n" * 300, "pipe"):
        done = plan(option, name, *ROLE)
        assert (done.code, done.out, name in done.err) == (2, "", True)
        assert len(done.err.splitlines()) == 1
    assert aws.calls() == []
    assert {path.name for path in tmp_path.iterdir()}.isdisjoint({"absent", "plan.json"})


JOURNAL = '{"version":1,"line":"run","run":"r"}\n'


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        (("plan", "--key", "k", "--out"), JOURNAL),
        (("plan", "--key", "k", "--out"), "- a policy\n"),
        (("plan", "--key", "k", "--out"), '[{"status_code": "FAIL"}]'),
        (("plan", "--no-such-option", "--out"), JOURNAL),
        (("plan", "--key", "k", "--html"), FORMER),
        (("apply", "plan.json", "--html"), JOURNAL),
        (("show", "plan.json", "--html"), FORMER),
        (("status", "--html"), JOURNAL),
        (("index", ".", "--html"), FORMER),
        (("mutelist", "--out"), JOURNAL),
    ],
)
def test_no_output_replaces_a_file_of_another_kind(
    arguments: tuple[str, ...], content: str, aws: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    path = tmp_path / "precious"
    path.write_text(content, encoding="utf-8")
    done = keysweep(*arguments, path.name)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert path.read_text("utf-8") == content
    assert {one.name for one in tmp_path.iterdir()} == {path.name}
    assert aws.calls() == []


def test_the_plan_and_its_page_are_two_files(plan: Command, aws: EmbeddedAws) -> None:
    assert plan("--html", "./plan.json").code == 2
    assert aws.calls() == []


def test_help_leaves_the_plan_where_it_is(keysweep: Command, former: Path) -> None:
    assert keysweep("plan", "--help").code == 0
    assert former.read_text("utf-8") == FORMER


def test_an_account_of_which_no_key_is_read_comes_first(plan: Command, tmp_path: Path) -> None:
    done = plan("--role-name", "Absent")
    assert done.code == 1
    first = done.out.lstrip().splitlines()[0]
    assert DATA in first
    made = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    (sentence,) = made["unread_accounts"]
    assert "AccessDenied" in sentence
    assert made["summary"]["schedule"] == 4
    assert DATA in plan("--role-name", "Absent", *JSON).err


def test_keys_that_are_left_out_are_one_line(plan: Command, tmp_path: Path) -> None:
    done = plan("--account", SHOP, "--region", "eu-west-1", *JSON)
    assert done.code == 0
    assert {(one["account_id"], one["region"]) for one in done.document["items"]} == {
        (SHOP, "eu-west-1")
    }
    (line,) = [one for one in done.document["warnings"] if "--account" in one]
    assert DATA in line
    assert "us-east-1" in line


def test_other_commands_leave_them_out_too(
    plan: Command, keysweep: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_references(monkeypatch)
    assert plan(*ROLE).code == 0
    one = ("--account", SHOP, "--region", "us-east-1")
    applied = keysweep("apply", "plan.json", "--yes", *one, *JSON)
    assert (applied.code, applied.document["summary"]) == (0, {"scheduled": 1})
    assert DATA in applied.err.splitlines()[0]
    keysweep("apply", "plan.json", "--yes", *ROLE)
    shown = keysweep("status", *one, *JSON)
    assert (shown.code, len(shown.document["rows"])) == (0, 1)
    assert len(shown.document["notes"]) == 1
    watched = keysweep("guard", *one, *JSON)
    assert len(watched.out.splitlines()) == 1
    assert any(DATA in line for line in watched.err.splitlines())
    undone = keysweep("cancel", "--journal", "keysweep-journal.jsonl", "--yes", *one, *JSON)
    assert (undone.code, undone.document["summary"]) == (0, {"cancelled": 1})
    for command in (("status",), ("guard",), ("apply", "plan.json", "--yes")):
        assert keysweep(*command, "--account", "999988887777").code == 2
        assert keysweep(*command, *JSON, **NO_KEYS).code == 1


def test_unreadable_keys_are_no_drift(plan: Command, keysweep: Command, aws: EmbeddedAws) -> None:
    assert plan(*ROLE).code == 0
    assert keysweep("apply", "plan.json", "--yes", *ROLE).code == 0
    aws.fault("deny", operation="DescribeKey", region="eu-west-1", times=None)
    shown = keysweep("status", *ROLE, *JSON)
    assert shown.code == 1
    assert (shown.document["drifted"], shown.document["unreadable"]) == (0, 4)
    assert {bool(row["unreadable"]) for row in shown.document["rows"] if row["drift"]} == set()


def test_a_region_that_does_not_exist_is_bad_input(keysweep: Command, aws: EmbeddedAws) -> None:
    aws.fault("deny", operation="ListKeys", region="eu-west-99", times=None)
    assert keysweep("guard", "--all", "--region", "eu-west-99").code == 2
    aws.fault("deny", operation="ListKeys", region="eu-west-1", times=None)
    assert keysweep("guard", "--all", "--region", "eu-west-1").code == 1


def test_a_program_that_vanishes_in_the_middle_loses_no_plan(
    plan: Command, former: Path, tmp_path: Path
) -> None:
    key, secret = access_key(SHOP)
    soon = datetime.now(UTC) + timedelta(minutes=5)  # renewed before each request
    answer = {
        "Version": 1,
        "AccessKeyId": key,
        "SecretAccessKey": secret,
        "Expiration": soon.isoformat(),
    }
    program = tmp_path / "program"
    count = tmp_path / "count"
    program.write_text(
        f"#!/bin/sh\necho x >> {count}\n[ $(wc -l < {count}) -ge 3 ] && rm {program}\n"
        f"echo '{json.dumps(answer)}'\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(f"[profile p]\ncredential_process = {program}\n", encoding="utf-8")
    done = plan(
        *JSON,
        **NO_KEYS,
        AWS_CONFIG_FILE=str(config),
        AWS_PROFILE="p",
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )
    assert done.code == 1
    assert done.document["summary"]["schedule"] == 0
    assert secret not in done.out + done.err
    assert json.loads(former.read_text("utf-8"))["digest"] == done.document["digest"]
