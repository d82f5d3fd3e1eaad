"""Every command that takes `--journal`, with a journal in S3."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from command_runs import Done
from s3_stages import BUCKET, NAME, make_bucket
from scenarios import DEAD, SHOP

from documents.iam import YOUR_BUCKET, iam_policies
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.journal.bucket import Bucket
from keysweep.remediation.journal.s3_lock import LOCK
from keysweep.remediation.journal.s3_store import object_name

ROLE = ("--role-name", "KeysweepOperator")
JSON = ("--format", "json")
JOURNAL = ("--journal", NAME)
HOLDER = {
    "run": "abc",
    "caller": "arn:aws:sts::111122223333:assumed-role/Operator/anna",
    "host": "build-7",
    "process": 4711,
    "since": "2026-11-30T02:00:00Z",
}
Command = Callable[..., Done]


@pytest.fixture
def bucket(aws: EmbeddedAws) -> Any:
    return make_bucket(aws)


def outcomes(done: Done) -> set[str]:
    return {row["outcome"] for row in done.document["results"]}


def keys_in(bucket: Any) -> list[str]:
    return [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", ())]


def test_from_apply_to_undo(
    aws: EmbeddedAws,
    bucket: Any,
    keysweep: Command,
    planned: Path,
    state_only: Path,
    tmp_path: Path,
) -> None:
    nothing = keysweep("status", *JOURNAL, *ROLE)
    assert (nothing.code, NAME in nothing.err) == (2, True)

    applied = keysweep("apply", planned, "--yes", *JOURNAL, *ROLE, *JSON)
    assert (applied.code, outcomes(applied)) == (0, {"scheduled"}), applied.err
    assert keys_in(bucket) == [f"team/{object_name(n)}" for n in range(1, 12)]
    assert not (tmp_path / "keysweep-journal.jsonl").exists()
    first = bucket.get_object(Bucket=BUCKET, Key=f"team/{object_name(1)}")["Body"].read()
    assert json.loads(first)["caller"].startswith(f"arn:aws:iam::{SHOP}:")

    shown = keysweep("status", *JOURNAL, *ROLE, *JSON)
    assert (shown.code, shown.document["pending"]) == (0, 5)
    watched = keysweep("guard", "--policy", state_only, *JOURNAL, *ROLE, *JSON)
    assert (watched.code, len(watched.out.splitlines())) == (0, 5), watched.err
    assert keys_in(bucket)[-1] == f"team/{object_name(12)}"
    muted = keysweep("mutelist", *JOURNAL, *ROLE, *JSON)
    assert (muted.code, len(muted.document["Mutelist"]["Accounts"])) == (0, 2)
    again = keysweep(
        *("plan", "--key", aws.key_arn(SHOP, "eu-west-1", "kept"), *JOURNAL, *ROLE, *JSON),
        *("--policy", state_only, "--out", "other.json"),
    )
    assert again.code == 0, again.err

    undone = keysweep("cancel", *JOURNAL, "--yes", *ROLE, *JSON)
    assert (undone.code, outcomes(undone)) == (0, {"cancelled"}), undone.err
    audit = keysweep("status", *JOURNAL, *ROLE, "--all", *JSON)
    assert len(audit.document["audit"]) == 5
    assert "team/lock.json" not in keys_in(bucket)


def test_the_next_steps_name_the_journal(bucket: Any, keysweep: Command, planned: Path) -> None:
    applied = keysweep("apply", planned, "--yes", *JOURNAL, *ROLE)
    for command in ("status", "guard", "cancel"):
        assert f"keysweep {command} --journal {NAME}" in applied.out


def test_a_lock_names_its_holder_until_a_person_removes_it(
    aws: EmbeddedAws, bucket: Any, keysweep: Command, planned: Path
) -> None:
    bucket.put_object(Bucket=BUCKET, Key="team/lock.json", Body=json.dumps(HOLDER))
    refused = keysweep("apply", planned, "--yes", *JOURNAL, *ROLE)
    assert refused.code == 3
    for word in (HOLDER["caller"], "build-7", "4711", "2026-11-30", "keysweep journal unlock"):
        assert str(word) in refused.err
    assert aws.calls(operation="ScheduleKeyDeletion") == []

    done = keysweep("journal", "unlock", NAME)
    assert (done.code, "--yes" in done.err, "build-7" in done.err) == (2, True, True)
    assert "team/lock.json" in keys_in(bucket)
    assert keysweep("journal", "unlock", NAME, "--yes").code == 0
    assert keys_in(bucket) == []
    assert keysweep("journal", "unlock", NAME, "--yes").code == 0
    assert keysweep("apply", planned, "--yes", *JOURNAL, *ROLE).code == 0


@pytest.fixture
def as_a_process() -> Iterator[None]:
    """SIGTERM as the console script handles it."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("as_a_process")
@pytest.mark.parametrize("request_name", ["put_new", "delete"])
def test_a_signal_leaves_no_lock_behind(
    request_name: str,
    bucket: Any,
    keysweep: Command,
    planned: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It ends the run in order, also while the lock is taken or released."""
    request, signalled = getattr(Bucket, request_name), []

    def with_signal(self: Bucket, key: str, *more: Any) -> Any:
        answer = request(self, key, *more) if request_name == "put_new" else None
        if key == LOCK:
            signalled.append(key)
            signal.raise_signal(signal.SIGTERM)
        return request(self, key, *more) if answer is None else answer

    monkeypatch.setattr(Bucket, request_name, with_signal)
    keysweep("apply", planned, "--yes", *ROLE, *JOURNAL)
    assert signalled == [LOCK]
    assert "team/lock.json" not in keys_in(bucket)


def test_a_file_has_no_lock_to_remove(keysweep: Command) -> None:
    done = keysweep("journal", "unlock", "journal.jsonl", "--yes")
    assert (done.code, "journal.jsonl" in done.err) == (2, True)


def test_a_locked_journal_leaves_the_check_of_guard_unrecorded(
    bucket: Any, keysweep: Command, planned: Path, state_only: Path
) -> None:
    keysweep("apply", planned, "--yes", *JOURNAL, *ROLE)
    bucket.put_object(Bucket=BUCKET, Key="team/lock.json", Body=json.dumps(HOLDER))
    watched = keysweep("guard", "--policy", state_only, *JOURNAL, *ROLE, *JSON)
    assert (len(watched.out.splitlines()), "build-7" in watched.err) == (5, True)
    assert f"team/{object_name(12)}" not in keys_in(bucket)


def test_a_missing_line_is_damage(
    aws: EmbeddedAws, bucket: Any, keysweep: Command, planned: Path
) -> None:
    keysweep("apply", planned, "--yes", *JOURNAL, *ROLE)
    bucket.delete_object(Bucket=BUCKET, Key=f"team/{object_name(3)}")
    shown = keysweep("status", *JOURNAL, *ROLE, *JSON)
    assert (shown.code, len(shown.document["problems"]) > 0) == (1, True)
    called = len(aws.calls(operation="ScheduleKeyDeletion"))
    assert keysweep("apply", planned, "--yes", *JOURNAL, *ROLE).code == 2
    assert len(aws.calls(operation="ScheduleKeyDeletion")) == called
    assert keysweep("cancel", *JOURNAL, "--yes", *ROLE, *JSON).code in {0, 1}


@pytest.mark.parametrize(
    "name",
    [
        *("s3://no-such-bucket-here/a/", "s3://UPPER/", "s3://", f"s3:{BUCKET}", f"S3://{BUCKET}/"),
        *(f"arn:aws:s3:::{BUCKET}", f"https://{BUCKET}.s3.amazonaws.com/team/"),
    ],
)
def test_a_name_of_no_journal_is_refused(
    name: str, bucket: Any, aws: EmbeddedAws, keysweep: Command, planned: Path
) -> None:
    done = keysweep("apply", planned, "--yes", "--journal", name, *ROLE)
    assert (done.code, name in done.err) == (2, True)
    assert not list(planned.parent.glob("*:*"))
    assert aws.calls(operation="ScheduleKeyDeletion") == []


def test_the_generated_document_is_enough_and_deletes_no_line(
    scenario: Callable[..., EmbeddedAws],
    keysweep: Command,
    results: Callable[..., Path],
    state_only: Path,
) -> None:
    policies = iam_policies()
    text = json.dumps(policies["journal-bucket"]).replace(YOUR_BUCKET, BUCKET)
    document = json.loads(text)
    deletes = [s for s in document["Statement"] if "s3:DeleteObject" in s["Action"]]
    assert [one["Resource"] for one in deletes] == [[f"arn:aws:s3:::{BUCKET}/*lock.json"]]
    keys = {"regions": {"eu-west-1": {"keys": [{"name": "dead-1", **DEAD}]}}}
    fill = {"Statement": [{"Effect": "Allow", "Resource": "*",
                           "Action": ["s3:CreateBucket", "s3:PutBucketVersioning"]}]}  # fmt: skip
    tasks = [policies["plan"], policies["apply"], policies["cancel"], fill]
    for allowed, code in (([document], 0), ([], 1)):
        aws = scenario({SHOP: {**keys, "policies": [*tasks, *allowed]}})
        bucket = make_bucket(aws)
        plan = keysweep("plan", results(), "--policy", state_only)
        assert plan.code == 0, plan.err
        applied = keysweep("apply", "plan.json", "--yes", *JOURNAL)
        assert applied.code == code, applied.err
        assert len(aws.calls(operation="ScheduleKeyDeletion")) == 1 - code
        if code == 0:
            for refused in (bucket.delete_object, partial(bucket.put_object, Body=b"{}")):
                with pytest.raises(ClientError, match="AccessDenied"):
                    refused(Bucket=BUCKET, Key=f"team/{object_name(1)}")
            assert keysweep("cancel", *JOURNAL, "--yes").code == 0
        else:
            assert "journal-bucket.json" in applied.err


def test_a_journal_changes_hands(
    aws: EmbeddedAws, bucket: Any, keysweep: Command, planned: Path, tmp_path: Path
) -> None:
    applied = keysweep("apply", planned, "--yes", "--journal", "mine.jsonl", *ROLE)
    assert applied.code == 0, applied.err
    handed = keysweep("journal", "copy", "mine.jsonl", NAME)
    assert (handed.code, NAME in handed.err) == (0, True), handed.err
    assert keysweep("journal", "copy", "mine.jsonl", NAME).code == 2
    shown = keysweep("status", *JOURNAL, *ROLE, *JSON)
    assert (shown.code, shown.document["pending"]) == (0, 5)
    again = keysweep("apply", planned, "--yes", *JOURNAL, *ROLE, *JSON)
    assert outcomes(again) == {"scheduled"}
    assert len(aws.calls(operation="ScheduleKeyDeletion")) == 5

    assert keysweep("journal", "copy", NAME, "back.jsonl").code == 0
    undone = keysweep("cancel", "--journal", "back.jsonl", "--yes", *ROLE, *JSON)
    assert (undone.code, outcomes(undone)) == (0, {"cancelled"}), undone.err

    bucket.put_object(Bucket=BUCKET, Key="team/lock.json", Body=json.dumps(HOLDER))
    locked = keysweep("journal", "copy", NAME, "other.jsonl")
    assert (locked.code, "build-7" in locked.err) == (3, True)
    assert not (tmp_path / "other.jsonl").exists()
    absent = keysweep("journal", "copy", "absent.jsonl", "s3://audit-journal/else/")
    assert (absent.code, "absent.jsonl" in absent.err) == (2, True)
