"""Watch keys during their waiting period: is a key that is pending deletion in use?

A key is in use if what happened since its deletion was scheduled would hold it in a plan: same
evidence, same `evaluate`. With the plan, every difference from the reviewed evidence counts too,
as in `apply`. No sign of use is weak evidence, and is never reported as "unused".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from .access import Access
from .aws import Clock
from .cancel import Batch
from .evidence import Collector
from .evidence.owner import owner_of
from .journal import DELIVERY_DELAY, USE_REPORTING_DELAY, History, KeyRecord, Location
from .key_listing import DescriptionOnly, list_keys, named_account_regions
from .lifecycle import (
    CANCELLED_ELSEWHERE,
    GONE_EARLY,
    NEAR_DAYS,
    NOT_VISIBLE_YET,
    PENDING,
    Situation,
    State,
    is_near,
    is_pending,
    state_of,
    undetermined_origin,
)
from .models import (
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
from .rules import RULES, WhilePending, evaluate
from .wording import counted
from .write import ALIVE

COMPARED: Final = frozenset({"aliases", "grants", "key_policy", "references"})
"""Pieces of evidence for which every difference from the plan is a sign of use."""

_RULES: Final = tuple(rule for rule in RULES if rule.while_pending is not WhilePending.IGNORE)
_EVENT_RULES: Final = frozenset(
    rule.id for rule in _RULES if rule.while_pending is WhilePending.EVENTS
)

GUARD_PIECES: Final = frozenset({"aliases", "history"}.union(*(rule.needs for rule in _RULES)))
"""Pieces of evidence that may be read for a pending key, besides its description."""

NO_ATTEMPT: Final = "no attempt seen (weak)"
NOT_READ: Final = "not read"
"""Value of `use` if attempts could not be read."""


UNREAD_STATE: Final = "unknown"
"""Value of `state` if the key could not be read."""


class GuardRow(Model):
    """One watched key; a line of `--format json`."""

    key_arn: KeyArn
    """ARN of the key."""
    alias: str = ""
    """First alias of the key, from AWS, the journal or the plan; empty: none, or unknown."""
    owner: str | None = None
    """Owner of the key, from the journal, the plan, or its tags and the policy; None: unknown."""
    state: str
    """Key state; `deleted` if the key was not found, `unknown` if it could not be read."""
    deletion_date: Time | None = None
    """Date on which AWS deletes the key; absent if it is not pending deletion, or is a primary key
    that waits for its replicas."""
    days_left: int | None = None
    """Whole days until the deletion date."""
    in_use: bool = False
    """Whether there are signs that a key pending deletion is in use."""
    signs: tuple[Hold, ...] = ()
    """The signs of use: a rule, or `changed`, and a message."""
    unreadable: tuple[Hold, ...] = ()
    """What could not be read, and why: neither a sign of use nor an all-clear."""
    notes: tuple[str, ...] = ()
    """Other events: a deletion date that changed, a cancelled deletion, a near deletion date."""
    use: str = ""
    """Attempts to use the key since 60 minutes before `apply` last read them."""
    checked_until: Time | None = None
    """CloudTrail usually shows events up to this time: 15 minutes before the run began to read.
    Absent if attempts could not be read, or the key is not pending deletion."""
    cancellation: KeyResult | None = None
    """Result of the cancellation, with `--cancel`."""

    @property
    def is_unchecked(self) -> bool:
        """Whether the key, or the attempts to use it, could not be read."""
        return self.state == UNREAD_STATE or self.use == NOT_READ

    @property
    def was_tried(self) -> bool:
        """Whether something tried to use it."""
        return self.checked_until is not None and self.use != NO_ATTEMPT


def watch(
    history: History,
    keys: Iterable[KeyArn],
    collector: Collector,
    policy: Policy,
    *,
    plan: Plan | None = None,
    near_days: int = NEAR_DAYS,
) -> tuple[GuardRow, ...]:
    """Read these keys again; a row for each, in their order. Changes nothing in AWS."""
    keys = tuple(keys)
    clock = collector.accounts.clock
    started = clock.elapsed()
    reviewed = plan.by_key if plan is not None else {}
    lasting = policy.model_copy(
        update={
            "exceptions": tuple(one for one in policy.exceptions if one.rule not in _EVENT_RULES)
        }
    )

    compared = {arn: _compared(reviewed[arn]) for arn in keys if arn in reviewed}
    evidence_of = collector.collect(keys, _Needed(lasting, clock, compared))
    now = clock.now()
    # Counted back from AWS's time: before the first answer, the clock is this machine's.
    began = now.replace(microsecond=0) - timedelta(seconds=ceil(clock.elapsed() - started))
    look = _Look(now, began - DELIVERY_DELAY, near_days, collector.accounts.access)

    def row_of(arn: KeyArn) -> GuardRow:
        evidence, item = evidence_of[arn], reviewed.get(arn)
        record = history.keys.get(arn) or KeyRecord(arn)
        row = _row(evidence, record, item, lasting, look)
        return row.model_copy(update=_identity(evidence, record, item, policy))

    return tuple(map(row_of, keys))


def _identity(
    evidence: Evidence, record: KeyRecord, reviewed: PlanItem | None, policy: Policy
) -> dict[str, str | None]:
    """Alias and owner of a key."""
    alias, owner = ("", None) if reviewed is None else (reviewed.evidence.alias, reviewed.owner)
    return {
        "alias": evidence.alias or record.alias or alias,
        "owner": record.owner or owner or owner_of(evidence, policy),
    }


@dataclass(frozen=True)
class _Look:
    """One run of `watch`."""

    now: datetime
    until: datetime
    """CloudTrail usually shows events up to this time."""
    near_days: int
    access: Access


def _compared(reviewed: PlanItem) -> frozenset[str]:
    """Pieces of a reviewed key to compare."""
    return frozenset(piece for piece in COMPARED if getattr(reviewed.evidence, piece) is not None)


@dataclass(frozen=True)
class _Needed:
    """Pieces still to be read; for a key that is not pending, only who cancelled its deletion."""

    policy: Policy
    clock: Clock
    compared: Mapping[KeyArn, frozenset[str]]
    """Pieces of the reviewed keys to compare."""

    def __call__(self, evidence: Evidence) -> frozenset[str]:
        description = evidence.description
        if description is None:
            return frozenset({"description"})
        if not isinstance(description, KeyDescription):
            return frozenset()
        pieces = {"aliases", "history"}
        if is_pending(description):
            in_force = self.policy.for_key(evidence.key_arn)
            for rule in _RULES:
                if in_force.exception_for(rule.id, evidence, self.clock.now()) is None:
                    pieces |= rule.needed(in_force)
            pieces |= self.compared.get(evidence.key_arn, frozenset())
        return frozenset(piece for piece in pieces if getattr(evidence, piece) is None)

    def only(self, keys: Iterable[KeyArn]) -> _Needed:
        """The same for these keys."""
        return replace(
            self, compared={arn: self.compared[arn] for arn in keys if arn in self.compared}
        )


def _row(
    evidence: Evidence,
    record: KeyRecord,
    reviewed: PlanItem | None,
    policy: Policy,
    look: _Look,
) -> GuardRow:
    arn, seen, now = evidence.key_arn, evidence.description, look.now
    if seen is None or isinstance(seen, Unreadable):
        why = seen.unreadable if isinstance(seen, Unreadable) else "not read"
        hold = Hold(rule="unreadable-key", message=why)
        return GuardRow(key_arn=arn, state=UNREAD_STATE, unreadable=(hold,))
    state = state_of(record, seen, now)
    if isinstance(seen, NotFound):
        early = state.situation is Situation.GONE_EARLY
        return GuardRow(key_arn=arn, state="deleted", notes=(GONE_EARLY,) if early else ())
    since = record.scheduled.time if record.scheduled is not None else None
    if state.situation not in PENDING:
        note = _not_pending(state.situation, record, look.access) or _cancelled(evidence, since)
        return GuardRow(key_arn=arn, state=seen.key_state, notes=(note,))
    start = record.watch_use_from or _began(seen, now) - USE_REPORTING_DELAY
    windowed = _since(evidence, start, reviewed)
    signs, unreadable = _evaluated(windowed, policy, now)
    if reviewed is not None:
        signs += _changed(evidence, reviewed)
    use = _use(windowed)
    left = None if seen.deletion_date is None else max(0, (seen.deletion_date - now).days)
    return GuardRow(
        key_arn=arn,
        state=seen.key_state,
        deletion_date=seen.deletion_date,
        days_left=left,
        in_use=bool(signs),
        signs=signs,
        unreadable=unreadable,
        notes=tuple(_notes(seen, state, arn, look)),
        use=use,
        checked_until=None if use == NOT_READ else look.until,
    )


def _began(seen: KeyDescription, now: datetime) -> datetime:
    """Earliest start of a deletion that is in no journal: no waiting period exceeds 30 days."""
    if seen.deletion_date is None:
        return now - timedelta(days=30)
    return min(now, seen.deletion_date - timedelta(days=30))


def _since(evidence: Evidence, start: datetime, reviewed: PlanItem | None) -> Evidence:
    """The evidence without events before that moment."""
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
    """Without earlier moves, and without those of aliases that the reviewed key did not have."""
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
    """Holds of the rules: signs of use, and what could not be read."""
    holds = evaluate(evidence, policy, now, rules=_RULES).holds
    blind = {
        rule.id
        for rule in _RULES
        if any(isinstance(getattr(evidence, piece), Unreadable) for piece in rule.needs)
    }
    unreadable = tuple(hold for hold in holds if hold.rule in blind or hold.gaps)
    return tuple(hold for hold in holds if hold not in unreadable), unreadable


def _changed(evidence: Evidence, reviewed: PlanItem) -> tuple[Hold, ...]:
    """Differences from the plan; pieces that were not read now, or then, are none."""
    unread = {p: None for p in COMPARED if isinstance(getattr(evidence, p), Unreadable)}
    now = evidence.model_copy(update=unread)
    if isinstance(now.references, References):
        now = now.model_copy(update={"references": now.references.model_copy(update={"gaps": ()})})
    elsewhere = dict.fromkeys(frozenset(Evidence.model_fields) - COMPARED - {"key_arn"})
    before = reviewed.evidence.model_copy(update=elsewhere)
    return tuple(
        Hold(rule="changed", message=f"changed since the plan: {piece}")
        for piece in now.difference(before)
    )


def _not_pending(situation: Situation, record: KeyRecord, access: Access) -> str:
    """Why a key of the journal is not pending, unless another principal cancelled its deletion."""
    if situation is Situation.NOT_VISIBLE_YET:
        return NOT_VISIBLE_YET
    if situation is Situation.RESTORED:
        return "An earlier run cancelled its deletion"
    return record.interrupted(access)


def _cancelled(evidence: Evidence, since: datetime | None) -> str:
    """Who cancelled the deletion, according to CloudTrail."""
    history = evidence.history
    if isinstance(history, KeyHistory) and since is not None:
        cancellations = [one for one in history.cancellations if one.time >= since]
        if cancellations:
            last = max(cancellations, key=lambda one: one.time)
            who = f" by {last.who}" if last.who else ""
            return f"Deletion cancelled outside this journal{who} on {last.time:%Y-%m-%d}"
    if isinstance(history, Unreadable):
        return f"{CANCELLED_ELSEWHERE}; the caller could not be read: {history.unreadable}"
    return CANCELLED_ELSEWHERE


def _notes(seen: KeyDescription, state: State, arn: KeyArn, look: _Look) -> Iterable[str]:
    promised, date = state.promised, seen.deletion_date
    if state.situation is Situation.UNDETERMINED:
        yield undetermined_origin(arn, look.access)
    if state.situation is Situation.DRIFTED and promised is not None and date is not None:
        yield f"Deletion date changed from {promised:%Y-%m-%d} to {date:%Y-%m-%d}"
    if date is not None and is_near(date, look.now, look.near_days):
        yield f"Deleted on {date:%Y-%m-%d %H:%M} UTC unless cancelled"


def _use(evidence: Evidence) -> str:
    attempts = evidence.use_attempts
    if not isinstance(attempts, UseAttempts):
        return NOT_READ
    if not attempts.attempts:
        return NO_ATTEMPT
    count = len(attempts.attempts)
    refused = sum(one.error is not None for one in attempts.attempts)
    least = "" if attempts.all_read else "at least "
    return f"{least}{counted(count, 'attempt')}, {'all' if refused == count else refused} refused"


def policy_of(plan: Plan | None, given: Policy | None, default: Policy) -> Policy:
    """The policy to evaluate with: the given one, else the plan's, else the default."""
    if given is not None:
        return given
    return plan.policy if plan is not None else default


def needs_attention(rows: Iterable[GuardRow], history: History) -> bool:
    """Whether a key is in use, something could not be read, or the journal is damaged."""
    return bool(history.problems) or any(row.in_use or row.unreadable for row in rows)


def checked(rows: Iterable[GuardRow]) -> frozenset[KeyArn]:
    """The keys that were checked: those not pending deletion, or whose attempts were read."""
    return frozenset(row.key_arn for row in rows if not row.is_unchecked)


def to_cancel(
    rows: Iterable[GuardRow],
    history: History,
    batches: Mapping[Location, Collection[KeyArn]],
    follow_ups: frozenset[str],
    other: Location,
) -> tuple[Batch, ...]:
    """The deletions to cancel: of keys in use, and of those that earlier runs left half restored.

    A key of a journal goes to that journal, and is left alone unless its deletion is the journal's;
    any other key goes to `other`.
    """
    rows = tuple(rows)
    in_use = {row.key_arn for row in rows if row.in_use}
    left = {
        row.key_arn  # others are left out by --account or --region
        for row in rows
        if (record := history.keys.get(row.key_arn))
        and (record.follow_ups_left & follow_ups or _is_half_restored(row, record))
    }
    of_journals = {arn for keys in batches.values() for arn in keys}
    chosen = [
        Batch(path, sorted((in_use | left) & {*keys}), only_ours=True)
        for path, keys in batches.items()
    ]
    chosen.append(Batch(other, sorted(in_use - of_journals), only_ours=False))
    chosen.append(Batch(other, sorted(left - in_use - of_journals), only_ours=True))
    return tuple(batch for batch in chosen if batch.keys)


def _is_half_restored(row: GuardRow, record: KeyRecord) -> bool:
    """Whether a run was killed after it had cancelled the deletion, and before it recorded that."""
    return row.state in ALIVE and bool(record.open_cancellations)


def with_cancellations(
    rows: Iterable[GuardRow], results: Iterable[KeyResult]
) -> tuple[GuardRow, ...]:
    """The rows with the results of the cancellations."""
    done: Mapping[KeyArn, KeyResult] = {result.key_arn: result for result in results}
    return tuple(row.model_copy(update={"cancellation": done.get(row.key_arn)}) for row in rows)


def pending_keys(
    collector: Collector, regions: Iterable[str], account_ids: Iterable[str] = ()
) -> tuple[KeyArn, ...]:
    """Every key in these Regions that is pending deletion, or could not be read.

    Reads the session's own account or the given ones, and the configured Region if none is given.
    Raises AccountUnavailable if keys could not be listed: a partial list would read as all-clear.
    """
    accounts = collector.accounts
    listed = [
        arn
        for account_region in named_account_regions(accounts, regions, account_ids)
        for arn in list_keys(accounts.connect(account_region))
    ]
    evidence_of = collector.collect(listed, DescriptionOnly())
    return tuple(arn for arn in listed if _may_be_pending(evidence_of[arn].description))


def _may_be_pending(seen: KeyDescription | NotFound | Unreadable | None) -> bool:
    if isinstance(seen, KeyDescription):
        return is_pending(seen)
    return not isinstance(seen, NotFound)
