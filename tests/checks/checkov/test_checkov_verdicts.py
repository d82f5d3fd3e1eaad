"""Every fixture's verdict, by Checkov's own runners: compared as sets of names."""

from __future__ import annotations

import pytest
from checkov_cases import (
    FRAMEWORKS,
    PAGE,
    PEER,
    STATE,
    TABLE,
    WINDOW,
    declared,
    table,
    topics,
    unread,
    unread_listed,
    verdicts,
)

TOPICS = [(framework, topic) for framework in FRAMEWORKS for topic in topics(framework)]
EXPECTED = {"pass": "PASSED", "fail": "FAILED", "skip": "SKIPPED"}


def found(framework: str, topic: str, check_id: str, outcome: str) -> set[str]:
    return {
        verdict.case
        for verdict in verdicts(framework)
        if (verdict.topic, verdict.check_id, verdict.outcome) == (topic, check_id, outcome)
    }


@pytest.mark.parametrize(
    ("framework", "topic"), TOPICS, ids=[f"{framework}-{topic}" for framework, topic in TOPICS]
)
def test_each_key_gets_the_verdict_in_its_name(framework: str, topic: str) -> None:
    check_id = WINDOW if topic == "window" else STATE
    assert {
        outcome: found(framework, topic, check_id, outcome) for outcome in EXPECTED.values()
    } == {outcome: declared(framework, topic, name) for name, outcome in EXPECTED.items()}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_dialect_shows_both_outcomes_and_both_checks(framework: str) -> None:
    for topic in ("literals", "window"):
        assert declared(framework, topic, "pass")
        assert declared(framework, topic, "fail")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_waiting_period_is_never_taken_for_a_state(framework: str) -> None:
    assert found(framework, "window", STATE, "FAILED") == set()
    assert found(framework, "literals", WINDOW, "FAILED") == set()


def test_the_other_tool_is_wrong_where_the_documentation_names_it() -> None:
    """The cases are useful only while CKV_AWS_227 fails or passes on a guess."""
    failed = found("terraform", "expressions", PEER, "FAILED")
    passed = found("terraform", "expressions", PEER, "PASSED")
    assert failed >= {
        "unknown_ternary_of_a_comparison",
        "unknown_each_value",
        "unknown_each_object",
        "unknown_call_count_zero",
        "unknown_count_conjunction_may_not_be",
        "unknown_kind",
    }
    assert passed >= {"fail_count_index", "unknown_comparison", "unknown_conjunction"}


@pytest.mark.parametrize("framework", [f for f in FRAMEWORKS if unread(f)])
def test_what_is_documented_as_unread_has_no_record(framework: str) -> None:
    records = {v for v in verdicts(framework) if v.topic == "unread" and v.check_id == STATE}
    assert records == set()
    assert declared(framework, "unread") == set()


def test_the_documented_list_of_what_stays_unread_is_that_of_the_fixtures() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert unread_listed(page) == page, "run python tests/checks/checkov/checkov_cases.py"
    assert {f for f in FRAMEWORKS if unread(f)} == set(FRAMEWORKS) - {"terraform_plan"}


def test_the_documented_table_is_what_the_fixtures_give() -> None:
    assert TABLE.read_text(encoding="utf-8") == table(), (
        f"{TABLE.name} is out of date: run python tests/checks/checkov/checkov_cases.py"
    )
