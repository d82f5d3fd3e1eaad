"""`keysweep journal rebuild`: restore a lost journal from CloudTrail and AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from command_runs import Done
from s3_stages import BUCKET, NAME, make_bucket

from documents.iam import iam_policies
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.errors import RUN_AGAIN
from keysweep.remediation.journal.s3_store import object_name

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
WHERE = ("--region", "eu-west-1", *ROLE)
JSON = ("--format", "json")
JOURNAL = "keysweep-journal.jsonl"
REBUILT = "rebuilt.jsonl"
REBUILD = ("journal", "rebuild", REBUILT, "--yes", *JSON, *WHERE)
DEAD = ("dead-1", "dead-2")
Command = Callable[..., Done]


def arn(aws: EmbeddedAws, name: str) -> str:
    return aws.key_arn(SHOP, "eu-west-1", name)


def schedule(aws: EmbeddedAws, name: str) -> None:
    """A colleague schedules a deletion without Keysweep."""
    kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
    kms.schedule_key_deletion(KeyId=arn(aws, name), PendingWindowInDays=30)


def decisions(done: Done) -> dict[str, tuple[str, str | None]]:
    """Decision and reason of each key, by key ARN."""
    return {row["key_arn"]: (row["decision"], row["reason"]) for row in done.document["rows"]}


@pytest.fixture
def lost(aws: EmbeddedAws, keysweep: Command, state_only: Path, tmp_path: Path) -> EmbeddedAws:
    """Two keys that were applied, one that a colleague scheduled, and no journal any more."""
    keys = [part for name in DEAD for part in ("--key", arn(aws, name))]
    assert keysweep("plan", *keys, "--policy", state_only, *ROLE).code == 0
    assert keysweep("apply", "plan.json", "--yes", *ROLE).code == 0
    schedule(aws, "dead-3")
    (tmp_path / JOURNAL).unlink()
    return aws


def test_the_rebuilt_journal_restores_exactly_the_batch(
    lost: EmbeddedAws, keysweep: Command, state_only: Path
) -> None:
    done = keysweep(*REBUILD)
    assert done.code == 0, done.err
    foreign = ("left_out", "another-caller")
    assert decisions(done) == {
        **{arn(lost, name): ("rebuilt", None) for name in DEAD},
        arn(lost, "dead-3"): foreign,
        arn(lost, "pending"): foreign,
    }
    for row in done.document["rows"]:
        ours = row["decision"] == "rebuilt"
        assert (row["user_agent"] or "").startswith("keysweep/") is ours
        assert row["caller"].startswith(f"arn:aws:iam::{SHOP}:")
        assert {row["event_id"], row["scheduled_at"], row["source"]}.isdisjoint({None, ""})
    assert done.document["written"] is True

    shown = keysweep("status", "--journal", REBUILT, *ROLE, *JSON)
    assert {row["key_arn"] for row in shown.document["rows"]} == {arn(lost, n) for n in DEAD}
    for row in shown.document["rows"]:
        assert (row["situation"], row["rebuilt"], row["unwatched"]) == ("ours", True, True)
    assert (shown.code, len(shown.document["notes"])) == (1, 1)

    watched = keysweep("guard", "--journal", REBUILT, "--policy", state_only, *ROLE, *JSON)
    assert (watched.code, len(watched.out.splitlines())) == (0, 2), watched.err
    assert keysweep("status", "--journal", REBUILT, *ROLE, *JSON).code == 0
    muted = keysweep("mutelist", "--journal", REBUILT, *ROLE, *JSON)
    checks = muted.document["Mutelist"]["Accounts"][SHOP]["Checks"]
    muted_keys = [one for check in checks.values() for one in check["Resources"]]
    assert len(muted_keys) == 2

    undone = keysweep("cancel", "--journal", REBUILT, "--yes", *ROLE, *JSON)
    assert {row["outcome"] for row in undone.document["results"]} == {"cancelled"}
    assert {key["arn"] for key in lost.keys(state="PendingDeletion")} == {
        arn(lost, "dead-3"),
        arn(lost, "pending"),
    }


def test_without_the_plan_every_use_in_the_history_counts_again(
    aws: EmbeddedAws, keysweep: Command, state_only: Path, tmp_path: Path
) -> None:
    """Nothing says when the lost run looked, so that guard looks as far back as it can."""
    key = arn(aws, "dead-1")
    kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
    with pytest.raises(kms.exceptions.DisabledException):
        kms.encrypt(KeyId=key, Plaintext=b"x")
    aws.advance(hours=2)
    keysweep("plan", "--key", key, "--policy", state_only, *ROLE)
    keysweep("apply", "plan.json", "--yes", *ROLE)
    with_plan = ("journal", "rebuild", "with-plan.jsonl", "--plan", "plan.json", "--yes", *ROLE)
    assert (keysweep(*REBUILD).code, keysweep(*with_plan).code) == (0, 0)
    found = {}
    for journal in (JOURNAL, "with-plan.jsonl", REBUILT):
        done = keysweep("guard", "--journal", journal, "--policy", state_only, *ROLE, *JSON)
        (row,) = map(json.loads, done.out.splitlines())
        found[journal] = row["in_use"]
    assert found == {JOURNAL: False, "with-plan.jsonl": False, REBUILT: True}

    line = json.loads((tmp_path / REBUILT).read_text(encoding="utf-8").splitlines()[0])
    assert "plan_digest" not in line
    for one in line["keys"]:
        assert not {"owner", "alias", "monthly_cost_usd", "exceptions"} & {*one}


def test_a_plan_limits_the_rebuild_and_adds_what_it_knows(
    lost: EmbeddedAws, keysweep: Command, state_only: Path, tmp_path: Path
) -> None:
    digest = json.loads((tmp_path / "plan.json").read_text(encoding="utf-8"))["digest"]
    one = ("--key", arn(lost, "dead-1"), "--key", aws_far(lost))
    keysweep("plan", *one, "--policy", state_only, *ROLE, "--out", "other.json")
    lost.clear_calls()
    done = keysweep("journal", "rebuild", REBUILT, "--plan", "plan.json", "--yes", *JSON, *ROLE)
    assert done.code == 0, done.err
    assert lost.calls(operation="ListKeys") == []
    assert decisions(done) == {arn(lost, name): ("rebuilt", None) for name in DEAD}
    assert done.document["plan_digest"] == digest
    audit = keysweep("status", "--all", "--journal", REBUILT, *ROLE, *JSON).document
    assert {(row["plan_digest"], row["rebuilt"]) for row in audit["audit"]} == {(digest, True)}
    assert {row["alias"] for row in audit["rows"]} == {"alias/dead-1", "alias/dead-2"}
    assert {row["monthly_cost_usd"] for row in audit["rows"]} == {1.0}

    # Later than the deletions, and one key is not pending at all.
    other = keysweep("journal", "rebuild", "b.jsonl", "--plan", "other.json", "--yes", *JSON, *ROLE)
    assert (other.code, other.document["written"]) == (0, False)
    assert not (tmp_path / "b.jsonl").exists()


def aws_far(aws: EmbeddedAws) -> str:
    return aws.key_arn(SHOP, "us-east-1", "dead-far")


def test_a_rerun_of_apply_knows_the_keys_of_the_rebuilt_plan(
    lost: EmbeddedAws, keysweep: Command
) -> None:
    keysweep("journal", "rebuild", REBUILT, "--plan", "plan.json", "--yes", *ROLE)
    again = keysweep("apply", "plan.json", "--yes", "--journal", REBUILT, *ROLE, *JSON)
    assert {row["outcome"] for row in again.document["results"]} == {"scheduled"}
    assert len(lost.calls(operation="ScheduleKeyDeletion")) == 3


def test_an_event_that_is_late_leaves_its_key_undetermined(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    lost.delay_trail(minutes=15)
    done = keysweep(*REBUILD)
    late = {arn(lost, name) for name in (*DEAD, "dead-3")}
    undetermined = {key for key, (kind, _) in decisions(done).items() if kind == "undetermined"}
    assert (done.code, undetermined) == (1, late)
    assert {decisions(done)[key][1] for key in late} == {"no-event"}
    assert not (tmp_path / REBUILT).exists()
    lost.advance(hours=0.3)
    assert keysweep(*REBUILD).code == 0


def test_a_deletion_cancelled_and_scheduled_again_by_others_is_theirs(
    lost: EmbeddedAws, keysweep: Command
) -> None:
    kms = boto3.client("kms", **lost.client_arguments(SHOP, "eu-west-1"))
    lost.advance(seconds=60)
    kms.cancel_key_deletion(KeyId=arn(lost, "dead-1"))
    schedule(lost, "dead-1")
    done = keysweep(*REBUILD)
    assert decisions(done)[arn(lost, "dead-1")] == ("left_out", "another-caller")
    undone = keysweep("cancel", "--journal", REBUILT, "--yes", *ROLE, *JSON)
    assert [row["key_arn"] for row in undone.document["results"]] == [arn(lost, "dead-2")]


@pytest.mark.parametrize("kind", ["deny", "truncate", "truncate_valid_length", "error_500"])
def test_a_history_that_cannot_be_read_makes_its_keys_unreadable(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path, kind: str
) -> None:
    lost.fault(kind, service="cloudtrail", operation="LookupEvents", times=None)
    done = keysweep(*REBUILD)
    assert done.code == 1
    assert {*decisions(done).values()} == {("undetermined", "history-unreadable")}
    assert len(decisions(done)) == 4
    for row in done.document["rows"]:
        assert ("allow cloudtrail:LookupEvents" in row["message"]) == (kind == "deny")
    assert not (tmp_path / REBUILT).exists()


def test_a_key_that_cannot_be_read_is_named(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    key = arn(lost, "alive")
    lost.fault("deny", operation="DescribeKey", key=key, times=None)
    done = keysweep(*REBUILD)
    assert (done.code, decisions(done)[key]) == (1, ("undetermined", "key-unreadable"))
    assert done.document["written"] is True
    line = json.loads((tmp_path / REBUILT).read_text(encoding="utf-8"))
    assert line["undetermined"] == [key]


def test_an_account_that_cannot_be_read_is_named(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    both = ("--account", SHOP, "--account", DATA)
    lost.fault("deny", operation="ListKeys", account=DATA, times=None)
    done = keysweep(*REBUILD, *both)
    unread = [(one["account_id"], one["region"]) for one in done.document["unread"]]
    assert (done.code, unread) == (1, [(DATA, "eu-west-1")])
    assert [kind for kind, _ in decisions(done).values()].count("rebuilt") == 2
    line = json.loads((tmp_path / REBUILT).read_text(encoding="utf-8"))
    assert (line["read"], line["unread"]) == ([f"{SHOP} eu-west-1"], [f"{DATA} eu-west-1"])
    entered = keysweep("journal", "rebuild", "c.jsonl", "--yes", *WHERE[:2], *both, *JSON)
    assert (entered.code, len(entered.document["unread"])) == (1, 1)


def test_accounts_are_entered_with_the_role(lost: EmbeddedAws, keysweep: Command) -> None:
    done = keysweep(*REBUILD, "--account", SHOP, "--account", DATA)
    assert (done.code, done.document["unread"]) == (0, []), done.err


def test_in_a_bucket(lost: EmbeddedAws, keysweep: Command) -> None:
    bucket = make_bucket(lost)
    command = ("journal", "rebuild", NAME, "--yes", *JSON, *WHERE)
    done = keysweep(*command)
    assert (done.code, done.document["journal"]) == (0, NAME), done.err
    keys = [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == [f"team/{object_name(1)}"]
    assert keysweep(*command).code == 2
    undone = keysweep("cancel", "--journal", NAME, "--yes", *ROLE, *JSON)
    assert {row["outcome"] for row in undone.document["results"]} == {"cancelled"}


@pytest.mark.parametrize("content", ['{"version":1,"line":"run"}\n', "notes\n"])
def test_what_exists_is_never_replaced(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path, content: str
) -> None:
    (tmp_path / REBUILT).write_text(content, encoding="utf-8")
    lost.clear_calls()
    done = keysweep(*REBUILD)
    assert (done.code, REBUILT in done.err, len(lost.calls())) == (2, True, 0)
    assert (tmp_path / REBUILT).read_text(encoding="utf-8") == content


def test_a_rebuilt_journal_is_not_rebuilt_again(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    keysweep(*REBUILD)
    before = (tmp_path / REBUILT).read_bytes()
    assert keysweep(*REBUILD).code == 2
    assert (tmp_path / REBUILT).read_bytes() == before


def test_a_second_rebuild_takes_the_part_of_an_incomplete_one(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    """The first one stays as it is, and both runs name what to do: another name, used alone."""
    command = ("journal", "rebuild", REBUILT, "--yes", *WHERE)
    lost.fault("deny", operation="DescribeKey", key=arn(lost, "dead-1"), times=None)
    first = keysweep(*command)
    assert (first.code, f"place of {REBUILT}" in " ".join(first.out.split())) == (1, True)
    lost.clear_faults()
    again = keysweep(*command)
    assert (again.code, "rebuilt before" in again.err) == (2, True)
    second = keysweep("journal", "rebuild", "second.jsonl", "--yes", *WHERE)
    assert (second.code, "place of" in second.out) == (0, False)
    keys = [
        {one["key_arn"] for one in json.loads((tmp_path / name).read_text("utf-8"))["keys"]}
        for name in (REBUILT, "second.jsonl")
    ]
    assert keys == [{arn(lost, "dead-2")}, {arn(lost, name) for name in DEAD}]

    lost.fault("deny", service="cloudtrail", operation="LookupEvents", times=None)
    nothing = keysweep("journal", "rebuild", "third.jsonl", "--yes", *WHERE)
    assert (nothing.code, RUN_AGAIN in " ".join(nothing.out.split())) == (1, True)


def test_without_a_terminal_it_asks_for_yes(
    lost: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    done = keysweep("journal", "rebuild", REBUILT, *WHERE)
    assert (done.code, "--yes" in done.err) == (2, True)
    assert not (tmp_path / REBUILT).exists()


def test_the_table_names_caller_time_and_address_of_each_key(
    lost: EmbeddedAws, keysweep: Command
) -> None:
    done = keysweep("journal", "rebuild", REBUILT, "--yes", *WHERE, COLUMNS="400")
    rows = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    for name in DEAD:
        row = rows[arn(lost, name).rsplit("/", 1)[-1]]
        assert f"arn:aws:iam::{SHOP}:" in row
        assert "UTC" in row
        assert "keysweep/" in row
    assert arn(lost, "dead-3").rsplit("/", 1)[-1] in rows


def test_with_the_permissions_of_guard_alone(
    scenario: Callable[..., EmbeddedAws], keysweep: Command
) -> None:
    pending: dict[str, Any] = {"state": "PendingDeletion", "scheduled_days_ago": 3}
    keys = {"keys": [{"name": "theirs", **pending}, {"name": "alive"}]}
    roles = {"KeysweepGuard": {"policies": [iam_policies()["guard"]]}}
    aws = scenario(
        {
            SHOP: {"regions": {"eu-west-1": keys}, "roles": roles},
            DATA: {"regions": ["eu-west-1"]},
        }
    )
    role = ("--role-name", "KeysweepGuard", "--account", SHOP, "--region", "eu-west-1")
    done = keysweep("journal", "rebuild", REBUILT, "--yes", *role, *JSON, account=DATA)
    assert done.code == 0, done.err
    assert decisions(done) == {arn(aws, "theirs"): ("left_out", "another-caller")}
