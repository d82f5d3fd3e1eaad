"""A journal in S3 over a bucket in memory: two writers, lost answers, cut listings, damage."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from s3_memory import LOST, Memory, refusal

from keysweep.remediation.errors import RUN_AGAIN, AccessRefused, BadInput, Refused
from keysweep.remediation.interrupt import orderly
from keysweep.remediation.journal import (
    Journal,
    JournalFailed,
    JournalName,
    deletions,
    distinct,
    exists,
    read,
    read_undamaged,
)
from keysweep.remediation.journal import bucket as bucket_module
from keysweep.remediation.journal.s3_lock import LOCK, describe
from keysweep.remediation.journal.s3_store import S3Store, object_name
from keysweep.remediation.models import KeyArn, Outcome
from keysweep.remediation.runner import Stop

NOW = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
ONE = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/1111aaaa-1111-4111-8111-111111111111")
SCHEDULE = "ScheduleKeyDeletion"
CALLER = "arn:aws:sts::111122223333:assumed-role/Operator/anna"
PREFIX = "team/"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "CONFLICT_PAUSES", (0.0, 0.0))


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def store(memory: Memory) -> S3Store:
    return S3Store(JournalName("jrnl", PREFIX), lambda: memory, lambda: CALLER)


def schedule(store: S3Store, outcome: Outcome | None = Outcome.SCHEDULED) -> None:
    with Journal(store) as journal:
        journal.begin(NOW, "apply", plan_digest="sha256:x")
        intent = journal.intent(NOW, SCHEDULE, ONE, pending_window_days=30)
        if outcome is not None:
            journal.outcome(NOW, intent, outcome, deletion_date=NOW)


def line(memory: Memory, number: int) -> bytes:
    return memory.objects[PREFIX + object_name(number)]


def test_one_object_a_line_in_order(store: S3Store, memory: Memory) -> None:
    schedule(store)
    schedule(store, None)
    assert list(memory.objects) == [PREFIX + object_name(n) for n in range(1, 6)]
    assert all(body.count(b"\n") == 1 for body in memory.objects.values())
    history = read([store])
    assert (history.problems, history.notes) == ((), ())
    assert history.journals[store].keys[ONE].open
    assert len(deletions([store])) == 2
    assert str(store) == "s3://jrnl/team/"


def test_an_intent_is_in_the_bucket_when_intent_returns(store: S3Store, memory: Memory) -> None:
    with Journal(store) as journal:
        journal.begin(NOW, "apply")
        intent = journal.intent(NOW, SCHEDULE, ONE)
        assert intent.id.encode() in line(memory, 2)
        assert PREFIX + LOCK in memory.objects


def test_what_was_read_is_read_again_only_if_it_grew(store: S3Store) -> None:
    schedule(store)
    known = read([store])
    with Journal(store, known=known) as journal:
        assert journal.history() is known.journals[store]
    schedule(store)
    with Journal(store, known=known) as journal:
        assert journal.history() is not known.journals[store]


def test_a_new_journal_is_empty_to_a_writer_and_missing_to_a_reader(store: S3Store) -> None:
    assert not exists(store)
    assert read_undamaged(store).keys == {}
    with Journal(store) as journal:
        assert journal.history().keys == {}
    with pytest.raises(BadInput, match=r"s3://jrnl/team/.*--journal"):
        read([store])


# --- the lock ------------------------------------------------------------------------------------


def test_a_second_run_is_refused_and_the_holder_named(store: S3Store, memory: Memory) -> None:
    with Journal(store, run="abc"):
        with pytest.raises(Refused) as refused, Journal(store):
            pass
        assert CALLER in str(refused.value)
        assert f"keysweep journal unlock {store}" in str(refused.value)
        found = store.bucket.get(LOCK)
        assert found is not None
        assert describe(found) in str(refused.value)
        assert b'"run":"abc"' in found.body
    assert memory.objects == {}


def test_a_lock_without_a_holders_name_is_still_a_lock(store: S3Store, memory: Memory) -> None:
    memory.objects[PREFIX + LOCK] = b"{}"
    with pytest.raises(Refused), Journal(store):
        pass
    assert memory.objects == {PREFIX + LOCK: b"{}"}


def test_a_lock_whose_answer_was_lost_is_ours(store: S3Store, memory: Memory) -> None:
    memory.after = [LOST]
    schedule(store)
    assert PREFIX + LOCK not in memory.objects


@pytest.mark.parametrize("error", [LOST, refusal("AccessDenied"), refusal("SlowDown")])
def test_a_lock_that_cannot_be_taken_begins_no_run(
    error: Exception, store: S3Store, memory: Memory
) -> None:
    memory.before = [error]
    with pytest.raises(AccessRefused), Journal(store):
        pass
    assert memory.objects == {}


@pytest.mark.parametrize("code", ["AccessDenied", "SlowDown"])
def test_a_lock_left_behind_is_reported(code: str, store: S3Store, memory: Memory) -> None:
    """With one way out: while the lock is there, the same command is refused."""
    memory.undeletable = refusal(code, "DeleteObject")
    with Journal(store) as journal:
        journal.begin(NOW, "apply")
    assert journal.left_behind is not None
    assert f"keysweep journal unlock {store}" in journal.left_behind
    assert RUN_AGAIN not in journal.left_behind
    assert journal.left_behind.count("Fix: ") == 1
    assert ("s3:DeleteObject" in journal.left_behind) == (code == "AccessDenied")
    assert "kms:" not in journal.left_behind


def test_the_lock_of_another_run_is_not_released(store: S3Store, memory: Memory) -> None:
    with Journal(store) as journal:
        memory.objects[PREFIX + LOCK] = b"{}"
    assert memory.objects == {PREFIX + LOCK: b"{}"}
    assert journal.left_behind is None


def test_the_run_whose_lock_was_removed_makes_no_further_call(
    store: S3Store, memory: Memory
) -> None:
    with Journal(store) as first:
        first.begin(NOW, "apply")
        del memory.objects[PREFIX + LOCK]
        with Journal(store) as second:
            second.begin(NOW, "apply")
            intent = second.intent(NOW, SCHEDULE, ONE)
            with pytest.raises(JournalFailed) as failed:
                first.intent(NOW, SCHEDULE, ONE)
            assert failed.value.kind is Refused
            second.outcome(NOW, intent, Outcome.SCHEDULED)
            with pytest.raises(JournalFailed):
                first.intent(NOW, SCHEDULE, ONE)
    assert read([store]).problems == ()


def test_a_run_that_another_overtook_does_not_begin(store: S3Store, memory: Memory) -> None:
    with Journal(store) as first:
        del memory.objects[PREFIX + LOCK]
        schedule(store)
        with pytest.raises(Refused):
            first.begin(NOW, "apply")
    assert read([store]).problems == ()


# --- writing a line ------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LOST, refusal("InternalError"), refusal("PreconditionFailed")])
def test_a_line_whose_answer_was_lost_is_found_by_its_bytes(
    error: Exception, store: S3Store, memory: Memory
) -> None:
    memory.after = [None, None, error]
    schedule(store)
    assert memory.puts.count(PREFIX + object_name(2)) == 1
    assert len(read([store]).keys) == 1


@pytest.mark.parametrize("error", [LOST, refusal("AccessDenied"), refusal("InternalError")])
def test_a_line_that_was_not_written_fails(
    error: Exception, store: S3Store, memory: Memory
) -> None:
    memory.before = [None, None, error]
    with Journal(store) as journal:
        journal.begin(NOW, "apply")
        for _ in range(2):
            with pytest.raises(JournalFailed, match="s3://jrnl/team/") as failed:
                journal.intent(NOW, SCHEDULE, ONE)
            assert failed.value.fix.count(RUN_AGAIN) == 1
    assert memory.puts.count(PREFIX + object_name(2)) == 1
    assert read([store]).keys == {}


def test_a_lost_answer_that_cannot_be_reconciled_fails(store: S3Store, memory: Memory) -> None:
    """The line may be there, without its call: a later run takes it for an interrupted one."""
    memory.after = [None, None, LOST]
    with Journal(store) as journal:
        journal.begin(NOW, "apply")
        memory.unreadable = LOST
        with pytest.raises(JournalFailed):
            journal.intent(NOW, SCHEDULE, ONE)
        memory.unreadable = None
    assert read([store]).keys[ONE].undecided is not None


def test_a_denied_first_line_exits_with_1(store: S3Store, memory: Memory) -> None:
    memory.before = [None, refusal("AccessDenied")]
    with Journal(store) as journal, pytest.raises(AccessRefused, match="s3:PutObject"):
        journal.begin(NOW, "apply")


@pytest.mark.parametrize(("conflicts", "written"), [(2, True), (3, False)])
def test_writes_at_the_same_time_are_repeated_a_little(
    conflicts: int, written: bool, store: S3Store, memory: Memory
) -> None:
    memory.before = [None, *[refusal("ConditionalRequestConflict")] * conflicts]
    with Journal(store) as journal:
        if written:
            journal.begin(NOW, "apply")
        else:
            with pytest.raises(AccessRefused):
                journal.begin(NOW, "apply")
    assert (PREFIX + object_name(1) in memory.objects) is written


# --- reading -------------------------------------------------------------------------------------


def _lose_the_token(page: dict[str, Any]) -> None:
    page.pop("NextContinuationToken", None)


def _lose_a_name(page: dict[str, Any]) -> None:
    page["Contents"].pop()


def _say_nothing_of_the_end(page: dict[str, Any]) -> None:
    page.pop("IsTruncated")


def _repeat_the_token(page: dict[str, Any]) -> None:
    page["IsTruncated"], page["NextContinuationToken"] = True, "team/"


@pytest.mark.parametrize(
    "change", [_lose_the_token, _lose_a_name, _say_nothing_of_the_end, _repeat_the_token]
)
def test_nothing_is_concluded_from_a_truncated_listing(
    change: Callable[[dict[str, Any]], None], store: S3Store, memory: Memory
) -> None:
    schedule(store)
    memory.change_page = change
    with pytest.raises(AccessRefused):
        read([store])
    with pytest.raises(AccessRefused), Journal(store):
        pass
    assert PREFIX + LOCK not in memory.objects


def test_a_listing_that_ends_early_lets_nothing_be_written(store: S3Store, memory: Memory) -> None:
    """Even if S3 swore that this was all: the next number is taken."""

    def end_early(page: dict[str, Any]) -> None:
        page["IsTruncated"] = False
        page.pop("NextContinuationToken", None)

    schedule(store)
    memory.change_page = end_early
    with Journal(store) as journal, pytest.raises(Refused):
        journal.begin(NOW, "apply")


def _remove(memory: Memory) -> None:
    del memory.objects[PREFIX + object_name(2)]


def _remove_the_first(memory: Memory) -> None:
    del memory.objects[PREFIX + object_name(1)]


def _add_another_object(memory: Memory) -> None:
    memory.objects[f"{PREFIX}lines/notes.txt"] = b"x"


def _cut(memory: Memory) -> None:
    memory.objects[PREFIX + object_name(3)] = line(memory, 3)[:30]


def _cut_the_line_feed(memory: Memory) -> None:
    memory.objects[PREFIX + object_name(3)] = line(memory, 3)[:-1]


def _empty(memory: Memory) -> None:
    memory.objects[PREFIX + object_name(2)] = b""


def _add_a_line(memory: Memory) -> None:
    memory.objects[PREFIX + object_name(2)] += line(memory, 3)


def _repeat(memory: Memory) -> None:
    memory.objects[PREFIX + object_name(4)] = line(memory, 2)


@pytest.mark.parametrize(
    "damage",
    [
        *(_remove, _remove_the_first, _add_another_object, _cut, _cut_the_line_feed),
        *(_empty, _add_a_line, _repeat),
    ],
)
def test_damage_is_named_and_nothing_is_added_to_it(
    damage: Callable[[Memory], None], store: S3Store, memory: Memory
) -> None:
    schedule(store)
    damage(memory)
    history = read([store])
    assert history.problems
    assert all(one.startswith("s3://jrnl/team/: ") for one in history.problems)
    assert history.notes == ()
    with pytest.raises(BadInput):
        read_undamaged(store)


def test_an_object_of_another_size_than_listed_is_not_read(store: S3Store, memory: Memory) -> None:
    def shrink(page: dict[str, Any]) -> None:
        page["Contents"][0]["Size"] += 1

    schedule(store)
    memory.change_page = shrink
    with pytest.raises(AccessRefused):
        read([store])


def test_a_line_that_cannot_be_read_is_an_error(store: S3Store, memory: Memory) -> None:
    schedule(store)
    memory.unreadable = refusal("AccessDenied", "GetObject")
    with pytest.raises(AccessRefused, match="s3:GetObject"):
        read([store])


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("s3://jrnl", "s3://jrnl/"),
        ("s3://jrnl/", "s3://jrnl/"),
        ("s3://jrnl/a/b", "s3://jrnl/a/b/"),
        ("s3://jrnl/a/b/", "s3://jrnl/a/b/"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert str(JournalName.parse(text)) == name


@pytest.mark.parametrize("text", ["s3://", "s3:///a", "s3://UPPER/", "s3://jrnl/a//b", "s3://j/\n"])
def test_names_of_no_journal(text: str) -> None:
    with pytest.raises(BadInput):
        JournalName.parse(text)


def test_a_journal_named_twice_is_read_once(store: S3Store, memory: Memory) -> None:
    again = S3Store(JournalName.parse("s3://jrnl/team"), lambda: memory)
    assert distinct([store, again]) == (store,)


# --- Ctrl-C ---------------------------------------------------------------------------------------


class Ended(BaseException):
    """The process has ended."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_code: int) -> None:
        raise Ended

    monkeypatch.setattr(os, "_exit", end)


@pytest.mark.usefixtures("ends")
def test_stopped_at_once_it_names_the_command_that_removes_the_lock(
    store: S3Store, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with orderly(Stop(), [tmp_path / "journal.jsonl", store]):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Ended):
            signal.raise_signal(signal.SIGINT)
    first, second = capfd.readouterr().err.splitlines()
    assert "unlock" not in first
    assert f"journal unlock {store}, then {RUN_AGAIN}" in second
    assert second.count("unlock") == 1


@pytest.mark.usefixtures("ends")
def test_a_closed_terminal_hinders_no_interruption(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_descriptor: int, _text: bytes) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", closed)
    stop = Stop()
    with orderly(stop, [store]):
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        with pytest.raises(Ended):
            signal.raise_signal(signal.SIGTERM)
