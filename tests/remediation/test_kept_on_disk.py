"""Values on the disk: what comes back equals what was put in, and memory holds next to nothing."""

from __future__ import annotations

import gc
import resource
import tracemalloc
from collections import deque
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest
from dead_key import DEAD, NOW
from hypothesis import given
from hypothesis import strategies as st

from keysweep.remediation import journal as journal_stage
from keysweep.remediation import kept as kept_module
from keysweep.remediation import planfile
from keysweep.remediation.errors import BadInput
from keysweep.remediation.journal import Journal
from keysweep.remediation.kept import IN_MEMORY, ByKey, Kept, Some
from keysweep.remediation.models import KeyArn, Outcome, PlanItem, PlanSummary
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy import Policy

values = st.one_of(st.text(), st.integers(), st.binary(max_size=9000), st.none())


def kept_of(found: list[object]) -> Kept[object]:
    kept = Kept[object]()
    for number, value in enumerate(found):
        assert kept.append(value) == number
    return kept


@given(st.lists(values), st.slices(20), st.integers(-25, 25))
def test_it_is_a_sequence_like_a_list(found: list[object], part: slice, number: int) -> None:
    kept = kept_of(found)
    assert list(kept) == found
    assert kept == found
    assert len(kept) == len(found)
    assert list(kept[part]) == found[part]
    assert list(kept[part][::-1]) == found[part][::-1]
    if -len(found) <= number < len(found):
        assert kept[number] == found[number]
    else:
        with pytest.raises(IndexError):
            kept[number]
    assert kept != [*found, 1]


def test_threads_append_at_once_and_nothing_is_lost() -> None:
    kept = Kept[tuple[int, str]]()

    def append(thread: int) -> None:
        for number in range(200):
            value = (thread, "x" * number)
            assert kept[kept.append(value)] == value

    threads = [Thread(target=append, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept) == [(t, "x" * n) for t in range(8) for n in range(200)]


def test_some_and_by_key_get_each_value_when_it_is_asked_for() -> None:
    kept = kept_of(["a", "b", "c"])
    assert list(Some(kept, [2, 0])) == ["c", "a"]
    arn, other = arn_of(1), arn_of(2)
    by_key = ByKey(kept, {arn: 1})
    assert dict(by_key) == {arn: "b"}
    assert by_key.get(other) is None


def no_room_for_more_than(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_without_room_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "IN_MEMORY", 1000)
    kept = Kept[str]()
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    no_room_for_more_than(5000)
    try:
        with pytest.raises(BadInput, match=r"File too large; make room, or .* TMPDIR"):
            deque(map(kept.append, ["a" * 100] * 100))
    finally:
        no_room_for_more_than(limit)
    assert len(kept) > 20
    assert set(kept) == {"a" * 100}


def test_a_folder_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
    kept = kept_of(["a few keys need no disk"])
    with pytest.raises(BadInput, match=r"none: .* No such file or directory.*TMPDIR"):
        kept.append("a" * IN_MEMORY)


def test_the_file_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    much = ["a secret of the account", "a" * IN_MEMORY]
    kept = kept_of([*much])
    assert list(tmp_path.iterdir()) == []
    assert list(kept) == much


# --- what memory holds a key -------------------------------------------------------------------


KEYS = 3000


def arn_of(number: int) -> KeyArn:
    key_id = f"{number:08x}-0000-0000-0000-{0:012x}"
    return KeyArn.parse(f"arn:aws:kms:eu-west-1:111122223333:key/{key_id}")


def peak(make: Callable[[int], object]) -> float:
    """Megabytes that are held at most; what is made once and for all is made before."""
    make(10)
    gc.collect()
    tracemalloc.start()
    try:
        make(KEYS)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def a_plan(keys: int) -> Plan:
    items = Kept[PlanItem]()
    for number in range(keys):
        arn = arn_of(number)
        items.append(
            PlanItem(
                key_arn=arn,
                account_id=arn.account_id,
                region=arn.region,
                verdict="schedule",
                pending_window_days=30,
                monthly_cost_usd=1.0,
                evidence=DEAD.model_copy(update={"key_arn": arn}),
            )
        )
    summary = PlanSummary(schedule=keys, hold=0, skip=0, monthly_cost_usd=keys)
    plan = Plan(created_at=NOW, policy=Policy(), sources=(), summary=summary, items=items)
    return plan.model_copy(update={"digest": planfile.digest_of(plan)})


def test_a_plan_is_made_written_and_read_in_next_to_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_module, "IN_MEMORY", 10_000)
    path = tmp_path / "plan.json"

    def write_and_read(keys: int) -> object:
        planfile.save(a_plan(keys), path)
        plan = planfile.load(path)
        assert len(plan.chosen) == keys
        return plan

    # As models the items would take 30 MB, and the file's text 6 MB.
    assert peak(write_and_read) < 4
    assert path.stat().st_size > 5_000_000


def test_a_journal_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    def write(keys: int) -> None:
        path.unlink(missing_ok=True)
        with Journal(path) as journal:
            journal.begin(NOW, "apply", plan_digest="sha256:0")
            for number in range(keys):
                intent = journal.intent(NOW, "ScheduleKeyDeletion", arn_of(number))
                journal.outcome(NOW, intent, Outcome.SCHEDULED, deletion_date=NOW)

    def read(keys: int) -> object:
        write(keys)
        history = journal_stage.read([path])
        assert len(history.keys) == keys
        return history

    # As models the lines would take 8 MB.
    assert peak(read) < 4
