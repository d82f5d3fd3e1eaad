"""Manual rotation: an alias is moved away before the plan, before apply, and after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scenarios import DEAD, in_shop
from stages import Stages, few_references, outcomes, work_here

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import policy_file
from keysweep.remediation.models import LaterAliases

KEYS = [
    {"name": "old", **DEAD},
    {"name": "calm", **DEAD, "aliases": ["alias/calm"]},
    {"name": "new"},
    {"name": "live", "aliases": ["alias/live"]},
]


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    work_here(monkeypatch, own_server)
    few_references(monkeypatch)
    own_server.reset(in_shop(*KEYS))
    return Stages(own_server, tmp_path, policy_file.load())


def rotate(run: Stages) -> None:
    """Move an alias from the old key to the new one, as AWS recommends."""
    run.kms().create_alias(AliasName="alias/shop", TargetKeyId=run.arn("old"))
    run.kms().update_alias(AliasName="alias/shop", TargetKeyId=run.arn("new"))


def rotate_in_two_steps(run: Stages) -> None:
    run.kms().create_alias(AliasName="alias/shop", TargetKeyId=run.arn("old"))
    run.kms().delete_alias(AliasName="alias/shop")
    run.kms().create_alias(AliasName="alias/shop", TargetKeyId=run.arn("new"))


def rotate_what_is_older_than_the_history(run: Stages) -> None:
    run.kms().update_alias(AliasName="alias/live", TargetKeyId=run.arn("new"))


MOVES: dict[str, Callable[[Stages], None]] = {
    "update": rotate,
    "delete and create": rotate_in_two_steps,
    "former key not in the history": rotate_what_is_older_than_the_history,
}


def reasons(run: Stages) -> dict[str, set[str]]:
    """The rules that hold each key in a new plan."""
    items = run.items(run.plan())
    return {name: {reason.rule for reason in item.reasons} for name, item in items.items()}


@pytest.mark.parametrize("move", MOVES)
def test_the_old_key_is_held(move: str, run: Stages) -> None:
    assert reasons(run) == {"old": set(), "calm": set()}
    MOVES[move](run)
    assert reasons(run) == {"old": {"alias-moved"}, "calm": set()}


@pytest.mark.parametrize("move", MOVES)
def test_a_move_between_plan_and_apply_leaves_the_key_alone(move: str, run: Stages) -> None:
    """The key has the same aliases before and after: the events alone show it."""
    plan = run.plan()
    MOVES[move](run)
    assert outcomes(run.apply(plan)) == {"old": "changed", "calm": "scheduled"}
    assert run.state("PendingDeletion") == {"calm"}


def test_a_move_in_the_waiting_period_is_a_sign(run: Stages) -> None:
    run.apply(run.plan())
    assert run.state("PendingDeletion") == {"old", "calm"}
    assert not any(row.in_use for row in run.guard().values())
    run.aws.advance(days=2)
    run.kms().update_alias(AliasName="alias/calm", TargetKeyId=run.arn("new"))
    signs = {name: {s.rule for s in row.signs} for name, row in run.guard().items()}
    # Without the plan nothing says that the other one had no alias when it was scheduled.
    assert signs == {"calm": {"alias-moved"}, "old": {"alias-moved"}}


def test_an_alias_that_is_only_deleted_holds_nothing(run: Stages) -> None:
    run.kms().delete_alias(AliasName="alias/calm")
    assert reasons(run) == {"old": set(), "calm": set()}


def test_what_may_have_moved_before_the_history_is_shown_for_review(run: Stages) -> None:
    later = run.items(run.plan())["old"].evidence.later_aliases
    assert isinstance(later, LaterAliases)
    assert {one.alias for one in later.newest} == {"alias/live", "alias/calm"}
