"""What `make newest` says of a scanner, in one line."""

from __future__ import annotations

import pytest
from newest import Tried, line, told

PASSED = '<testcase name="one"/>'


def report(*cases: str) -> str:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>"


def failed(name: str, kind: str = "failure") -> str:
    return f'<testcase name="{name}"><{kind} message="no"/></testcase>'


@pytest.mark.parametrize(
    ("tried", "says"),
    [
        (Tried("5.46.0", []), "Prowler 5.46.0: works; it is the one that every change is run with"),
        (
            Tried("5.47.0", []),
            "Prowler 5.47.0: works; every change is run with 5.46.0 still "
            "(tests/requirements-prowler.txt)",
        ),
        (Tried("6.0.0", ["a", "b"]), "Prowler 6.0.0: broke: a; b"),
        (Tried("", ["cannot be installed: no"]), "Prowler: broke: cannot be installed: no"),
    ],
)
def test_each_outcome_has_its_line(tried: Tried, says: str) -> None:
    assert line("prowler", "5.46.0", tried) == says


def test_tests_that_pass_or_are_skipped_break_nothing() -> None:
    assert told(report(PASSED, '<testcase name="two"><skipped/></testcase>')) == []


def test_failures_and_errors_are_named() -> None:
    assert told(report(PASSED, failed("two"), failed("three", "error"))) == [
        "2 of 3 tests: two, three"
    ]


def test_many_failures_are_named_and_counted() -> None:
    assert told(report(*(failed(name) for name in "abcdefg"))) == [
        "7 of 7 tests: a, b, c, d, e and 2 more"
    ]
