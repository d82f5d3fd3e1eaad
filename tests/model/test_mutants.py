"""Every safety rule that is switched off is missed: in a short history of its own, and by the
search within 300 histories at a fixed seed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from model.machine import Broken, Histories, figures
from model.mutants import MUTANTS
from model.witnesses import WITNESSES

HISTORIES, SEED, STEPS = 300, 0, 20

CHEAPEST = {"9-no-limit", "10-code-does-not-count", "11-no-limits-in-reports", "3-any-digest"}
NAMED = [
    name if name in CHEAPEST else pytest.param(name, marks=pytest.mark.sample) for name in MUTANTS
]


def _play(name: str) -> None:
    state = Histories()
    try:
        WITNESSES[name](state)
    finally:
        with suppress(Broken):
            state.teardown()
    assert state.reference.violations == []


@pytest.mark.parametrize("name", NAMED)
def test_a_history_shows_a_rule_that_is_switched_off(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _play(name)
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError):
        _play(name)


def _search() -> bool:
    """Whether a history broke a promise; those of each mutant take 2 to 157.

    Threads can continue the same beginning in another way. Hypothesis then gives up, and the search
    goes on with the next seed.
    """
    figures.clear()
    for number in itertools.count(SEED):
        searched = settings(
            max_examples=HISTORIES - figures["histories"],
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        with suppress(Broken, Flaky):
            run_state_machine_as_test(seed(number)(Histories), settings=searched)
        if figures["violations"] or figures["histories"] >= HISTORIES:
            break
    return figures["violations"] > 0


@pytest.mark.slow
def test_the_search_finds_nothing_if_every_rule_is_on(
    record_property: Callable[[str, object], None],
) -> None:
    assert not _search()
    record_property("figures", f"none missed after {figures['histories']} histories")


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_the_search_finds_a_rule_that_is_switched_off(
    name: str, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    MUTANTS[name](monkeypatch)
    assert _search()
    assert figures["histories"] <= HISTORIES
    record_property("figures", f"{name} missed after {figures['histories']} histories")
