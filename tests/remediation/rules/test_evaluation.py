"""Properties of the one evaluation: it fails closed, and more doubt never frees a key."""

from __future__ import annotations

import random
from datetime import date, timedelta

from dead_key import (
    ACCOUNT,
    DEAD,
    NOW,
    OUTSIDER,
    PRIMARY,
    REPLICA,
    changed,
    days_ago,
    decision_on,
    evaluated,
    event,
    gap_of,
    policy,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from lifted_rules import lift

from keysweep.remediation.models import (
    PIECES,
    AliasMove,
    Declaration,
    Declarations,
    Evidence,
    Grant,
    NotFound,
    Reference,
    References,
    Unreadable,
    UseAttempt,
    VerdictKind,
)
from keysweep.remediation.planner import FOR_REVIEW, verdict
from keysweep.remediation.policy import Policy
from keysweep.remediation.rules import RULES, UNREADABLE, evaluate, pieces_used

UNKNOWN = Unreadable(unreadable="AccessDeniedException in eu-west-1", permission="kms:Some")
GRANT = Grant(grant_id="g", grantee_principal=f"arn:aws:iam::{OUTSIDER}:role/r")
STACK = Declaration(tool="cloudformation", owner="shop Key", source="eu-west-1", fix="remove it")
VOLUME = Reference(service="ec2", resource="vol-1", region="eu-west-1", field="KmsKeyId")
GAP = gap_of(service="s3", region="eu-west-1", why="denied")
CANCELLATION = event("CancelKeyDeletion", 3)
MOVE = AliasMove(alias="alias/shop", key_id="other", time=days_ago(40))

WORSE: dict[str, list[object]] = {
    "finding_time": [days_ago(20)],
    "description": [
        UNKNOWN,
        NotFound(),
        *(
            changed(description=part).description
            for part in (
                {"creation_date": days_ago(2)},
                {"origin": "EXTERNAL"},
                {"custom_key_store_id": "cks-1"},
                {"multi_region_type": "PRIMARY", "primary": PRIMARY, "replicas": (REPLICA,)},
            )
        ),
    ],
    "tags": [UNKNOWN, {"Keysweep:KEEP ": "no"}],
    "aliases": [UNKNOWN, ("alias/prod",)],
    "grants": [UNKNOWN, (GRANT,)],
    "key_policy": [
        UNKNOWN,
        *(
            changed(key_policy=part).key_policy
            for part in (
                {"outside": ("everyone",)},
                {"account_root": False},
                {"problem": "it is not JSON"},
            )
        ),
    ],
    "rotations": [UNKNOWN],
    "later_aliases": [UNKNOWN],
    "alias_moves": [
        UNKNOWN,
        changed(alias_moves={"moved": (MOVE,)}).alias_moves,
        changed(alias_moves={"possible": (MOVE,)}).alias_moves,
        changed(alias_moves={"since": days_ago(3)}).alias_moves,
    ],
    "declarations": [UNKNOWN, Declarations(found=(STACK,))],
    "references": [UNKNOWN, References(found=(VOLUME,)), References(gaps=(GAP,))],
    "history": [
        UNKNOWN,
        changed(history={"last_change": CANCELLATION, "cancellations": (CANCELLATION,)}).history,
        changed(history={"last_change": event("EnableKey", 60)}).history,
    ],
    "last_use": [UNKNOWN, changed(last_use={"used": days_ago(1)}).last_use],
    "use_attempts": [
        UNKNOWN,
        changed(
            use_attempts={"attempts": (UseAttempt(event="Decrypt", time=days_ago(1)),)}
        ).use_attempts,
    ],
}
"""Ways in which each piece may be worse than that of a dead key."""

RULE_IDS = tuple(rule.id for rule in RULES)


@st.composite
def evidences(draw: st.DrawFn, *, missing: bool = True) -> Evidence:
    """A dead key of which any pieces are worse, unknown, or were not asked."""
    pieces = dict(DEAD)
    for name, worse in WORSE.items():
        choices = [pieces[name], *worse, *([None] if missing else [])]
        pieces[name] = draw(st.sampled_from(choices))
    return Evidence.model_validate(pieces)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy with exceptions, in force or over, and other limits."""
    exceptions = draw(st.sets(st.sampled_from(RULE_IDS), max_size=5))
    until = draw(st.sampled_from([date(2026, 10, 31), date(2026, 11, 1), date(2027, 1, 1)]))
    return policy(
        exceptions=[lift(rule, until) for rule in sorted(exceptions)],
        coverage_exceptions=draw(st.sampled_from([[], [decision_on(GAP)]])),
        protected_keys=draw(st.sampled_from([[], ["alias/prod*"], ["all"]])),
        accounts=draw(st.sampled_from([{}, {"deny": [ACCOUNT]}])),
        min_age_days=draw(st.integers(0, 60)),
        overrides=draw(
            st.sampled_from([[], [{"accounts": [ACCOUNT], "set": {"min_age_days": 0}}]])
        ),
    )


def kind_of(evidence: Evidence, under: Policy) -> VerdictKind:
    return verdict(evidence, evaluated(evidence, under))[0]


@given(evidences(missing=False), policies())
def test_an_unknown_that_an_active_rule_needs_is_never_scheduled(
    evidence: Evidence, under: Policy
) -> None:
    needed = pieces_used(evidence, under, NOW)
    assume(any(isinstance(getattr(evidence, piece), Unreadable) for piece in needed))
    assert evaluated(evidence, under).holds
    assert kind_of(evidence, under) is not VerdictKind.SCHEDULE


@given(evidences(), policies())
def test_a_key_whose_evidence_was_not_read_is_never_scheduled(
    evidence: Evidence, under: Policy
) -> None:
    needed = pieces_used(evidence, under, NOW)
    missing = {piece for piece in needed if getattr(evidence, piece) is None}
    assume(missing)
    evaluation = evaluated(evidence, under)
    assert evaluation.holds or evaluation.unasked
    assert evaluation.unasked <= missing
    assert kind_of(evidence, under) is not VerdictKind.SCHEDULE


@given(evidences(missing=False), policies(), st.data())
def test_more_doubt_never_frees_a_key(
    evidence: Evidence, under: Policy, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(WORSE)))
    worse = data.draw(st.sampled_from(WORSE[name]))
    assume(getattr(evidence, name) == getattr(DEAD, name))
    doubted = Evidence.model_validate({**dict(evidence), name: worse})
    if evaluated(evidence, under).holds:
        assert evaluated(doubted, under).holds


@given(evidences(missing=False), policies(), st.sets(st.sampled_from(RULES)))
def test_another_rule_only_adds_reasons(evidence: Evidence, under: Policy, some: set) -> None:
    fewer = evaluate(evidence, under, NOW, rules=[rule for rule in RULES if rule in some])
    assert set(fewer.holds) <= set(evaluated(evidence, under).holds)


@given(evidences(missing=False), policies(), st.sampled_from(RULE_IDS))
def test_an_exception_takes_away_the_reasons_of_its_rule_alone(
    evidence: Evidence, under: Policy, rule: str
) -> None:
    before = evaluated(evidence, under.model_copy(update={"exceptions": ()}))
    exception_for = {
        "key": str(evidence.key_arn),
        "rule": rule,
        "reason": "x",
        "approved_by": "security",
        "until": "2026-11-01",
    }
    exceptions = evaluated(
        evidence, policy(**{**under.model_dump(), "exceptions": [exception_for]})
    )
    kept = {hold for hold in before.holds if hold.rule != rule}
    assert set(exceptions.holds) == kept
    if not isinstance(evidence.description, Unreadable | NotFound):
        lifted = {hold.rule for hold in before.holds} & {rule}
        assert {one.rule for one in exceptions.exceptions if one.region is None} == lifted


@given(evidences(), policies(), st.randoms(use_true_random=False))
def test_no_order_matters(evidence: Evidence, under: Policy, shuffle: random.Random) -> None:
    rules = list(RULES)
    shuffle.shuffle(rules)
    pieces = list(dict(evidence).items())
    shuffle.shuffle(pieces)
    turned = Evidence.model_validate(dict(pieces))
    one, other = evaluated(evidence, under), evaluate(turned, under, NOW, rules=rules)
    assert set(one.holds) == set(other.holds)
    assert set(one.exceptions) == set(other.exceptions)
    assert one.unasked == other.unasked


@given(evidences(), policies())
def test_evaluating_all_rules_changes_no_verdict(evidence: Evidence, under: Policy) -> None:
    lazily = evaluate(evidence, under, NOW)
    thoroughly = evaluate(evidence, under, NOW, ask_all=True)
    assert lazily.holds == thoroughly.holds
    assert lazily.exceptions == thoroughly.exceptions
    assert lazily.unasked <= thoroughly.unasked


@given(evidences(), policies())
def test_nothing_more_is_read_about_a_held_key(evidence: Evidence, under: Policy) -> None:
    evaluation = evaluate(evidence, under, NOW)
    assert not (evaluation.holds and evaluation.unasked)


def test_each_unreadable_piece_alone_holds_and_names_what_clears_it() -> None:
    for piece in PIECES - FOR_REVIEW:
        evaluation = evaluated(Evidence.model_validate({**dict(DEAD), piece: UNKNOWN}))
        assert evaluation.holds, piece
        assert all("AccessDeniedException in eu-west-1" in h.message for h in evaluation.holds)
        if piece != "description":
            assert all("allow kms:Some" in hold.message for hold in evaluation.holds), piece


def test_no_exception_lifts_the_unreadable_key() -> None:
    everything = [*map(lift, RULE_IDS)]
    for nothing in (UNKNOWN, NotFound()):
        evaluation = evaluated(changed(description=nothing), policy(exceptions=everything))
        assert {hold.rule for hold in evaluation.holds} == {UNREADABLE}


def test_an_evaluation_depends_on_the_moment_that_it_is_given() -> None:
    evidence = changed(description={"creation_date": NOW - timedelta(days=5)})
    later = NOW + timedelta(days=25)
    fresh = evidence.model_copy(update={"finding_time": later})
    assert evaluate(evidence, Policy(), NOW).holds
    assert not evaluate(fresh, Policy(), later).holds
