"""A journal is copied whole, or not at all, whenever the copy is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from s3_memory import Memory, refusal

from keysweep.remediation.errors import AccessRefused, BadInput, Refused
from keysweep.remediation.journal import (
    Journal,
    JournalName,
    Location,
    copy,
    deletions,
    read,
    read_undamaged,
)
from keysweep.remediation.journal.lines import encode
from keysweep.remediation.journal.reader import lines
from keysweep.remediation.journal.s3_lock import LOCK
from keysweep.remediation.journal.s3_store import S3Store, object_name
from keysweep.remediation.journal.store import JournalExists
from keysweep.remediation.models import KeyArn, Outcome

NOW = datetime(2026, 11, 30, 2, 0, tzinfo=UTC)
KEYS = [
    KeyArn.parse(f"arn:aws:kms:eu-west-1:111122223333:key/1111aaaa-1111-4111-8111-11111111111{n}")
    for n in range(3)
]


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Mortal:
    """A client whose process is killed at a request, before S3 gets it or after."""

    memory: Memory
    at: int
    sent: bool
    requests: Iterator[int] = field(default_factory=count)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            number = next(self.requests)
            if number > self.at or (number == self.at and not self.sent):
                raise Killed
            answer = getattr(self.memory, name)(**parameters)
            if number == self.at:
                raise Killed
            return answer

        return call


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A journal with a decided and an open intent, and a torn last line."""
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply", plan_digest="sha256:x")
        for second, arn in enumerate(KEYS):
            now = NOW + timedelta(seconds=2 * second)
            intent = journal.intent(now, "ScheduleKeyDeletion", arn, pending_window_days=30)
            if arn != KEYS[-1]:
                now += timedelta(seconds=1)
                journal.outcome(now, intent, Outcome.SCHEDULED, deletion_date=NOW)
    with path.open("ab") as file:
        file.write(b'{"version":1,"line":"outc')
    return path


def in_s3(client: object) -> S3Store:
    return S3Store(JournalName("jrnl", "team/"), lambda: client)


def text(journal: Location) -> list[bytes]:
    return [encode(line) for line in lines([journal])]


def unlock(memory: Memory) -> None:
    memory.objects.pop(f"team/{LOCK}", None)


def test_to_s3_and_back(source: Path, tmp_path: Path) -> None:
    before, memory, back = source.read_bytes(), Memory(), tmp_path / "back.jsonl"
    assert copy(source, in_s3(memory)) == (6, None)
    assert copy(in_s3(memory), back) == (6, None)
    assert source.read_bytes() == before
    assert back.read_bytes() == before[: before.rindex(b"\n") + 1]
    assert back.stat().st_mode & 0o777 == 0o600
    assert list(memory.objects) == [f"team/{object_name(n)}" for n in (*range(2, 7), 1)]
    for one in (in_s3(memory), back):
        history = read_undamaged(one)
        assert history.keys == read([source]).keys
        assert history.keys[KEYS[-1]].open


@pytest.mark.parametrize("sent", [False, True])
def test_a_copy_to_s3_killed_at_any_request(sent: bool, source: Path) -> None:
    seen = set()
    for at in count():
        memory = Memory()
        try:
            copy(source, in_s3(Mortal(memory, at, sent)))
        except Killed:
            pass
        else:
            break
        written = [name for name in memory.objects if LOCK not in name]
        whole = len(written) == 6
        seen.add(len(written))
        if written and not whole:
            assert read([in_s3(memory)]).problems
            with pytest.raises(BadInput):
                read_undamaged(in_s3(memory))
        if f"team/{LOCK}" in memory.objects:
            with pytest.raises(Refused):
                copy(source, in_s3(memory))
        unlock(memory)
        if whole:
            with pytest.raises(JournalExists):
                copy(source, in_s3(memory))
        else:
            copy(source, in_s3(memory))
        assert text(in_s3(memory)) == text(source)
    assert {0, 1, 5} <= seen


@pytest.mark.parametrize("call", ["fsync", "link", "unlink"])
@pytest.mark.parametrize("done", [False, True])
def test_a_copy_to_a_file_killed_at_any_step(
    call: str, done: bool, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, target = Memory(), tmp_path / "copy.jsonl"
    copy(source, in_s3(memory))
    real = getattr(os, call)

    def killed(*arguments: Any, **options: Any) -> None:
        if done:
            real(*arguments, **options)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, call, killed)
        with pytest.raises(Killed):
            copy(in_s3(memory), target)
    assert target.exists() == (call != "fsync" and (call, done) != ("link", False))
    if not target.exists():
        assert copy(in_s3(memory), target) == (6, None)
    assert text(target) == text(source)


@pytest.mark.parametrize("content", [b"", b"x", b'{"version":1,"line":"run"}\n'])
def test_a_file_that_exists_is_left_alone(content: bytes, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "there.jsonl"
    target.write_bytes(content)
    with pytest.raises(BadInput, match=r"there\.jsonl"):
        copy(source, target)
    assert target.read_bytes() == content
    with pytest.raises(JournalExists):
        copy(source, source)


@pytest.mark.parametrize("number", [1, 3, 7])
@pytest.mark.parametrize("name", ["{}", "lines/notes.txt"])
def test_a_bucket_with_other_lines_is_left_alone(number: int, name: str, source: Path) -> None:
    memory = Memory({f"team/{name.format(object_name(number))}": b"{}\n"})
    with pytest.raises(BadInput):
        copy(source, in_s3(memory))
    assert f"team/{object_name(1)}" not in memory.objects or number == 1
    assert b"{}\n" in memory.objects.values()
    assert f"team/{LOCK}" not in memory.objects


def test_what_cannot_be_copied(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.jsonl"
    with pytest.raises(BadInput, match=r"absent\.jsonl"):
        copy(tmp_path / "absent.jsonl", target)
    assert not (tmp_path / "absent.jsonl").exists()
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    with pytest.raises(BadInput, match=r"empty\.jsonl"):
        copy(empty, target)
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_bytes(b"".join(source.read_bytes().splitlines(keepends=True)[1:]))
    with pytest.raises(BadInput, match=r"damaged\.jsonl"):
        copy(damaged, target)
    with Journal(source), pytest.raises(Refused):
        copy(source, target)
    with Journal(in_s3(memory := Memory())), pytest.raises(Refused):
        copy(source, in_s3(memory))
    assert not target.exists()


def test_no_message_names_an_option_that_copy_lacks(source: Path, tmp_path: Path) -> None:
    foreign, damaged = tmp_path / "foreign.jsonl", tmp_path / "damaged.jsonl"
    foreign.write_bytes(b"[]\n")
    damaged.write_bytes(b"".join(source.read_bytes().splitlines(keepends=True)[1:]))
    link = tmp_path / "link.jsonl"
    link.symlink_to(source)
    for unusable in (tmp_path / "absent.jsonl", foreign, damaged, link):
        with pytest.raises(BadInput, match=f"{unusable}.*Fix: ") as refused:
            copy(unusable, tmp_path / "copy.jsonl")
        assert "--" not in str(refused.value)


@dataclass
class Losing:
    """A client of a bucket that loses a line at a request."""

    memory: Memory
    at: int
    requests: Iterator[int] = field(default_factory=count)
    lost: bool = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if next(self.requests) == self.at:
                self.lost = True
                del self.memory.objects[f"team/{object_name(3)}"]
            return getattr(self.memory, name)(**parameters)

        return call


def test_a_source_that_loses_a_line_is_copied_whole_or_not_at_all(source: Path) -> None:
    copied = set()
    for at in count():
        client, target = Losing(Memory(), at), Memory()
        copy(source, in_s3(client.memory))
        try:
            copy(in_s3(client), in_s3(target))
        except BadInput:
            assert not target.objects
            copied.add(False)
        else:
            assert text(in_s3(target)) == text(source)
            copied.add(True)
        if not client.lost:
            break
    assert copied == {False, True}


def test_a_refused_write_leaves_damage_that_a_rerun_completes(source: Path) -> None:
    memory = Memory(before=[None, None, refusal("AccessDenied")])
    with pytest.raises(AccessRefused):
        copy(source, in_s3(memory))
    assert f"team/{object_name(1)}" not in memory.objects
    assert f"team/{LOCK}" not in memory.objects
    copy(source, in_s3(memory))
    assert text(in_s3(memory)) == text(source)


def test_a_lock_left_behind_is_reported(source: Path) -> None:
    memory = Memory(undeletable=refusal("AccessDenied", "DeleteObject"))
    number, left = copy(source, in_s3(memory))
    assert (number, "journal unlock" in (left or "")) == (6, True)


@pytest.mark.parametrize("decided_in", ["neither", "one", "both"])
def test_a_copy_beside_its_journal_adds_nothing(
    decided_in: str, source: Path, tmp_path: Path
) -> None:
    """Given with its backup, a journal says the same as alone."""
    target = tmp_path / "copy.jsonl"
    copy(source, target)
    (intent,) = read([source]).keys[KEYS[-1]].open
    journals = {"neither": (), "one": (target,), "both": (source, target)}[decided_in]
    for later, path in enumerate(journals, start=1):
        with Journal(path) as journal:
            now = NOW + timedelta(hours=later)
            journal.begin(now, "apply", plan_digest="sha256:x")
            journal.outcome(now, intent, Outcome.SCHEDULED, deletion_date=NOW)
    for order in ([source, target], [target, source]):
        both, one = read(order), read([target])
        assert not both.problems
        for arn in KEYS:
            assert both.keys[arn].scheduled == one.keys[arn].scheduled
            assert both.keys[arn].open == one.keys[arn].open
            assert both.keys[arn].watch_use_from == one.keys[arn].watch_use_from is not None
        assert [d.intent for d in deletions(order)] == [d.intent for d in deletions([target])]
