"""The planner: turn findings into a plan, reading the cheapest evidence first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from .aws import Clock, select
from .evidence import SOURCES, Collector
from .evidence.history.athena import PIECES as HISTORY
from .evidence.history.athena import AthenaHistory
from .evidence.history.event_history import EventHistory
from .evidence.history.joining import join_records
from .evidence.owner import lead_of, owner_of
from .evidence.rotations import monthly_cost
from .findings import Results, candidates, is_plan_candidate
from .iac import NO_CODE, Code
from .models import (
    NEXT_WAVE,
    PENDING_DELETION,
    PIECES,
    Declarations,
    Evidence,
    Finding,
    FindingRecord,
    Hold,
    KeyArn,
    KeyDescription,
    KeyHistory,
    NotFound,
    PlanItem,
    Unreadable,
    VerdictKind,
)
from .plan import LIMITS, Plan, PlanItems, Summing
from .plan_diff import compare
from .planfile import digest_of
from .policy import Policy
from .rules import Evaluation, evaluate

_LAST: Final = datetime.max.replace(tzinfo=UTC)

FOR_REPORT: Final = frozenset({"aliases"})
"""Pieces of evidence that the report shows of every key that is not skipped."""

FOR_REVIEW: Final = frozenset({"later_aliases", "rotations"})
"""Pieces of evidence that the report shows of keys to schedule."""


def verdict(evidence: Evidence, evaluation: Evaluation) -> tuple[VerdictKind, tuple[Hold, ...]]:
    """The verdict on a key, and the reasons for a hold or a skip."""
    description = evidence.description
    if isinstance(description, NotFound):
        return VerdictKind.SKIP, (Hold(rule="not-found", message="key not found"),)
    if isinstance(description, KeyDescription):
        if description.key_manager != "CUSTOMER":
            return VerdictKind.SKIP, (Hold(rule="aws-managed", message="AWS manages this key"),)
        if description.key_state in PENDING_DELETION:
            return VerdictKind.SKIP, (Hold(rule="already-pending", message=_pending(description)),)
        if description.key_state != "Disabled":
            message = f"the key is {description.key_state}, not Disabled"
            return VerdictKind.SKIP, (Hold(rule="not-disabled", message=message),)
    if evaluation.holds:
        return VerdictKind.HOLD, evaluation.holds
    if description is None or evaluation.unasked:
        missing = ", ".join(sorted(evaluation.unasked | {"description"}))
        return VerdictKind.HOLD, (Hold(rule="not-asked", message=f"not read: {missing}"),)
    return VerdictKind.SCHEDULE, ()


def _pending(description: KeyDescription) -> str:
    if description.deletion_date is None:
        return "already pending deletion, once its last replica is deleted"
    return f"already pending deletion, until {description.deletion_date:%Y-%m-%d}"


def build(
    results: Results,
    policy: Policy,
    collector: Collector,
    *,
    explain: bool = False,
    code: Code = NO_CODE,
    history: AthenaHistory | None = None,
    since: Plan | None = None,
) -> Plan:
    """Find the candidates, read their evidence, evaluate it, and make the plan.

    Every candidate is looked up in `code`, whatever else holds it. With `explain`, read every piece
    of evidence, also of keys on hold. `history` is the table in Athena that the collector's
    sources query; the event history then shows the last days of the keys to schedule. `since` is an
    earlier plan to compare with.
    """
    from .evidence.references.checked import checked_with, newer  # import botocore
    from .evidence.references.entries import reference_list

    clock = collector.accounts.clock
    started = clock.elapsed()
    traced = code.map_findings(results.findings, collector.accounts)
    named = [finding.key_arn for finding in traced.findings if finding.key_arn is not None]
    by_key = candidates(traced.findings, is_plan_candidate)
    selected = select(collector.accounts, by_key, named)

    def begin(arn: KeyArn) -> Evidence:
        owners = traced.declared_in(arn)
        return Evidence(
            key_arn=arn,
            finding_time=max((f.time for f in by_key[arn] if f.time is not None), default=None),
            declarations=Declarations(found=owners) if owners else None,
        )

    evidence_of = collector.collect(selected.keys, _Missing(policy, clock, explain), begin)
    now = clock.now().replace(microsecond=0)
    items = PlanItems()
    unread = _UnreadAccounts()
    for arn in sorted(selected.keys):
        item = _item(evidence_of[arn], by_key[arn], policy, now, explain=explain)
        unread.add(item)
        items.append(item)
    items = first_wave(items, policy.max_keys)
    if history is not None:
        fresh = _fresh(collector, history, [i for i in items if i.verdict is VerdictKind.SCHEDULE])
        items = PlanItems(
            _item(fresh[i.key_arn], by_key[i.key_arn], policy, now, explain=explain)
            if i.key_arn in fresh
            else i
            for i in items
        )
    summary = Summing()
    for item in items:
        summary.add(item)
    plan = Plan(
        created_at=now,
        # Counted back from AWS's time: before the first answer, the clock is this machine's.
        evidence_from=now - timedelta(seconds=ceil(clock.elapsed() - started)),
        policy=policy,
        sources=results.sources,
        unread_accounts=unread.sentences,
        warnings=(
            *selected.notes,
            *results.warnings,
            *code.warnings,
            *filter(None, [newer(reference_list())]),
        ),
        limits=(*LIMITS, checked_with(reference_list())),
        unusable=results.unusable,
        summary=summary.done(),
        history=None if history is None else str(history.name),
        all_reasons=explain,
        code_looked_at=code.owns_resources,
        unmapped=tuple(one for one in traced.unmapped if is_plan_candidate(one.finding)),
        since=None
        if since is None
        else compare(since.digest, since.created_at, since.items, items),
        items=items,
    )
    return plan.model_copy(update={"digest": digest_of(plan)})


@dataclass(frozen=True)
class _Missing:
    """The pieces of evidence that the verdict on a key still needs."""

    policy: Policy
    clock: Clock
    explain: bool

    def __call__(self, evidence: Evidence) -> frozenset[str]:
        now, explain = self.clock.now(), self.explain
        if evidence.description is None:
            # A key that code declares may be gone or enabled by now: only DescribeKey can tell.
            bare = evidence.model_copy(update={"declarations": None})
            free = evaluate(bare, self.policy, now, ask_all=explain)
            return frozenset({"description"}) if explain or not free.holds else frozenset()
        evaluation = evaluate(evidence, self.policy, now, ask_all=explain)
        kind, _ = verdict(evidence, evaluation)
        if explain and not isinstance(evidence.description, NotFound | Unreadable):
            return frozenset(piece for piece in PIECES if getattr(evidence, piece) is None)
        if kind is VerdictKind.SKIP:
            return frozenset()
        shown = FOR_REPORT | (FOR_REVIEW if kind is VerdictKind.SCHEDULE else frozenset())
        return evaluation.unasked | {p for p in shown if getattr(evidence, p) is None}

    def only(self, _keys: Sequence[KeyArn]) -> _Missing:
        """The same: it knows nothing about single keys."""
        return self


def _fresh(
    collector: Collector, history: AthenaHistory, items: Sequence[PlanItem]
) -> Mapping[KeyArn, Evidence]:
    """The evidence of keys to schedule, with the days that the log files may not have yet."""
    before = {item.key_arn: item.evidence for item in items}
    read = {
        arn: frozenset(piece for piece in HISTORY if getattr(evidence, piece) is not None)
        for arn, evidence in before.items()
    }
    newest = dict(SOURCES)
    newest["use_attempts"] = EventHistory().use_attempts(history.until)
    again = replace(collector, sources=newest, jobs=1).collect(
        before,
        lambda e: frozenset(p for p in read[e.key_arn] if getattr(e, p) is None),
        lambda arn: before[arn].model_copy(update=dict.fromkeys(read[arn])),
    )
    return {arn: join_records(before[arn], again[arn], history.until) for arn in before}


def first_wave(items: PlanItems, most: int) -> PlanItems:
    """The items with at most so many to schedule, those disabled for longest; the others wait.

    A key that was disabled at an unknown time comes last.
    """
    ready = [
        (_disabled_since(item.evidence), item.key_arn)
        for item in items
        if item.verdict is VerdictKind.SCHEDULE
    ]
    if len(ready) <= most:
        return items
    ready.sort(key=lambda one: (one[0] is None, one[0] or _LAST, one[1]))
    later = {arn for _, arn in ready[most:]}
    message = (
        f"{len(ready)} keys can be scheduled, and max_keys allows {most} at once. "
        "Plan again after this plan is applied"
    )
    changes = {
        "verdict": VerdictKind.HOLD,
        "reasons": (Hold(rule=NEXT_WAVE, message=message),),
    }
    return PlanItems(
        item.model_copy(update=changes) if item.key_arn in later else item for item in items
    )


def _disabled_since(evidence: Evidence) -> datetime | None:
    history = evidence.history
    return history.disabled_since if isinstance(history, KeyHistory) else None


class _UnreadAccounts:
    """Accounts of which no key could be read, with the cause of the first."""

    def __init__(self) -> None:
        self._read: set[str] = set()
        self._unread: dict[str, list[str]] = {}

    def add(self, item: PlanItem) -> None:
        description = item.evidence.description
        if isinstance(description, Unreadable):
            self._unread.setdefault(item.account_id, []).append(description.unreadable)
        elif description is not None:
            self._read.add(item.account_id)

    @property
    def sentences(self) -> tuple[str, ...]:
        """One for each account."""
        return tuple(
            f"No key of account {account} could be read (keys: {len(why)}). {why[0]}"
            for account, why in sorted(self._unread.items())
            if account not in self._read
        )


def _item(
    evidence: Evidence,
    findings: Sequence[Finding],
    policy: Policy,
    now: datetime,
    *,
    explain: bool,
) -> PlanItem:
    evaluation = evaluate(evidence, policy, now, ask_all=explain)
    kind, reasons = verdict(evidence, evaluation)
    return PlanItem(
        key_arn=evidence.key_arn,
        account_id=evidence.key_arn.account_id,
        region=evidence.key_arn.region,
        verdict=kind,
        reasons=reasons,
        exceptions=evaluation.exceptions,
        pending_window_days=policy.for_key(evidence.key_arn).pending_window_days,
        monthly_cost_usd=monthly_cost(evidence),
        owner=owner_of(evidence, policy),
        lead=lead_of(evidence),
        evidence=evidence,
        findings=tuple(
            FindingRecord(**{name: getattr(finding, name) for name in FindingRecord.model_fields})
            for finding in findings
        ),
    )
