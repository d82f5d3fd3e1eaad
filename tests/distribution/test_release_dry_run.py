"""What a release must not contradict, and what is left to do before it is one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from release import State, contradictions, left_to_do, read_state

BETWEEN = State("0.2.0", "Unreleased", frozenset(), frozenset({"v0.1.0"}))
PREPARED = replace(BETWEEN, section="0.2.0 (2026-12-01)")
RELEASED = replace(PREPARED, tags_here=frozenset({"v0.2.0"}), tags=frozenset({"v0.1.0", "v0.2.0"}))


def test_this_commit_contradicts_nothing() -> None:
    assert contradictions(read_state()) == []


@pytest.mark.parametrize("state", [BETWEEN, PREPARED, RELEASED], ids=["between", "to tag", "done"])
def test_between_releases_and_at_one_nothing_is_wrong(state: State) -> None:
    assert contradictions(state) == []


def test_between_releases_section_and_tag_are_left() -> None:
    section, tag = left_to_do(BETWEEN)
    assert "'0.2.0 (YYYY-MM-DD)'" in section
    assert tag.endswith("v0.2.0")


def test_a_prepared_release_lacks_its_tag_alone() -> None:
    assert [line.split(":")[0] for line in left_to_do(PREPARED)] == ["tag the commit"]


def test_a_release_lacks_nothing() -> None:
    assert left_to_do(RELEASED) == []


def test_what_is_not_committed_is_not_released() -> None:
    assert left_to_do(replace(RELEASED, uncommitted=("setup.cfg",))) == [
        "commit what differs: setup.cfg"
    ]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (replace(PREPARED, section="0.3.0 (2026-12-01)"), "top section is of 0.3.0"),
        (replace(PREPARED, section="0.2.0"), "it has to be"),
        (replace(PREPARED, section="Soon"), "it has to be"),
        (replace(BETWEEN, version="0.1.0"), "raise it in setup.cfg"),
        (replace(PREPARED, tags=frozenset({"v0.2.0"})), "another commit's"),
        (replace(PREPARED, tags_here=frozenset({"v0.1.9"})), "the tag v0.1.9 is here"),
        (replace(RELEASED, section="Unreleased"), "the commit is tagged"),
    ],
)
def test_each_contradiction_has_its_message(state: State, expected: str) -> None:
    [sentence] = contradictions(state)
    assert expected in sentence
