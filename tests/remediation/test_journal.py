"""The journal: what it keeps, what a kill tears, who may write."""

from __future__ import annotations

import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keysweep.remediation.errors import BadInput, Refused
from keysweep.remediation.journal import Journal, read, read_undamaged
from keysweep.remediation.models import AppliedException, KeyArn, Outcome

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
ONE = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/11111111-1111-4111-8111-111111111111")
TWO = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-4222-8222-222222222222")


def _schedule(journal: Journal, arn: KeyArn, outcome: Outcome | None, minutes: int = 0) -> None:
    now = NOW + timedelta(minutes=minutes)
    intent = journal.intent(now, "ScheduleKeyDeletion", arn, pending_window_days=30)
    if outcome is not None:
        journal.outcome(now, intent, outcome, deletion_date=now + timedelta(days=30))


def test_a_scheduled_key_and_an_interrupted_one_are_known(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply", plan_digest="sha256:1", ticket="OPS-1")
        _schedule(journal, ONE, Outcome.SCHEDULED)
        _schedule(journal, TWO, None)
    keys = read([path]).keys
    assert keys[ONE].scheduled is not None
    assert keys[ONE].plan_digest == "sha256:1"
    assert keys[ONE].undecided is None
    assert keys[TWO].scheduled is None
    assert keys[TWO].undecided is not None


def test_each_intent_names_its_exceptions_among_those_of_the_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    decided = {"reason": "unused", "approved_by": "storage", "until": "2027-01-01"}
    one, other = (AppliedException(rule=rule, **decided) for rule in ("in-use", "too-new"))
    with Journal(path) as journal:
        journal.begin(NOW, "apply", exceptions=(one, other))
        journal.intent(
            NOW, "ScheduleKeyDeletion", ONE, exceptions=(other,), alias="alias/a", owner="shop"
        )
        journal.intent(NOW, "ScheduleKeyDeletion", TWO)
    run, first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert [line["rule"] for line in run["exceptions"]] == ["in-use", "too-new"]
    assert first["exceptions"] == [1]
    record = read([path]).keys[ONE]
    assert (record.exceptions, record.alias, record.owner) == ((other,), "alias/a", "shop")
    assert "exceptions" not in second


def test_a_cancelled_key_no_longer_stands_as_scheduled(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply")
        _schedule(journal, ONE, Outcome.SCHEDULED)
    with Journal(path) as journal:
        # The second run's clock may read a second earlier: the file's order is the truth.
        journal.begin(NOW - timedelta(seconds=1), "cancel")
        intent = journal.intent(NOW - timedelta(seconds=1), "CancelKeyDeletion", ONE)
        journal.outcome(NOW - timedelta(seconds=1), intent, Outcome.CANCELLED)
    record = read([path]).keys[ONE]
    assert record.scheduled is None
    assert record.last is not None
    assert record.last.outcome is Outcome.CANCELLED


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_left_out_with_a_note(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply")
        _schedule(journal, ONE, Outcome.SCHEDULED)
        _schedule(journal, TWO, None)
    path.write_bytes(path.read_bytes()[:-cut])
    history = read([path])
    assert set(history.keys) >= {ONE}
    if cut > 1:
        assert len(history.notes) == 1
        assert set(history.keys) == {ONE}
    with Journal(path) as journal:
        journal.begin(NOW, "apply")
        _schedule(journal, TWO, Outcome.SCHEDULED)
    assert read([path]).keys[TWO].scheduled is not None


def test_damage_in_the_middle_is_reported_with_its_line_and_hides_no_key(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply")
        _schedule(journal, ONE, Outcome.SCHEDULED)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([lines[0], "{", *lines[1:]]) + "\n", encoding="utf-8")
    history = read([path])
    (problem,) = history.problems
    assert problem.startswith(f"{path}: line 2 ")
    assert history.keys[ONE].scheduled_outcome is not None
    with pytest.raises(BadInput, match="line 2 "):
        read_undamaged(path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path), pytest.raises(Refused, match=str(path)), Journal(path):
        pass
    with Journal(path) as journal:
        journal.begin(NOW, "apply")


def test_only_the_owner_may_read_and_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.begin(NOW, "apply")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    with pytest.raises(BadInput, match=str(link)), Journal(link):
        pass


def test_a_missing_journal_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(BadInput, match=f"{path}.*--journal"):
            read([path])


def test_a_full_disk_stops_before_the_call() -> None:
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.fail("this test needs /dev/full")
    with Journal(Path("/dev/full")) as journal, pytest.raises(BadInput, match="/dev/full"):
        journal.begin(NOW, "apply")
