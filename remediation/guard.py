"""The watch over the waiting period: pending keys that somebody wants after all.

A key is wanted when what happened since its deletion was scheduled would hold it in a plan: the
same evidence, and the same `judge`. Given the plan, every difference from what was reviewed counts
too, as it does for `apply`. That nothing was seen is weak, and is never called "unused".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Connection
from .aws.accounts import AccountRegion
from .aws.failures import explain
from .errors import AccountUnavailable, TruncatedResponse
from .evidence import Collector
from .journal import USE_SHOWS_LATE, History, KeyRecord
from .lifecycle import PENDING, Situation, State, state_of
from .models import (
    PENDING_DELETION,
    AliasMove,
    AliasMoves,
    Evidence,
    Hold,
    KeyArn,
    KeyDescription,
    KeyHistory,
    KeyResult,
    LastUse,
    Model,
    NotFound,
    PlanItem,
    References,
    Time,
    Unreadable,
    UseAttempts,
)
from .plan import Plan
from .policy import Policy
from .rules import RULES, evaluate
from .write import GONE_EARLY, NOT_SHOWN_YET, who_began_it

NEAR_DAYS: Final = 3
"""A key this near to its end is told of, wanted or not."""

WANTING: Final = frozenset(
    {"active-grant", "alias-moved", "in-use", "restored", "shared-outside", "use-attempted"}
    | {"used-recently"}
)
"""The rules that hold a key because somebody needs it; the others ask for age, kind or patience,
which were judged when the key was scheduled."""

IN_THE_WINDOW: Final = frozenset({"alias-moved", "restored", "use-attempted", "used-recently"})
"""Rules about what happened. Only what happened while the key waited counts, and no waiver lifts
that: it was given for the past."""

COMPARED: Final = frozenset({"aliases", "grants", "key_policy", "references"})
"""Pieces of which every difference from the plan is a sign."""

_RULES: Final = tuple(rule for rule in RULES if rule.id in WANTING)

PIECES: Final = frozenset({"aliases", "history"}.union(*(rule.needs for rule in _RULES)))
"""Everything that may be read of a pending key, after its description."""

LIST_PERMISSION: Final = "kms:ListKeys"
"""Needed for `--all` alone."""

NO_ATTEMPT: Final = "no attempt seen (weak)"


class GuardRow(Model):
    """One key of the watch; a line of `--format json`."""

    key_arn: KeyArn
    """ARN of the key."""
    state: str
    """AWS's key state; `deleted` when the key is gone, `unknown` when it cannot be read."""
    deletion_date: Time | None = None
    """When AWS deletes the key; None: not pending, or a primary that waits for its replicas."""
    days_left: int | None = None
    """Whole days until the deletion date."""
    wanted: bool = False
    """Somebody wants a key that is pending deletion."""
    signs: tuple[Hold, ...] = ()
    """Why it is wanted: the rule, or `changed`, and a sentence."""
    unread: tuple[Hold, ...] = ()
    """What could not be looked at, and why. It is no sign, and no all-clear."""
    notes: tuple[str, ...] = ()
    """What else a person should know: a date that moved, a deletion that was cancelled, an end
    that is near."""
    use: str = ""
    """Attempts to use it since `apply` last looked, and in the 60 minutes before, in words."""
    rescue: KeyResult | None = None
    """What became of its cancellation, where that was asked for."""


def watch(
    history: History,
    keys: Iterable[KeyArn],
    collector: Collector,
    policy: Policy,
    *,
    plan: Plan | None = None,
    near_days: int = NEAR_DAYS,
) -> tuple[GuardRow, ...]:
    """Look at each of these keys; a row for each, in their order. Changes nothing."""
    keys = tuple(keys)
    reviewed = plan.by_key if plan is not None else {}
    lasting = policy.model_copy(
        update={
            "exceptions": tuple(one for one in policy.exceptions if one.rule not in IN_THE_WINDOW)
        }
    )

    def wanted(evidence: Evidence) -> frozenset[str]:
        now = collector.accounts.clock.now()
        return _wanted(evidence, lasting, reviewed.get(evidence.key_arn), now)

    evidence_of = collector.collect(keys, wanted)
    now = collector.accounts.clock.now()
    return tuple(
        _row(
            evidence_of[arn],
            history.keys.get(arn) or KeyRecord(arn),
            reviewed.get(arn),
            lasting,
            now,
            timedelta(days=near_days),
        )
        for arn in keys
    )


def _wanted(
    evidence: Evidence, policy: Policy, reviewed: PlanItem | None, now: datetime
) -> frozenset[str]:
    """What is to be read: of a key that is not pending only who cancelled its deletion."""
    description = evidence.description
    if description is None:
        return frozenset({"description"})
    if not isinstance(description, KeyDescription):
        return frozenset()
    pieces = {"aliases", "history"}
    if description.key_state in PENDING_DELETION:
        in_force = policy.for_key(evidence.key_arn)
        for rule in _RULES:
            if in_force.exception_for(rule.id, evidence, now) is None:
                pieces |= rule.needed(in_force)
        if reviewed is not None:
            pieces |= {p for p in COMPARED if getattr(reviewed.evidence, p) is not None}
    return frozenset(piece for piece in pieces if getattr(evidence, piece) is None)


def _row(
    evidence: Evidence,
    record: KeyRecord,
    reviewed: PlanItem | None,
    policy: Policy,
    now: datetime,
    near: timedelta,
) -> GuardRow:
    arn, seen = evidence.key_arn, evidence.description
    if seen is None or isinstance(seen, Unreadable):
        why = seen.unreadable if isinstance(seen, Unreadable) else "not asked"
        return GuardRow(
            key_arn=arn, state="unknown", unread=(Hold(rule="unreadable-key", message=why),)
        )
    state = state_of(record, seen, now)
    if isinstance(seen, NotFound):
        early = state.situation is Situation.GONE_EARLY
        return GuardRow(key_arn=arn, state="deleted", notes=(GONE_EARLY,) if early else ())
    since = record.scheduled.time if record.scheduled is not None else None
    if state.situation not in PENDING:
        note = _not_pending(state.situation, record) or _cancelled(evidence, since)
        return GuardRow(key_arn=arn, state=seen.key_state, notes=(note,))
    start = record.watch_use_from or _began(seen, now) - USE_SHOWS_LATE
    windowed = _since(evidence, start, reviewed)
    signs, unread = _evaluated(windowed, policy, now)
    if reviewed is not None:
        signs += _changed(evidence, reviewed)
    left = None if seen.deletion_date is None else max(0, (seen.deletion_date - now).days)
    return GuardRow(
        key_arn=arn,
        state=seen.key_state,
        deletion_date=seen.deletion_date,
        days_left=left,
        wanted=bool(signs),
        signs=signs,
        unread=unread,
        notes=tuple(_notes(seen, state, arn, now, near)),
        use=_use(windowed),
    )


def _began(seen: KeyDescription, now: datetime) -> datetime:
    """When a deletion that is in no journal began at the earliest: no window exceeds 30 days."""
    if seen.deletion_date is None:
        return now - timedelta(days=30)
    return min(now, seen.deletion_date - timedelta(days=30))


def _since(evidence: Evidence, start: datetime, reviewed: PlanItem | None) -> Evidence:
    """The evidence of what happened, without what happened before that moment."""
    changes: dict[str, object] = {}
    attempts, use, history = evidence.use_attempts, evidence.last_use, evidence.history
    if isinstance(attempts, UseAttempts):
        later = tuple(one for one in attempts.attempts if one.time >= start)
        changes["use_attempts"] = attempts.model_copy(update={"attempts": later})
    if isinstance(use, LastUse) and (use.used is None or use.used < start):
        changes["last_use"] = LastUse(tracking_start=use.tracking_start, never=True)
    if isinstance(history, KeyHistory):
        cancellations = tuple(one for one in history.cancellations if one.time >= start)
        changes["history"] = history.model_copy(update={"cancellations": cancellations})
    if isinstance(evidence.alias_moves, AliasMoves):
        changes["alias_moves"] = _moves_since(evidence.alias_moves, start, reviewed)
    return evidence.model_copy(update=changes)


def _moves_since(moves: AliasMoves, start: datetime, reviewed: PlanItem | None) -> AliasMoves:
    """Without earlier moves, and without those of aliases that the key had not when reviewed."""
    then = reviewed.evidence.aliases if reviewed is not None else None

    def may_be(move: AliasMove) -> bool:
        return move.time >= start and (not isinstance(then, tuple) or move.alias in then)

    return moves.model_copy(
        update={
            "moved": tuple(move for move in moves.moved if move.time >= start),
            "possible": tuple(filter(may_be, moves.possible)),
        }
    )


def _evaluated(
    evidence: Evidence, policy: Policy, now: datetime
) -> tuple[tuple[Hold, ...], tuple[Hold, ...]]:
    """What the rules say: who wants the key, and what could not be looked at."""
    holds = evaluate(evidence, policy, now, rules=_RULES).holds
    blind = {
        rule.id
        for rule in _RULES
        if any(isinstance(getattr(evidence, piece), Unreadable) for piece in rule.needs)
    }
    unread = tuple(hold for hold in holds if hold.rule in blind or hold.gaps)
    return tuple(hold for hold in holds if hold not in unread), unread


def _changed(evidence: Evidence, reviewed: PlanItem) -> tuple[Hold, ...]:
    """Differences from what was reviewed; what was not read now, or then, is none."""
    unknown = {p: None for p in COMPARED if isinstance(getattr(evidence, p), Unreadable)}
    now = evidence.model_copy(update=unknown)
    if isinstance(now.references, References):
        now = now.model_copy(update={"references": now.references.model_copy(update={"gaps": ()})})
    elsewhere = dict.fromkeys(frozenset(Evidence.model_fields) - COMPARED - {"key_arn"})
    before = reviewed.evidence.model_copy(update=elsewhere)
    return tuple(
        Hold(rule="changed", message=f"no longer as it was reviewed: {piece}")
        for piece in now.difference(before)
    )


def _not_pending(situation: Situation, record: KeyRecord) -> str:
    """Why a key of the journal is not pending, where that was nobody else's doing."""
    if situation is Situation.LATE:
        return NOT_SHOWN_YET
    if situation is Situation.RESTORED:
        return "its deletion was cancelled by an earlier run"
    return record.interrupted


def _cancelled(evidence: Evidence, since: datetime | None) -> str:
    """Who cancelled the deletion, as far as CloudTrail says."""
    history = evidence.history
    if isinstance(history, KeyHistory) and since is not None:
        cancellations = [one for one in history.cancellations if one.time >= since]
        if cancellations:
            last = max(cancellations, key=lambda one: one.time)
            return f"{last.who or 'somebody'} cancelled its deletion on {last.time:%Y-%m-%d}"
    if isinstance(history, Unreadable):
        return f"somebody else cancelled its deletion; who is not known: {history.unreadable}"
    return "somebody else cancelled its deletion"


def _notes(
    seen: KeyDescription, state: State, arn: KeyArn, now: datetime, near: timedelta
) -> Iterable[str]:
    promised, date = state.promised, seen.deletion_date
    if state.situation is Situation.UNDETERMINED:
        yield who_began_it(arn)
    if state.situation is Situation.DRIFTED and promised is not None and date is not None:
        yield f"its date moved from {promised:%Y-%m-%d} to {date:%Y-%m-%d}"
    if date is not None and date - now <= near:
        yield f"it ends on {date:%Y-%m-%d %H:%M} UTC"


def _use(evidence: Evidence) -> str:
    attempts = evidence.use_attempts
    if not isinstance(attempts, UseAttempts):
        return "not looked at"
    if not attempts.attempts:
        return NO_ATTEMPT
    count = len(attempts.attempts)
    refused = sum(one.error is not None for one in attempts.attempts)
    times = "1 attempt" if count == 1 else f"{count} attempts"
    least = "" if attempts.all_read else "at least "
    return f"{least}{times}, {'all' if refused == count else refused} refused"


def policy_of(plan: Plan | None, given: Policy | None, default: Policy) -> Policy:
    """The policy to judge by: the one given, else that of the plan, else the default."""
    if given is not None:
        return given
    return plan.policy if plan is not None else default


def with_rescues(rows: Iterable[GuardRow], results: Iterable[KeyResult]) -> tuple[GuardRow, ...]:
    """The rows with what became of the cancellations."""
    done: Mapping[KeyArn, KeyResult] = {result.key_arn: result for result in results}
    return tuple(row.model_copy(update={"rescue": done.get(row.key_arn)}) for row in rows)


def pending_keys(
    collector: Collector, regions: Iterable[str], account_ids: Iterable[str] = ()
) -> tuple[KeyArn, ...]:
    """Every key that is pending deletion in these Regions, or cannot be read there.

    Looks in the own account, or in those named; without Regions in the configured one. Raises
    AccountUnavailable when keys cannot be listed: a part of the list would read as all-clear.
    """
    accounts = collector.accounts
    own = [accounts.own_connection(region) for region in _named(regions)]
    account_regions = [
        AccountRegion(connection.partition, account_id, connection.region)
        for account_id in sorted(account_ids) or [own[0].account_id]
        for connection in own
    ]
    listed = [
        arn
        for account_region in account_regions
        for arn in _listed(accounts.connect(account_region))
    ]
    evidence_of = collector.collect(
        listed,
        lambda evidence: frozenset({"description"} if evidence.description is None else ()),
    )
    return tuple(arn for arn in listed if _may_be_pending(evidence_of[arn].description))


def _named(regions: Iterable[str]) -> list[str | None]:
    """The Regions, or the configured one."""
    return [*regions] or [None]


def _listed(connection: Connection) -> list[KeyArn]:
    try:
        pages = connection.client("kms").get_paginator("list_keys").paginate()
        return [KeyArn.parse(key["KeyArn"]) for page in pages for key in page["Keys"]]
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        raise AccountUnavailable(
            f"the keys of account {connection.account_id} in {connection.region} cannot be listed: "
            f"{explain(error, connection, (LIST_PERMISSION,)).unreadable}; allow "
            f"{LIST_PERMISSION}, or leave the Region out"
        ) from error


def _may_be_pending(seen: KeyDescription | NotFound | Unreadable | None) -> bool:
    if isinstance(seen, KeyDescription):
        return seen.key_state in PENDING_DELETION
    return not isinstance(seen, NotFound)
