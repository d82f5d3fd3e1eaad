"""A key that no rule of the default policy holds, as evidence and in a plan.

Tests change one fact about it, and compare what follows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from keysweep.remediation.models import (
    AliasMoves,
    CoverageGap,
    Declarations,
    Evidence,
    KeyArn,
    KeyDescription,
    KeyHistory,
    KeyPolicy,
    LastUse,
    LaterAliases,
    PlanItem,
    References,
    StateChange,
    UseAttempts,
    VerdictKind,
)
from keysweep.remediation.plan import Plan, Summing
from keysweep.remediation.policy import Policy
from keysweep.remediation.rules import RULES, Evaluation, evaluate

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ACCOUNT = "111122223333"
OUTSIDER = "999988887777"
ARN = KeyArn.parse(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab")
PRIMARY = KeyArn.parse(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/mrk-1234abcd12ab34cd56ef1234567890ab")
REPLICA = KeyArn("aws", ACCOUNT, "us-east-1", PRIMARY.key_id)
BEGIN_OF_HISTORY = NOW - timedelta(days=90)
TRACKING_START = datetime(2026, 4, 23, tzinfo=UTC)

DEAD = Evidence(
    key_arn=ARN,
    finding_time=NOW - timedelta(hours=1),
    description=KeyDescription(
        key_manager="CUSTOMER",
        key_state="Disabled",
        origin="AWS_KMS",
        key_spec="SYMMETRIC_DEFAULT",
        key_usage="ENCRYPT_DECRYPT",
        creation_date=NOW - timedelta(days=900),
    ),
    tags={"team": "shop"},
    aliases=("alias/old-shop",),
    grants=(),
    key_policy=KeyPolicy(sha256="0" * 64, account_root=True),
    rotations=0,
    declarations=Declarations(),
    references=References(services=50),
    history=KeyHistory(since=BEGIN_OF_HISTORY),
    alias_moves=AliasMoves(since=BEGIN_OF_HISTORY),
    later_aliases=LaterAliases(count=0),
    last_use=LastUse(tracking_start=TRACKING_START),
    use_attempts=UseAttempts(since=BEGIN_OF_HISTORY),
)


def days_ago(days: float) -> datetime:
    """The moment so many days before NOW."""
    return NOW - timedelta(days=days)


def gap_of(service: str, region: str, why: str, **changes: Any) -> CoverageGap:
    """A coverage gap that AWS answered with a bare denial."""
    answer = {"operation": "List", "code": "AccessDenied", "message": "", "answer_class": "unclear"}
    return CoverageGap(service=service, region=region, why=why, **{**answer, **changes})


def decision_on(gap: CoverageGap) -> dict[str, object]:
    """A coverage exception for the very answer of a gap."""
    return {
        "accounts": [ACCOUNT],
        "regions": [gap.region],
        "service": gap.service,
        "operation": gap.operation,
        "answer": {"code": gap.code, "message": gap.message},
        "reason": f"no {gap.service}",
        "approved_by": "security",
        "until": (NOW + timedelta(days=30)).date(),
    }


def changed(**pieces: object) -> Evidence:
    """The dead key with other pieces of evidence; a dict changes parts of a piece."""
    now = dict(DEAD)
    for name, value in pieces.items():
        piece = now[name]
        part_of = isinstance(value, dict) and hasattr(piece, "model_copy")
        now[name] = type(piece).model_validate({**dict(piece), **value}) if part_of else value
    return Evidence.model_validate(now)


def event(name: str, days: float, who: str | None = "alice") -> StateChange:
    """A change of state so many days ago."""
    return StateChange(event=name, time=days_ago(days), who=who)


def policy(**values: object) -> Policy:
    """The default policy with other values."""
    return Policy.model_validate(values)


def evaluated(evidence: Evidence, under: Policy | None = None) -> Evaluation:
    """The evaluation of all rules at NOW."""
    return evaluate(evidence, under or Policy(), NOW)


def held_by(evidence: Evidence, under: Policy | None = None, *, without: str = "") -> set[str]:
    """The ids of the rules that hold the key, with one rule left out if wished."""
    rules = tuple(rule for rule in RULES if rule.id != without)
    evaluation = evaluate(evidence, under or Policy(), NOW, rules=rules)
    assert evaluation.unasked == frozenset() or evaluation.holds
    return {hold.rule for hold in evaluation.holds}


def messages_of(rule: str, evidence: Evidence, under: Policy | None = None) -> list[str]:
    """What one rule says about the key."""
    return [hold.message for hold in evaluated(evidence, under).holds if hold.rule == rule]


def plan_item(arn: KeyArn = ARN, **changes: Any) -> PlanItem:
    """An item of a plan: the dead key, to be scheduled, with these changes."""
    fields = {
        "key_arn": arn,
        "account_id": arn.account_id,
        "region": arn.region,
        "verdict": VerdictKind.SCHEDULE,
        "pending_window_days": 30,
        "monthly_cost_usd": 1.0,
        "evidence": changed(key_arn=arn),
    }
    return PlanItem.model_validate({**fields, **changes})


def plan_of(*items: PlanItem, **changes: Any) -> Plan:
    """A plan of these items, made at NOW under the default policy, with their summary."""
    summing = Summing()
    for item in items:
        summing.add(item)
    fields = {
        "created_at": NOW,
        "policy": Policy(),
        "sources": (),
        "summary": summing.done(),
        "items": items,
    }
    return Plan.model_validate({**fields, **changes})
