"""What `make newest` says of a scanner, in one line."""

from __future__ import annotations

import pytest
from newest import Tried, failures, line

PASSED = '<testcase name="one"/>'


def report(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


def failed(name: str, kind: str = "failure") -> str:
    return f'<testcase name="{name}"><{kind} message="no"/></testcase>'


@pytest.mark.parametrize(
    ("tried", "begins", "others"),
    [
        (Tried("5.46.0", []), "Prowler 5.46.0: works", set()),
        (
            Tried("5.47.0", []),
            "Prowler 5.47.0: works",
            {"5.46.0", "(tests/requirements-prowler.txt)"},
        ),
        (Tried("6.0.0", ["a", "b"]), "Prowler 6.0.0: broke: a; b", set()),
        (Tried("", ["no index"]), "Prowler: broke: no index", set()),
    ],
)
def test_each_result_has_its_line(tried: Tried, begins: str, others: set[str]) -> None:
    """Only a version that is not the usual one names the usual one, and where it is pinned."""
    summary = line("prowler", "5.46.0", tried)
    assert summary.startswith(begins)
    assert {part for part in summary.removeprefix(begins).split() if "." in part} == others


def test_tests_that_pass_or_are_skipped_break_nothing() -> None:
    assert failures(report(PASSED, '<testcase name="two"><skipped/></testcase>')) == []


def test_failures_and_errors_are_named() -> None:
    assert failures(report(PASSED, failed("two"), failed("three", "error"))) == [
        "2 of 3 tests: two, three"
    ]


def test_many_failures_are_named_and_counted() -> None:
    (sentence,) = failures(report(*(failed(f"t{number}") for number in range(7))))
    assert sentence.startswith("7 of 7 ")
    assert "t0, t1, t2, t3, t4 and 2 " in sentence
