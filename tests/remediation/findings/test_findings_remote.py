"""Which remote files are read: those of each account's newest run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_parts import figures

from keysweep.remediation.findings.buffer import Readable
from keysweep.remediation.findings.remote import names_results, newest_runs, older_run_warnings

Made = TypeVar("Made")


@dataclass(frozen=True)
class File:
    """A name, of which nothing is read."""

    path: str

    def read(self, take: Callable[[Readable], Made]) -> Made:
        raise AssertionError


def run(account: str, time: str, suffix: str = ".ocsf.json", folder: str = "json-ocsf") -> File:
    return File(f"s3://b/output/{folder}/prowler-output-{account}-{time}{suffix}")


A, B = "111122223333", "444455556666"
OLD, NEW = "20261101030000", "20261102030000"


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        ("a.json", True),
        ("output/A.OCSF.JSON", True),
        ("a.ndjson", True),
        ("a.jsonl", True),
        ("a.json.gz", False),
        ("a.csv", False),
        ("json", False),
    ],
)
def test_the_suffix_of_a_name_in_any_case_marks_results(name: str, is_read: bool) -> None:
    assert names_results(name) is is_read


def test_every_file_of_the_newest_run_stays_and_of_each_account() -> None:
    kept = {
        run(A, NEW),
        run(A, NEW, ".asff.json", "json-asff"),
        run(A, NEW, "_kms_key_lifecycle_1.0_aws.ocsf.json", "compliance"),
        run(B, OLD),
    }
    chosen, older = newest_runs([run(A, OLD), *kept, run(A, OLD, ".asff.json")])
    assert set(chosen) == kept
    assert older == {A: (OLD,)}


@pytest.mark.parametrize(
    "name",
    [
        "nightly.ocsf.json",
        "results_json.json",
        f"prowler-output-{A}.ocsf.json",
        f"prowler-output-{A}-{NEW}0.ocsf.json",
        f"prowler-output-name-{NEW}.ocsf.json",
        f"my-prowler-output-{A}-{OLD}.ocsf.json",
    ],
)
def test_a_file_of_another_name_always_stays(name: str) -> None:
    other = File(f"s3://b/prowler-output-{A}-{OLD}/{name}")
    chosen, older = newest_runs([run(A, NEW), other])
    assert (set(chosen), older) == ({run(A, NEW), other}, {})


@given(
    st.sets(st.tuples(st.sampled_from([A, B]), st.integers(10**13, 10**14 - 1)), min_size=1),
    st.integers(),
)
def test_the_order_of_a_listing_does_not_matter(runs: set[tuple[str, int]], seed: int) -> None:
    files = [run(account, str(time)) for account, time in sorted(runs)]
    newest = {account: max(time for one, time in runs if one == account) for account, _ in runs}
    shuffled = Random(seed).sample(files, len(files))
    chosen, older = newest_runs(shuffled)
    assert chosen == tuple(run(account, str(time)) for account, time in sorted(newest.items()))
    assert sum(map(len, older.values())) == len(runs) - len(newest)


def test_few_older_runs_are_named_and_of_many_the_number() -> None:
    times = tuple(f"202611{day:02}030000" for day in range(9, 4, -1))
    one, several = older_run_warnings("s3://b/x\x1b", {A: times[:1], B: times})
    for message, account in ((one, A), (several, B)):
        assert message.startswith("s3://b/x\\u{1b}: ")
        assert f"account {account} " in message
    assert re.findall(r"2026\S+", one) == ["2026-11-09"]
    assert re.findall(r"2026-\d\d-\d\d", several) == ["2026-11-09", "2026-11-08", "2026-11-07"]
    assert "2 older" in several
    many = {f"5555000000{number:02}": times[:2] for number in range(6)}
    (message,) = older_run_warnings("s3://b/x", many)
    assert figures(message) == ["12", "6"]
    assert "99999999999999" in older_run_warnings("s3://b/x", {A: ("99999999999999",)})[0]
