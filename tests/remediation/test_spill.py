"""Models on disk: what comes back equals what was appended, and memory holds next to nothing."""

from __future__ import annotations

import gc
import resource
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread

import pytest
from dead_key import DEAD, NOW, plan_item, plan_of
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from keysweep.remediation import journal as journal_stage
from keysweep.remediation import planfile, spill
from keysweep.remediation.errors import BadInput
from keysweep.remediation.journal import Journal
from keysweep.remediation.models import (
    PIECES,
    Evidence,
    KeyArn,
    NotFound,
    Outcome,
    PlanItem,
    Unreadable,
    VerdictKind,
)
from keysweep.remediation.plan import Plan, PlanItems
from keysweep.remediation.spill import SpilledSequence


def arn_of(number: int) -> KeyArn:
    key_id = f"{number:08x}-0000-0000-0000-{0:012x}"
    return KeyArn.parse(f"arn:aws:kms:eu-west-1:111122223333:key/{key_id}")


def item_of(number: int, **changes: object) -> PlanItem:
    return plan_item(arn_of(number), **changes)


def noted(text: str, number: int = 0) -> Evidence:
    """Evidence with a text of any size."""
    return Evidence(key_arn=arn_of(number), aliases=(text,))


def spilled(found: Iterable[Evidence]) -> SpilledSequence[Evidence]:
    sequence = SpilledSequence(Evidence)
    for evidence in found:
        sequence.append(evidence)
    return sequence


@given(st.lists(st.text().map(noted)), st.slices(20), st.integers(-25, 25))
def test_it_is_a_sequence_like_a_list(found: list[Evidence], part: slice, number: int) -> None:
    sequence = spilled(found)
    assert list(sequence) == found
    assert sequence == found
    assert len(sequence) == len(found)
    assert list(sequence[part]) == found[part]
    assert list(sequence[part][::-1]) == found[part][::-1]
    if -len(found) <= number < len(found):
        assert sequence[number] == found[number]
    else:
        with pytest.raises(IndexError):
            sequence[number]
    assert sequence != [*found, noted("another")]


def test_what_was_unset_stays_unset() -> None:
    (read,) = spilled([DEAD])
    assert read == DEAD
    assert read.model_fields_set == DEAD.model_fields_set


@pytest.mark.parametrize("piece", sorted(PIECES))
def test_what_could_not_be_read_stays_unreadable(piece: str) -> None:
    evidence = Evidence(**{**dict(DEAD), piece: Unreadable(unreadable="denied")})
    assert list(spilled([evidence])) == [evidence]


def test_a_key_that_was_not_found_stays_so() -> None:
    evidence = Evidence(key_arn=arn_of(0), description=NotFound())
    assert list(spilled([evidence])) == [evidence]


def test_threads_append_at_once_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "CACHE_KIB", 40)
    sequence = SpilledSequence(Evidence)

    def append(thread: int) -> None:
        for number in range(200):
            evidence = noted("x" * number, 1000 * thread + number)
            sequence.append(evidence)
            assert sequence.by_key[evidence.key_arn] == evidence

    threads = [Thread(target=append, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {(arn_of(1000 * t + n), ("x" * n,)) for t in range(8) for n in range(200)}
    assert {(evidence.key_arn, evidence.aliases) for evidence in sequence} == expected
    assert len(sequence) == len(expected)


def test_models_are_found_by_key_and_by_group() -> None:
    items = [item_of(0), item_of(1, verdict="hold"), item_of(2)]
    sequence = PlanItems(items)
    assert list(sequence.of_groups(VerdictKind.SCHEDULE)) == [items[0], items[2]]
    assert list(sequence.of_groups(VerdictKind.SKIP)) == []
    assert dict(sequence.by_key) == {one.key_arn: one for one in items}
    assert list(sequence.by_key) == [one.key_arn for one in items]
    assert arn_of(1) in sequence.by_key
    assert arn_of(9) not in sequence.by_key
    assert sequence.by_key.get(arn_of(9)) is None


def no_room_for_more_than(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_without_room_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "CACHE_KIB", 40)
    sequence = SpilledSequence(Evidence)
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    no_room_for_more_than(50_000)
    try:
        with pytest.raises(BadInput, match="SQLITE_TMPDIR"):
            deque(map(sequence.append, (noted("a" * 1000, number) for number in range(1000))))
    finally:
        no_room_for_more_than(limit)
    assert len(sequence) > 20


def temporary_files() -> list[str]:
    """What the open file descriptors of this process lead to, of SQLite's temporary files."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(descriptor.readlink()))
        except OSError:
            continue
    return [link for link in links if "etilqs" in link]


def test_the_file_has_no_name_and_goes_with_its_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()
    before = len(temporary_files())
    monkeypatch.setattr(spill, "CACHE_KIB", 40)
    much = [noted("a" * 10_000, number) for number in range(100)]
    sequence = spilled(much)
    assert list(sequence) == much
    assert len(temporary_files()) == before + 1
    assert all(link.endswith("(deleted)") for link in temporary_files())
    del sequence
    gc.collect()
    assert len(temporary_files()) == before


@pytest.mark.parametrize("items", [[{"key_arn": str(arn_of(1))}], ["text"], 3, None])
def test_the_items_of_a_plan_are_validated(items: object) -> None:
    with pytest.raises(ValidationError):
        plan_of(items=items)


def test_an_item_that_skipped_validation_is_caught_when_it_is_read() -> None:
    plan = plan_of(items=[item_of(1).model_copy(update={"pending_window_days": 3})])
    with pytest.raises(ValidationError):
        list(plan.items)


# --- what memory holds a key -------------------------------------------------------------------


KEYS = 1000


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
    plan = plan_of(items=PlanItems(map(item_of, range(keys))))
    return plan.model_copy(update={"digest": planfile.digest_of(plan)})


@pytest.mark.sample
def test_a_plan_is_made_written_and_read_in_next_to_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "CACHE_KIB", 40)
    path = tmp_path / "plan.json"

    def write_and_read(keys: int) -> object:
        planfile.save(a_plan(keys), path)
        plan = planfile.load(path)
        assert len(plan.chosen) == keys
        return plan

    # As models the items would take 10 MB, and the file's text 2 MB.
    assert peak(write_and_read) < 1.5
    assert path.stat().st_size > 1_600_000


@pytest.mark.sample
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

    # As models the lines would take 2.7 MB more.
    assert peak(read) < 1.5
