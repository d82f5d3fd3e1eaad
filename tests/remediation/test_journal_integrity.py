"""Journals: missing lines are reported, several are merged, a failure stops the run."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keysweep.remediation.cancel import batch, batches
from keysweep.remediation.errors import BadInput, Refused
from keysweep.remediation.files import locked
from keysweep.remediation.journal import Journal, JournalFailed, read, read_undamaged, reader
from keysweep.remediation.models import KeyArn, Outcome

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ONE = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/11111111-1111-4111-8111-111111111111")
TWO = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-4222-8222-222222222222")


def write(
    path: Path,
    operation: str,
    arn: KeyArn,
    outcome: Outcome | None,
    *,
    hours: float = 0,
    plan: str | None = "sha256:1",
) -> None:
    now = NOW + timedelta(hours=hours)
    with Journal(path) as journal:
        journal.begin(now, "apply", plan_digest=plan)
        intent = journal.intent(now, operation, arn, pending_window_days=30)
        if outcome is not None:
            journal.outcome(now, intent, outcome, deletion_date=now + timedelta(days=30))


SCHEDULE, CANCEL = "ScheduleKeyDeletion", "CancelKeyDeletion"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole journal of two keys, in one run."""
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply", plan_digest="sha256:1")
        for arn in (ONE, TWO):
            intent = journal.intent(NOW, SCHEDULE, arn, pending_window_days=30)
            journal.outcome(NOW, intent, Outcome.SCHEDULED)
    return path


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _without(number: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: lines[: number - 1] + lines[number:]


def _twice(number: int) -> Callable[[list[str]], list[str]]:
    return lambda lines: [*lines, lines[number - 1]]


def _swapped_key(lines: list[str]) -> list[str]:
    return [*lines[:2], lines[2].replace(str(ONE), str(TWO)), *lines[3:]]


TAMPERED = {
    "an outcome without intent": (_without(2), 2),
    "lines without their run": (_without(1), 1),
    "an intent twice": (_twice(2), 6),
    "an outcome twice": (_twice(3), 6),
    "a run twice": (_twice(1), 6),
    "the outcome of another key": (_swapped_key, 3),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_lines_that_no_run_leaves_behind_are_reported(what: str, path: Path) -> None:
    assert read([path]).problems == ()
    change, number = TAMPERED[what]
    path.write_text("\n".join(change(_lines(path))) + "\n", encoding="utf-8")
    first, *_ = read([path]).problems
    assert first.startswith(f"{path}: line {number} ")


@pytest.mark.parametrize("name", ["key_arn", r"key\u005farn"])
def test_a_line_that_names_a_key_twice_is_altered(name: str, path: Path) -> None:
    lines = _lines(path)
    lines[2] = lines[2].replace('"key_arn":', f'"{name}":"{TWO}","key_arn":', 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    history = read([path])
    assert any("line 3" in one and "'key_arn'" in one for one in history.problems)
    assert history.keys[ONE].scheduled is None
    with pytest.raises(BadInput, match=r"line 3 .*'key_arn'.*--journal"):
        read_undamaged(path)


def test_a_first_line_that_names_its_kind_twice_is_refused(path: Path) -> None:
    lines = _lines(path)
    lines[0] = lines[0].replace('"line":', '"line":"intent","line":', 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"Line 1 .*'line'"):
        read([path])


def test_undo_takes_a_scheduled_key_even_when_its_intent_is_missing(path: Path) -> None:
    path.write_text("\n".join(_without(2)(_lines(path))) + "\n", encoding="utf-8")
    assert set(batch(read([path]))) == {ONE, TWO}


def test_a_journal_of_a_newer_keysweep_is_refused_as_such(path: Path) -> None:
    lines = _lines(path)
    newer = {**json.loads(lines[1]), "version": 2, "line": "intention"}
    path.write_text("\n".join([lines[0], json.dumps(newer)]) + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"Line 2 .* newer keysweep"):
        read([path])


def test_several_journals_are_merged_by_time(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write(a, SCHEDULE, ONE, Outcome.SCHEDULED)
    write(b, SCHEDULE, TWO, Outcome.SCHEDULED)
    write(b, CANCEL, ONE, Outcome.CANCELLED, hours=2, plan=None)
    for order in ([a, b], [b, a]):
        history = read(order)
        assert history.problems == ()
        assert set(batch(history)) == {TWO}
        assert history.keys[ONE].cancelled is not None
    assert set(batch(read([a]))) == {ONE}


def test_a_journal_named_twice_is_read_once(tmp_path: Path, path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    assert set(batches(read([path, link, path]))) == {path}


def test_each_key_is_cancelled_in_the_journal_that_has_its_deletion(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write(a, SCHEDULE, ONE, Outcome.SCHEDULED)
    write(a, SCHEDULE, TWO, Outcome.SCHEDULED)
    write(b, CANCEL, TWO, Outcome.CANCELLED, hours=1, plan=None)
    write(b, SCHEDULE, TWO, Outcome.SCHEDULED, hours=2, plan="sha256:2")
    assert batches(read([a, b])) == {a: [ONE], b: [TWO]}
    assert batches(read([a])) == {a: [ONE, TWO]}


@pytest.mark.parametrize("outcome", [None, Outcome.FAILED, Outcome.UNCHANGED])
def test_a_cancellation_that_failed_elsewhere_hides_no_deletion_that_got_lost(
    outcome: Outcome | None, tmp_path: Path
) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write(a, SCHEDULE, ONE, None)
    write(b, CANCEL, ONE, outcome, hours=1, plan=None)
    assert batches(read([a, b])) == {a: [ONE], b: []}
    assert read([a, b]).left_open("sha256:1") == {ONE}


def test_only_a_cancellation_begun_later_settles_a_deletion_that_got_lost(tmp_path: Path) -> None:
    a, b = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    write(a, SCHEDULE, ONE, None)
    write(b, CANCEL, ONE, Outcome.CANCELLED, hours=1, plan=None)
    write(b, CANCEL, TWO, None, hours=1, plan=None)
    write(a, SCHEDULE, TWO, None, hours=2)
    undecided = read([b]).keys[TWO].undecided
    assert undecided is not None
    with Journal(b) as journal:
        journal.begin(NOW + timedelta(hours=3), "cancel")
        journal.outcome(NOW + timedelta(hours=3), undecided, Outcome.CANCELLED)
    assert batches(read([a, b])) == {a: [TWO], b: []}


def test_an_outcome_written_by_a_later_run_counts_for_the_plan_of_the_intent(path: Path) -> None:
    write(path, SCHEDULE, ONE, None, hours=1, plan="sha256:2")
    assert read([path]).left_open("sha256:2") == {ONE}
    record = read([path]).keys[ONE]
    assert record.undecided is not None
    with Journal(path) as journal:
        journal.begin(NOW + timedelta(hours=2), "cancel")
        journal.outcome(NOW + timedelta(hours=2), record.undecided, Outcome.SCHEDULED)
    after = read([path])
    assert after.left_open("sha256:2") == frozenset()
    assert after.keys[ONE].plan_digest == "sha256:2"
    assert after.problems == ()


# --- writing -----------------------------------------------------------------------------------


@pytest.fixture
def room() -> Iterator[Callable[[int], None]]:
    """Set how many bytes a file may have; more is refused as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def set_room(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield set_room
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_after_a_write_that_failed_nothing_is_written_any_more(
    tmp_path: Path, room: Callable[[int], None]
) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply")
        room(path.stat().st_size + 40)
        with pytest.raises(JournalFailed, match=path.name):
            journal.intent(NOW, SCHEDULE, ONE)
        room(resource.RLIM_INFINITY)
        with pytest.raises(JournalFailed):
            journal.intent(NOW, SCHEDULE, TWO)
        assert journal.failure is not None
    assert read([path]).keys == {}, "the torn line is the last one"
    write(path, SCHEDULE, ONE, Outcome.SCHEDULED)
    assert set(batch(read([path]))) == {ONE}


def test_a_disk_without_room_for_the_run_is_refused_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    disk = os.statvfs(tmp_path)
    fields = list(disk)
    fields[4] = 10  # f_bavail
    monkeypatch.setattr(os, "fstatvfs", lambda handle: os.statvfs_result(fields))
    with Journal(path) as journal, pytest.raises(BadInput, match=r" 4000 KB .*--journal"):
        journal.begin(NOW, "apply", keys=1000)
    assert path.read_bytes() == b""


def test_a_folder_that_takes_no_files_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none" / "journal.jsonl"
    with pytest.raises(BadInput, match="none"), Journal(missing):
        pass
    with pytest.raises(BadInput, match="/proc"), Journal(Path("/proc/journal.jsonl")):
        pass


def test_a_file_system_without_locks_takes_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(BadInput, match="No locks"), journal:
        pass


def test_a_folder_that_cannot_be_put_on_the_disk_takes_no_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_of_folders(monkeypatch, "fsync", OSError(errno.EIO, "Input/output error"))
    journal = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(BadInput, match="Input/output error"), journal:
        pass


@pytest.mark.parametrize(
    ("call", "error"),
    [("fsync", OSError(errno.EINVAL, "Invalid argument")), ("open", PermissionError())],
)
def test_a_folder_that_cannot_be_synced_takes_a_journal(
    call: str, error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fail_of_folders(monkeypatch, call, error)
    write(tmp_path / "journal.jsonl", SCHEDULE, ONE, Outcome.SCHEDULED)
    assert set(batch(read([tmp_path / "journal.jsonl"]))) == {ONE}


def _fail_of_folders(monkeypatch: pytest.MonkeyPatch, call: str, error: OSError) -> None:
    """Let a function of `os` fail for every folder."""
    ordinary = getattr(os, call)

    def failing(what: int | Path, *more: int) -> object:
        named = Path(f"/proc/self/fd/{what}") if isinstance(what, int) else Path(what)
        if named.is_dir():
            raise error
        return ordinary(what, *more)

    monkeypatch.setattr(os, call, failing)


def test_a_journal_whose_end_cannot_be_read_is_not_added_to(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pread(handle: int, length: int, at: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "pread", pread)
    before = path.read_bytes()
    with Journal(path) as journal, pytest.raises(BadInput, match="Input/output"):
        journal.begin(NOW, "apply")
    assert path.read_bytes() == before


def test_empty_lines_are_none_of_the_journal(path: Path) -> None:
    """An editor may leave them behind; they hide nothing, and what follows is read."""
    path.write_text("\n\n".join(_lines(path)) + "\n \n", encoding="utf-8")
    history = read([path])
    assert (history.problems, history.notes) == ((), ())
    assert set(batch(history)) == {ONE, TWO}


def test_a_link_is_named_as_such(tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "elsewhere.jsonl")
    with pytest.raises(BadInput, match="symbolic link"), Journal(link):
        pass
    assert not (tmp_path / "elsewhere.jsonl").exists()


def test_a_pipe_is_no_journal(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Journal(pipe) as journal, pytest.raises(BadInput, match="cannot be written"):
        journal.begin(NOW, "apply")


def test_the_folder_is_on_the_disk_before_the_first_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync of the folder each time: a run that was killed may have made the file just now."""
    synced: list[str] = []
    ordinary = os.fsync

    def fsync(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        ordinary(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    path = tmp_path / "journal.jsonl"
    for _ in range(2):
        synced.clear()
        write(path, SCHEDULE, ONE, Outcome.FAILED)
        assert synced[:2] == [str(tmp_path), str(tmp_path.parent)]
        assert synced[2:] == [str(path)] * 3


def test_one_plan_is_applied_by_one_process_at_a_time(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{}", encoding="utf-8")
    busy = "another process"
    with (
        locked(plan, busy),
        pytest.raises(Refused, match=busy),
        locked(plan, busy),
    ):
        pass
    with locked(plan, busy):
        pass


@pytest.mark.parametrize("content", [b"{", b"\x00\x01", b"hello", b'{"version":1}', b"[]", b'""'])
def test_one_line_that_is_none_of_a_journal_is_not_taken_for_a_torn_one(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    if content == b"{":
        assert len(read([path]).notes) == 1
        return
    with pytest.raises(BadInput, match=f"{path}: Line 1 "):
        read([path])


def test_a_line_that_lost_power_ends_in_zeros(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + b"\x00" * 400)
    assert len(read([path]).notes) == 1
    write(path, SCHEDULE, TWO, Outcome.SCHEDULED, hours=1)
    assert set(batch(read([path]))) == {ONE, TWO}


def look(path: Path, *keys: KeyArn, hours: float = 1) -> None:
    with Journal(path) as journal:
        now = NOW + timedelta(hours=hours)
        journal.look(now, keys, now - timedelta(minutes=15), caller="guard")


def test_a_check_line_concerns_only_the_keys_that_it_names(path: Path) -> None:
    before = read([path]).keys
    unknown = KeyArn.parse(str(ONE).replace("11111111", "99999999"))
    look(path, ONE, unknown)
    look(path, ONE, hours=2)
    after = read([path])
    assert (after.problems, after.notes) == ((), ())
    assert {arn: one.looked_at for arn, one in after.keys.items()} == {
        ONE: NOW + timedelta(hours=2),
        TWO: None,
    }
    for record in after.keys.values():
        record.looked_at = None
    assert after.keys == before


def test_a_check_line_may_follow_a_torn_line_and_be_torn(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"version":1,"line":"int')
    look(path, ONE)
    found = read([path])
    assert (len(found.notes), found.problems) == (1, ())
    assert found.keys[ONE].looked_at is not None
    path.write_bytes(path.read_bytes()[:-20])
    write(path, SCHEDULE, TWO, Outcome.SCHEDULED, hours=2)
    found = read([path])
    assert (len(found.notes), found.problems) == (2, ())
    assert found.keys[ONE].looked_at is None


def test_a_repeated_check_line_is_damage(path: Path) -> None:
    look(path, ONE)
    lines = _lines(path)
    path.write_text("\n".join([*lines, lines[-1]]) + "\n", encoding="utf-8")
    assert len(read([path]).problems) == 1


def test_two_torn_lines_after_one_another_are_two_runs_that_did_nothing_more(path: Path) -> None:
    whole = path.read_bytes()
    begun = whole.splitlines()[0]
    path.write_bytes(whole[:-40] + b"\n" + begun[:60])
    within, last = read([path]).notes
    assert within.startswith(f"{path}: Line 5 ")
    assert last.startswith(f"{path}: The last line ")
    write(path, SCHEDULE, TWO, Outcome.SCHEDULED, hours=1)
    assert set(batch(read([path]))) == {ONE, TWO}


def test_a_torn_line_of_work_after_a_torn_line_is_damage(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + b"\n" + whole.splitlines()[1][:60])
    history = read([path])
    (problem,), (note,) = history.problems, history.notes
    assert problem.startswith(f"{path}: line 5 ")
    assert note.startswith(f"{path}: The last line ")


@pytest.mark.parametrize(
    "altered",
    [
        lambda line: {**line, "key_arn": line["key_arn"][:-1] + "?"},
        lambda line: {**line, "new": "field"},
        lambda line: {**line, "time": "0001-01-01T00:00:00+23:00"},
        lambda line: {**line, "time": "0001-01-01T00:59:59Z"},
        lambda line: {**line, "watch_use_from": "9999-12-31T23:59:59Z"},
        lambda line: {**line, "monthly_cost_usd": 10**400},
    ],
    ids=["its key", "one more field", "its time", "too early", "too late", "too much"],
)
def test_a_last_line_that_is_whole_and_altered_is_damage(altered, path: Path) -> None:
    write(path, SCHEDULE, TWO, None, hours=1)
    lines = _lines(path)
    last = json.dumps(altered(json.loads(lines[-1])), separators=(",", ":"))
    path.write_text("\n".join([*lines[:-1], last]) + "\n", encoding="utf-8")
    before = read([path]).keys
    (problem,) = read([path]).problems
    assert problem.startswith(f"{path}: line 7 ")
    # The altered line is not used, and nothing else is lost.
    assert {arn for arn, one in before.items() if one.scheduled_outcome} == {ONE, TWO}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.ALREADY_PENDING])
def test_the_outcome_of_another_call_does_not_reconcile_a_lost_one(
    outcome: Outcome, tmp_path: Path
) -> None:
    a, b, one = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "one.jsonl"
    for lost, later in ((a, b), (one, one)):
        write(lost, SCHEDULE, ONE, None)
        write(later, SCHEDULE, ONE, outcome, hours=1, plan="sha256:2")
    for paths in ([a, b], [b, a], [one]):
        history = read(paths)
        assert batch(history) == (ONE,)
        assert history.left_open("sha256:1") == {ONE}
        assert history.left_open("sha256:2") == frozenset()
    assert batches(read([a, b])) == {a: [ONE], b: []}


@pytest.mark.parametrize(
    ("operation", "outcome"), [(SCHEDULE, Outcome.SCHEDULED), (CANCEL, Outcome.CANCELLED)]
)
def test_a_deletion_or_its_cancellation_closes_earlier_intents(
    operation: str, outcome: Outcome, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    for hours in (0, 1):
        write(path, SCHEDULE, ONE, None, hours=hours)
    write(path, operation, ONE, outcome, hours=2)
    assert read([path]).keys[ONE].open == ()
    write(path, SCHEDULE, ONE, None, hours=3)
    assert len(read([path]).keys[ONE].open) == 1


def test_a_journal_is_read_once_a_run_unless_it_grew_meanwhile(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.jsonl"
    write(other, SCHEDULE, TWO, Outcome.SCHEDULED)
    opened: list[Path] = []
    ordinary = reader._File.lines

    def lines(file: reader._File) -> Any:
        opened.append(file.path)
        return ordinary(file)

    monkeypatch.setattr(reader._File, "lines", lines)
    known = read([path, other])
    assert batches(known) == {path: [ONE, TWO], other: []}
    with Journal(path, known=known) as journal:
        journal.begin(NOW, "cancel")
        assert journal.history() is known.journals[path]
    assert opened == [path, other]
    grown = KeyArn.parse(str(ONE).replace("1111-1111", "3333-1111"))
    write(other, SCHEDULE, grown, Outcome.SCHEDULED, hours=1)
    with Journal(other, known=known) as journal:
        assert set(journal.history().keys) == {TWO, grown}
    assert opened == [path, other, other]


def test_the_order_of_lines_closes_an_intent_not_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, SCHEDULE, ONE, None, hours=0.0001)
    write(path, SCHEDULE, ONE, Outcome.SCHEDULED)  # by a clock that is less than a second behind
    assert read([path]).keys[ONE].undecided is None
