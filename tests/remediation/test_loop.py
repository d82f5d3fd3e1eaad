"""plan, apply, status and cancel against the embedded AWS: the contract's core."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lifted_rules import lift, rules_besides
from message_parts import figures
from stages import few_references, nothing_but_the_alarm

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import planfile
from keysweep.remediation.aws.clock import Clock

SHOP = "111122223333"
DATA = "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
DEAD = {"dead-1", "dead-2", "dead-3", "dead-far", "dead-other"}


def names(aws: EmbeddedAws, state: str) -> set[str]:
    """The names of the customer keys in this state, in truth."""
    return {
        key["name"] for key in aws.keys() if key["state"] == state and key["manager"] == "CUSTOMER"
    }


def outcomes(aws: EmbeddedAws, document: Any) -> dict[str, str]:
    """Outcome by key name, of a JSON report."""
    named = {key["arn"]: key["name"] for key in aws.keys()}
    return {named[row["key_arn"]]: row["outcome"] for row in document["results"]}


def mutations(aws: EmbeddedAws) -> set[str]:
    """The calls of the command that change something."""
    writes = {"ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey", "DisableKey", "TagResource"}
    return {call["operation"] for call in aws.calls()} & writes


def key_state(aws: EmbeddedAws, arn: str) -> object:
    key = aws.key(arn)
    return None if key is None else key["state"]


def test_plan_changes_nothing_and_says_what_it_would_do(planned: Path, aws: EmbeddedAws) -> None:
    plan = json.loads(planned.read_text(encoding="utf-8"))
    arns = {key["arn"]: key["name"] for key in aws.keys()}
    verdicts = {arns[item["key_arn"]]: item["verdict"] for item in plan["items"]}
    assert verdicts == {**dict.fromkeys(DEAD, "schedule"), "kept": "hold"}
    reasons = {r["rule"] for item in plan["items"] for r in item["reasons"]}
    assert reasons == {"protected-tag"}
    assert plan["summary"] == {
        "schedule": 5,
        "on_exceptions": 5,
        "hold": 1,
        "skip": 0,
        "monthly_cost_usd": 5.0,
    }
    assert {item["pending_window_days"] for item in plan["items"]} == {30}
    assert stat.S_IMODE(planned.stat().st_mode) == 0o600
    assert mutations(aws) == set()
    assert names(aws, "Disabled") == {*DEAD, "kept"}


def test_apply_schedules_exactly_the_plan_and_status_shows_it(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    done = keysweep("apply", planned, "--yes", "--format", "json", "--ticket", "OPS-7", *ROLE)
    assert done.code == 0
    assert nothing_but_the_alarm(done.err)
    assert outcomes(aws, done.document) == dict.fromkeys(DEAD, "scheduled")
    assert done.document["summary"] == {"scheduled": 5}
    assert names(aws, "PendingDeletion") == {*DEAD, "pending"}
    assert all(row["deletion_date"] for row in done.document["results"])
    shown = keysweep("status", "--format", "json", *ROLE)
    assert shown.code == 0
    assert shown.document["pending"] == 5
    assert shown.document["monthly_cost_usd"] == 5.0
    assert {row["days_left"] for row in shown.document["rows"]} <= {29, 30}
    journal = [
        json.loads(line)
        for line in (planned.parent / "keysweep-journal.jsonl").read_text("utf-8").splitlines()
    ]
    assert journal[0]["ticket"] == "OPS-7"
    assert journal[0]["caller"].startswith(f"arn:aws:iam::{SHOP}:")


def test_apply_again_doubles_nothing(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    dates = {key["name"]: key["deletion_date"] for key in aws.keys()}
    aws.clear_calls()
    aws.advance(days=2)
    again = keysweep("apply", planned, "--yes", "--format", "json", *ROLE)
    assert again.code == 0
    assert outcomes(aws, again.document) == dict.fromkeys(DEAD, "scheduled")
    assert mutations(aws) == set()
    assert {key["name"]: key["deletion_date"] for key in aws.keys()} == dates


def test_cancel_undoes_exactly_the_batch(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    aws.advance(days=12)
    done = keysweep(
        "cancel", "--journal", "keysweep-journal.jsonl", "--yes", "--format", "json", *ROLE
    )
    assert done.code == 0
    assert outcomes(aws, done.document) == dict.fromkeys(DEAD, "cancelled")
    assert names(aws, "Disabled") == {*DEAD, "kept"}
    assert names(aws, "PendingDeletion") == {"pending"}
    again = keysweep("apply", planned, "--yes", "--format", "json", *ROLE)
    assert again.code == 3, "the plan has expired by then"


def test_a_cancelled_key_is_not_scheduled_again_by_the_same_plan(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    assert keysweep("cancel", "--key", arn, "--yes").code == 0
    again = keysweep("apply", planned, "--yes", "--format", "json", *ROLE)
    assert outcomes(aws, again.document)["dead-1"] == "changed"
    assert names(aws, "Disabled") == {"dead-1", "kept"}


@pytest.mark.parametrize("journal", ["keysweep-journal.jsonl", "of team.jsonl"])
def test_cancel_ends_with_the_command_that_enables_what_still_fails(
    journal: str, planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--journal", journal, "--yes", *ROLE)
    arn = aws.key_arn(DATA, "eu-west-1", "dead-other")
    undo = ("cancel", "--key", arn, "--journal", journal, "--yes", "--format", "json", *ROLE)
    done = keysweep(*undo)
    assert done.document["summary"] == {"cancelled": 1}
    assert key_state(aws, arn) == "Disabled"
    (line,) = done.err.splitlines()
    command = shlex.split(line.partition(" run: keysweep ")[2])
    enabled = keysweep(*command, "--yes")
    assert (enabled.code, enabled.err) == (0, "")
    assert key_state(aws, arn) == "Enabled"
    every = keysweep("cancel", "--journal", journal, "--yes", *ROLE)
    assert re.findall("[0-9]+ keys", every.err) == ["4 keys"]


def test_a_cancellation_after_the_deletion_date_is_still_tried(
    planned: Path,
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    now = Clock.now
    monkeypatch.setattr(Clock, "now", lambda self: now(self) + timedelta(days=31))
    done = keysweep(
        "cancel", "--journal", "keysweep-journal.jsonl", "--yes", "--format", "json", *ROLE
    )
    assert done.document["summary"] == {"cancelled": 5}
    assert names(aws, "PendingDeletion") == {"pending"}


def test_cancel_keep_tags_and_enable_enables(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    done = keysweep("cancel", "--key", arn, "--keep", "--enable", "--yes", "--format", "json")
    assert done.document["results"][0]["outcome"] == "cancelled"
    key = aws.key(arn)
    assert key is not None
    assert key["state"] == "Enabled"
    assert set(key["tags"]) == {"keysweep:keep"}


def test_cancel_by_plan_takes_its_keys_without_a_journal(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    (planned.parent / "keysweep-journal.jsonl").unlink()
    done = keysweep("cancel", "--plan", planned, "--yes", "--format", "json", *ROLE)
    assert outcomes(aws, done.document) == dict.fromkeys(DEAD, "cancelled")


def test_the_end_of_the_window_deletes_and_status_says_so(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    arn = aws.key_arn(SHOP, "us-east-1", "dead-far")
    keysweep("cancel", "--key", arn, "--yes")
    aws.advance(days=31)
    shown = keysweep("status", "--format", "json", *ROLE).document
    assert shown["deleted"] == 4
    assert {row["state"] for row in shown["rows"]} == {"deleted"}
    assert shown["monthly_cost_usd"] == 4.0
    late = keysweep("cancel", "--plan", planned, "--yes", "--format", "json", *ROLE)
    assert late.code == 1, "nothing brings a deleted key back"
    ended = {row["key_arn"]: row["outcome"] for row in late.document["results"]}
    assert ended.pop(arn) == "unchanged"
    assert [*ended.values()] == ["failed"] * 4


def test_status_reports_drift_and_what_could_not_be_read(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    import boto3

    keysweep("apply", planned, "--yes", *ROLE)
    moved, restored = (aws.key_arn(SHOP, "eu-west-1", name) for name in ("dead-1", "dead-2"))
    kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
    for arn in (moved, restored):
        kms.cancel_key_deletion(KeyId=arn)
    kms.schedule_key_deletion(KeyId=moved, PendingWindowInDays=7)
    aws.advance(seconds=360)  # before that, DescribeKey may only be late
    shown = keysweep("status", "--format", "json").document
    named = {key["arn"]: key["name"] for key in aws.keys()}
    drift = {named[row["key_arn"]]: row["drift"] for row in shown["rows"] if row["drift"]}
    assert set(drift) == {"dead-1", "dead-2"}
    assert len({*drift.values()}) == shown["drifted"] == 2
    assert len(figures(drift["dead-1"])) == 1, "the date that it had"
    unreadable = {named[row["key_arn"]]: row["unreadable"] for row in shown["rows"]}
    assert [name for name, why in unreadable.items() if why] == ["dead-other"]
    assert figures(unreadable["dead-other"]) == [SHOP, DATA]
    assert shown["unreadable"] == 1
    states = {named[row["key_arn"]]: row["state"] for row in shown["rows"]}
    assert states["dead-other"] == "unknown"


def _race(aws: EmbeddedAws, what: str) -> None:
    import boto3

    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
    if what == "enabled":
        kms.enable_key(KeyId=arn)
    elif what == "tagged":
        kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "keysweep:keep", "TagValue": "x"}])
    elif what == "other tag":
        kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "team", "TagValue": "x"}])


@pytest.mark.parametrize("what", ["enabled", "tagged", "other tag"])
def test_a_key_that_changed_since_the_plan_is_left_alone(
    what: str, planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    _race(aws, what)
    done = keysweep("apply", planned, "--yes", "--format", "json", *ROLE)
    assert done.code == 0
    assert outcomes(aws, done.document) == {
        **dict.fromkeys(DEAD, "scheduled"),
        "dead-1": "changed",
    }
    assert "dead-1" not in names(aws, "PendingDeletion")


def test_a_key_that_another_user_scheduled_is_not_ours(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    import boto3

    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1")).schedule_key_deletion(
        KeyId=arn, PendingWindowInDays=7
    )
    done = keysweep("apply", planned, "--yes", "--format", "json", *ROLE)
    assert outcomes(aws, done.document)["dead-1"] == "already_pending"
    keysweep("cancel", "--journal", "keysweep-journal.jsonl", "--yes", *ROLE)
    assert names(aws, "PendingDeletion") == {"dead-1", "pending"}


def test_credentials_of_another_account_write_nothing(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    done = keysweep("apply", planned, "--yes", "--format", "json", account=DATA)
    assert done.code == 1
    by_name = outcomes(aws, done.document)
    assert by_name == {**dict.fromkeys(DEAD - {"dead-other"}, "failed"), "dead-other": "scheduled"}
    messages = {row["message"] for row in done.document["results"] if row["outcome"] == "failed"}
    (message,) = messages
    assert figures(message) == [DATA, SHOP]
    assert "--role-name" in message
    assert names(aws, "PendingDeletion") == {"dead-other", "pending"}


def test_without_a_terminal_a_write_needs_yes(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    done = keysweep("apply", planned, *ROLE)
    assert done.code == 2
    assert done.out == ""
    assert f"4 in account {SHOP}" in done.err
    assert "add --yes" in done.err
    assert mutations(aws) == set()


def test_an_expired_plan_is_refused(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    aws.advance(days=7)
    done = keysweep("apply", planned, "--yes", *ROLE)
    assert done.code == 3
    assert "The plan expired on" in done.err
    assert mutations(aws) == set()


def test_more_keys_than_the_policy_allows_are_scheduled_in_waves(
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
) -> None:
    options = ("--policy", state_only, "--max-keys", "2", *ROLE, "--format", "json")
    gone: set[str] = set()
    for waiting in (3, 1, 0):
        done = keysweep("plan", results(), *options)
        assert done.code == 0
        assert done.document["policy"]["max_keys"] == 2
        reasons = [reason["rule"] for item in done.document["items"] for reason in item["reasons"]]
        assert reasons.count("next-wave") == waiting
        applied = keysweep("apply", "plan.json", "--yes", *ROLE, "--format", "json")
        wave = outcomes(aws, applied.document)
        assert (applied.code, set(wave.values())) == (0, {"scheduled"})
        assert not gone & wave.keys()
        gone |= wave.keys()
    assert gone == DEAD


def test_apply_refuses_a_plan_that_was_edited_to_schedule_more_keys_than_its_policy_allows(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    made = planfile.load(planned)
    edited = made.model_copy(update={"policy": made.policy.model_copy(update={"max_keys": 4})})
    planfile.save(edited.model_copy(update={"digest": planfile.digest_of(edited)}), planned)
    refused = keysweep("apply", planned, "--yes", *ROLE)
    assert refused.code == 3
    assert figures(refused.err)[:2] == ["5", "4"]
    part = keysweep("apply", planned, "--yes", "--account", SHOP, *ROLE)
    assert part.code == 3, "the policy counts the keys of the whole plan"
    assert mutations(aws) == set()


def test_no_option_goes_over_the_policys_ceiling(
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    tmp_path: Path,
) -> None:
    policy = tmp_path / "ceiling.yaml"
    text = state_only.read_text(encoding="utf-8")
    policy.write_text(f"{text}\nmax_keys: 3\nmax_keys_ceiling: 4\n", encoding="utf-8")
    path = results()
    aws.clear_calls()
    over = keysweep("plan", path, "--policy", policy, "--max-keys", "5")
    assert over.code == 2
    assert figures(over.err)[:2] == ["5", "4"]
    assert aws.calls() == []
    at = keysweep("plan", path, "--policy", policy, "--max-keys", "4", *ROLE, "--format", "json")
    assert (at.code, at.document["policy"]["max_keys"]) == (0, 4)


@pytest.mark.parametrize("days", ["6", "31", "7.5", "abc", "", "-7"])
def test_a_waiting_period_that_aws_refuses_is_a_usage_error_before_any_call(
    days: str, aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path]
) -> None:
    path = results()
    aws.clear_calls()
    done = keysweep("plan", path, f"--pending-window-days={days}")
    assert done.code == 2
    assert "--pending-window-days" in done.err
    assert len(done.err.splitlines()) == 1
    assert aws.calls() == []


def test_the_waiting_period_is_always_sent(
    aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path], state_only: Path
) -> None:
    path = results(aws.key_arn(SHOP, "eu-west-1", "dead-1"))
    keysweep("plan", path, "--policy", state_only, "--pending-window-days", "7")
    done = keysweep("apply", "plan.json", "--yes", "--format", "json")
    assert done.code == 0
    key = aws.key(aws.key_arn(SHOP, "eu-west-1", "dead-1"))
    assert key is not None
    assert key["window_days"] == 7


def test_a_bad_plan_ends_apply_before_any_call(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    planned.write_text(planned.read_text("utf-8")[:-100], encoding="utf-8")
    aws.clear_calls()
    done = keysweep("apply", planned, "--yes", *ROLE)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "plan.json" in done.err
    assert aws.calls() == []


def test_bad_results_end_plan_before_any_call(
    aws: EmbeddedAws, keysweep: Callable[..., Any], tmp_path: Path
) -> None:
    aws.clear_calls()
    done = keysweep("plan", "missing.json")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "missing.json" in done.err
    assert not (tmp_path / "plan.json").exists()
    assert aws.calls() == []


def test_a_torn_journal_is_read_up_to_the_tear_with_a_note(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    journal = planned.parent / "keysweep-journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    shown = keysweep("status", *ROLE)
    assert shown.code == 0
    assert "incomplete" in shown.out
    done = keysweep("cancel", "--journal", journal, "--yes", "--format", "json", *ROLE)
    assert outcomes(aws, done.document) == dict.fromkeys(DEAD, "cancelled")


def test_no_module_but_write_names_a_mutating_operation() -> None:
    """One write: nothing else in the package can change anything in AWS."""
    import keysweep.remediation.write as module

    folder = Path(module.__file__).parent
    words = {operation.method for operation in module.OPERATIONS} | {
        f'"{operation.method}"' for operation in module.OPERATIONS
    }
    found = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert found == {"write.py"}


def test_a_deletion_that_another_user_scheduled_again_is_not_undone(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    import boto3

    keysweep("apply", planned, "--yes", *ROLE)
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
    kms.cancel_key_deletion(KeyId=arn)
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    done = keysweep(
        "cancel", "--journal", "keysweep-journal.jsonl", "--yes", "--format", "json", *ROLE
    )
    assert outcomes(aws, done.document) == {
        **dict.fromkeys(DEAD, "cancelled"),
        "dead-1": "unchanged",
    }
    assert names(aws, "PendingDeletion") == {"dead-1", "pending"}


def test_a_rerun_reports_a_deletion_that_another_user_cancelled(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    import boto3

    keysweep("apply", planned, "--yes", *ROLE)
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1")).cancel_key_deletion(KeyId=arn)
    aws.advance(seconds=360)  # before that, DescribeKey may only be late
    again = keysweep("apply", planned, "--yes", "--format", "json", *ROLE)
    assert outcomes(aws, again.document) == {
        **dict.fromkeys(DEAD, "scheduled"),
        "dead-1": "changed",
    }
    assert "dead-1" in names(aws, "Disabled")


def test_a_cancellation_within_the_hour_is_seen_with_another_journal_too(
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import boto3

    few_references(monkeypatch)

    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    assert keysweep("plan", results(arn)).code == 0
    keysweep("apply", "plan.json", "--yes", "--journal", "one.jsonl")
    boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1")).cancel_key_deletion(KeyId=arn)
    again = keysweep("apply", "plan.json", "--yes", "--journal", "two.jsonl", "--format", "json")
    assert outcomes(aws, again.document) == {"dead-1": "changed"}
    assert "dead-1" in names(aws, "Disabled")


def test_a_rule_whose_exception_has_ended_is_evaluated_on_what_is_true_now(
    tmp_path: Path,
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datetime import UTC, datetime

    import boto3

    few_references(monkeypatch)

    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    today = datetime.fromtimestamp(aws.now(), UTC).date()
    rules = rules_besides("description", "tags", "aliases")
    decided = [*map(lift, sorted(rules)), lift("protected-tag", str(today))]
    state_only.write_text(json.dumps({"version": 1, "exceptions": decided}), encoding="utf-8")
    assert keysweep("plan", results(arn), "--policy", state_only, "--explain").code == 0
    assert json.loads((tmp_path / "plan.json").read_text("utf-8"))["all_reasons"]
    aws.advance(days=1)
    boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1")).tag_resource(
        KeyId=arn, Tags=[{"TagKey": "keysweep:keep", "TagValue": ""}]
    )
    done = keysweep("apply", "plan.json", "--yes", "--format", "json")
    assert outcomes(aws, done.document) == {"dead-1": "changed"}
    assert "dead-1" in names(aws, "Disabled")


def test_cancel_names_the_records_that_it_could_not_use(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path]
) -> None:
    keysweep("apply", planned, "--yes", *ROLE)
    arns = [aws.key_arn(SHOP, "eu-west-1", name) for name in ("dead-1", "dead-2")]
    path = results(*arns)
    records = json.loads(path.read_text("utf-8"))
    for record in records:
        record["metadata"]["event_code"] = "kms_cmk_not_deleted_unintentionally"
    records[1]["cloud"]["account"]["uid"] = "999999999999"
    path.write_text(json.dumps(records), encoding="utf-8")
    done = keysweep("cancel", path, "--yes", "--format", "json")
    assert done.code == 1
    assert outcomes(aws, done.document) == {"dead-1": "cancelled"}
    assert "record 2" in done.err


def test_a_newer_mute_beside_an_older_failure_keeps_the_key(
    aws: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path], state_only: Path
) -> None:
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    path = results(arn)
    (old,) = json.loads(path.read_text("utf-8"))
    new = {**old, "status": "Suppressed", "time": old["time"] + 60}
    path.with_name("new.ocsf.json").write_text(json.dumps([new]), encoding="utf-8")
    done = keysweep("plan", path.parent, "--policy", state_only, "--format", "json")
    assert done.document["items"] == []
