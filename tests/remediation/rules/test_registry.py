"""The registry of rules: each one is needed, declared in full, and pure."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from dead_key import (
    ACCOUNT,
    DEAD,
    OUTSIDER,
    PRIMARY,
    REPLICA,
    changed,
    days_ago,
    event,
    held_by,
    policy,
)

from keysweep.remediation import rules as package
from keysweep.remediation.models import (
    PIECES,
    AliasMove,
    Declaration,
    Declarations,
    Evidence,
    Grant,
    Reference,
    References,
    UseAttempt,
)
from keysweep.remediation.planner import FOR_REVIEW
from keysweep.remediation.policy import Policy
from keysweep.remediation.rules import RULES, WhilePending

GRANT = Grant(grant_id="g", grantee_principal=f"arn:aws:iam::{ACCOUNT}:role/r")
STACK = Declaration(tool="cloudformation", owner="shop Key", source="eu-west-1", fix="remove it")
VOLUME = Reference(service="ec2", resource="vol-1", region="eu-west-1", field="KmsKeyId")
CANCELLATION = event("CancelKeyDeletion", 80)

ONLY_REASON: dict[str, tuple[Evidence, Policy]] = {
    "not-in-scope": (DEAD, policy(accounts={"deny": [ACCOUNT]})),
    "protected-key": (DEAD, policy(protected_keys=["alias/old-*"])),
    "stale-finding": (changed(finding_time=days_ago(8)), policy()),
    "too-new": (changed(description={"creation_date": days_ago(8)}), policy()),
    "custom-key-store": (changed(description={"origin": "AWS_CLOUDHSM"}), policy()),
    "imported-material": (changed(description={"origin": "EXTERNAL"}), policy()),
    "replicas-remain": (
        changed(
            key_arn=PRIMARY,
            description={
                "multi_region_type": "PRIMARY",
                "primary": PRIMARY,
                "replicas": (REPLICA,),
            },
        ),
        policy(),
    ),
    "protected-tag": (changed(tags={"keysweep:keep": ""}), policy()),
    "active-grant": (changed(grants=(GRANT,)), policy()),
    "shared-outside": (changed(key_policy={"outside": (OUTSIDER,)}), policy()),
    "not-cancellable": (changed(key_policy={"account_root": False}), policy()),
    "declared-in-code": (changed(declarations=Declarations(found=(STACK,))), policy()),
    "in-use": (changed(references=References(found=(VOLUME,))), policy()),
    "disabled-too-recently": (
        changed(history={"last_change": event("DisableKey", 8)}),
        policy(),
    ),
    "restored": (
        changed(history={"last_change": CANCELLATION, "cancellations": (CANCELLATION,)}),
        policy(),
    ),
    "alias-moved": (
        changed(
            alias_moves={
                "moved": (AliasMove(alias="alias/x", key_id="other", time=days_ago(8)),),
            }
        ),
        policy(),
    ),
    "used-recently": (changed(last_use={"used": days_ago(8)}), policy()),
    "use-attempted": (
        changed(use_attempts={"attempts": (UseAttempt(event="Decrypt", time=days_ago(8)),)}),
        policy(),
    ),
}
"""For each rule a key that is needed for this one reason: without the rule it would be lost."""


def check_that_it_is_held_for_this_alone(rule: str, *, without: str = "") -> None:
    evidence, under = ONLY_REASON[rule]
    assert held_by(evidence, under, without=without) == {rule}


def test_no_rule_holds_the_dead_key() -> None:
    assert held_by(DEAD) == set()


@pytest.mark.parametrize("rule", sorted(ONLY_REASON))
def test_held_for_this_reason_alone(rule: str) -> None:
    check_that_it_is_held_for_this_alone(rule)


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_removing_any_rule_is_noticed(rule: str) -> None:
    """Mutation over the registry: without the rule, the test of its name above fails."""
    with pytest.raises(AssertionError):
        check_that_it_is_held_for_this_alone(rule, without=rule)


def test_without_its_rule_a_key_is_scheduled() -> None:
    for rule, (evidence, under) in ONLY_REASON.items():
        assert held_by(evidence, under, without=rule) == set()


def test_every_rule_is_declared_in_full() -> None:
    assert {rule.id for rule in RULES} == set(ONLY_REASON)
    for rule in RULES:
        assert rule.sentence.endswith("."), rule.id
        assert rule.clears.endswith("."), rule.id
        assert set(rule.needs) <= PIECES
        assert rule.needed(Policy()) <= set(rule.needs)


def test_no_piece_of_evidence_is_without_a_rule_or_a_use() -> None:
    """Some are for review alone; everything else is read because a rule needs it."""
    assert {piece for rule in RULES for piece in rule.needs} == PIECES - FOR_REVIEW


FOLDER = Path(next(iter(package.__path__)))
PURE = {
    "__future__",
    "collections.abc",
    "dataclasses",
    "enum",
    "datetime",
    "functools",
    "importlib",
    "pkgutil",
    "re",
    "typing",
    "unicodedata",
}
OURS = {"models", "policy", "errors", "wording"}


@pytest.mark.parametrize("module", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_rules_are_pure(module: Path) -> None:
    """No I/O and no clock: they import nothing that has any, and call no `now` or `today`."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= PURE
        elif isinstance(node, ast.ImportFrom):
            allowed = {0: PURE, 1: None, 2: OURS}[node.level]
            assert allowed is None or node.module in allowed
        elif isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            assert name not in {"now", "today", "utcnow", "open", "print", "eval", "exec"}


def test_guard_evaluates_the_rules_about_use() -> None:
    about = {
        what: {rule.id for rule in RULES if rule.while_pending is what} for what in WhilePending
    }
    assert about[WhilePending.EVENTS] == {
        "alias-moved",
        "restored",
        "use-attempted",
        "used-recently",
    }
    assert about[WhilePending.EVALUATE] == {"active-grant", "in-use", "shared-outside"}
