"""Rebuild a lost journal: find the pending deletions that Keysweep requested, with CloudTrail.

A deletion is Keysweep's if its request has Keysweep's user agent, and CloudTrail and DescribeKey
show the same deletion date. Every pending key gets a decision: it is undetermined if it is neither
Keysweep's nor another caller's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from .apply import CLOCK_SKEW
from .aws import Accounts, Connection, select
from .aws.concurrency import ACCOUNT_REGIONS
from .errors import AccountUnavailable, present
from .evidence import Collector
from .evidence.collector import attempt
from .evidence.history.deletion_events import (
    PERMISSIONS,
    REACHES_BACK,
    DeletionEvent,
    deletion_events,
)
from .journal import USE_REPORTING_DELAY, RebuildLine, RebuiltDeletion
from .key_listing import DescriptionOnly, list_keys, named_account_regions
from .lifecycle import is_pending, same_date
from .models import (
    AccountRegion,
    KeyArn,
    KeyDescription,
    NotFound,
    Rebuild,
    RebuildDecision,
    RebuildReason,
    RebuildRow,
    Unreadable,
    UnreadAccountRegion,
)
from .plan import Plan
from .policy_values import MAX_WINDOW_DAYS, MIN_WINDOW_DAYS

_WORDS: Final = {
    RebuildReason.ANOTHER_CALLER: "Not scheduled by Keysweep",
    RebuildReason.ANOTHER_PLAN: "Scheduled by Keysweep, but not while this plan could be applied",
    RebuildReason.NO_EVENT: "CloudTrail shows no event with this deletion date, or not yet. "
    "Fix: rebuild again in 15 minutes",
    RebuildReason.NO_DATE: "A primary key that waits for its replicas has no deletion date to "
    "compare. Fix: rebuild again after its replicas are deleted",
    RebuildReason.SEVERAL_EVENTS: "Keysweep and another caller scheduled it with this date. Fix: "
    "restore it with keysweep cancel --key, or watch it with keysweep guard --all",
    RebuildReason.INCOMPLETE_EVENT: "Its event in CloudTrail has no valid waiting period. Fix: "
    "restore it with keysweep cancel --key, or watch it with keysweep guard --all",
}


@dataclass(frozen=True)
class Found:
    """The result of reading: rows to report, and deletions to write."""

    rows: tuple[RebuildRow, ...]
    deletions: tuple[RebuiltDeletion, ...]
    read: tuple[AccountRegion, ...]
    unread: tuple[UnreadAccountRegion, ...]
    not_pending: int
    notes: tuple[str, ...]

    def line(self, run: str, now: datetime, caller: str | None, plan: Plan | None) -> RebuildLine:
        """The line to write to the journal."""
        undetermined = (r for r in self.rows if r.decision is RebuildDecision.UNDETERMINED)
        return RebuildLine(
            run=run,
            time=now,
            caller=caller,
            plan_digest=None if plan is None else plan.digest,
            exceptions=(tuple(plan.exceptions) or None) if plan is not None else None,
            read=tuple(f"{one.account_id} {one.region}" for one in self.read),
            unread=tuple(f"{one.account_id} {one.region}" for one in self.unread),
            undetermined=tuple(row.key_arn for row in undetermined),
            keys=self.deletions,
        )

    def report(self, journal: str, plan: Plan | None, *, written: bool) -> Rebuild:
        """The report to print."""
        return Rebuild(
            journal=journal,
            written=written,
            plan_digest=None if plan is None else plan.digest,
            rows=self.rows,
            unread=self.unread,
            not_pending=self.not_pending,
            notes=self.notes,
        )


def find(collector: Collector, plan: Plan | None = None) -> Found:
    """Find keys pending deletion, and who scheduled them. Changes nothing in AWS.

    Reads the keys that the plan schedules; without a plan, all keys of the account-Regions that the
    options name. Raises AccountUnavailable if the credentials do not work.
    """
    accounts = collector.accounts
    notes: tuple[str, ...] = ()
    unread: dict[AccountRegion, str] = {}
    if plan is None:
        access = accounts.access
        account_regions = named_account_regions(accounts, sorted(access.regions), access.only)
        keys = _listed(accounts, account_regions, unread)
    else:
        selected = select(accounts, [item.key_arn for item in plan.chosen])
        keys, notes = list(selected.keys), selected.notes
        account_regions = tuple(dict.fromkeys(arn.account_region for arn in keys))
    evidence_of = collector.collect(keys, DescriptionOnly())
    described = {arn: evidence_of[arn].description for arn in keys}
    pending = {
        arn: seen
        for arn, seen in described.items()
        if isinstance(seen, KeyDescription) and is_pending(seen)
    }
    events = _events(accounts, dict.fromkeys(arn.account_region for arn in pending))
    now = accounts.clock.now()
    decided = [
        _decided(arn, seen, events.get(arn.account_region, {}), plan, now)
        for arn, seen in sorted(described.items())
        if not isinstance(seen, NotFound)
        if arn in pending or not isinstance(seen, KeyDescription)
    ]
    return Found(
        rows=tuple(row for row, _ in decided),
        deletions=tuple(one for _, one in decided if one is not None),
        read=tuple(one for one in account_regions if one not in unread),
        unread=tuple(
            UnreadAccountRegion(account_id=one.account_id, region=one.region, message=why)
            for one, why in sorted(unread.items())
        ),
        not_pending=0 if plan is None else len(keys) - len(decided),
        notes=notes,
    )


def _listed(
    accounts: Accounts, account_regions: Sequence[AccountRegion], unread: dict[AccountRegion, str]
) -> list[KeyArn]:
    """List the keys of account-Regions. Adds those that could not be listed to `unread`."""

    def one(account_region: AccountRegion) -> list[KeyArn] | str:
        try:
            return list_keys(accounts.connect(account_region))
        except AccountUnavailable as error:
            return str(error)

    keys: list[KeyArn] = []
    with ThreadPoolExecutor(ACCOUNT_REGIONS) as threads:
        for account_region, found in zip(
            account_regions, threads.map(one, account_regions), strict=True
        ):
            if isinstance(found, str):
                unread[account_region] = found
            else:
                keys += found
    return keys


Events = Mapping[str, Sequence[DeletionEvent]] | Unreadable
"""The events of an account-Region by key ARN."""


def _events(
    accounts: Accounts, account_regions: Collection[AccountRegion]
) -> Mapping[AccountRegion, Events]:
    def one(account_region: AccountRegion) -> Events:
        try:
            connection = accounts.connect(account_region)
            return attempt("deletion events", PERMISSIONS, connection, partial(_by_key, connection))
        except AccountUnavailable as error:
            return Unreadable(unreadable=str(error))

    with ThreadPoolExecutor(ACCOUNT_REGIONS) as threads:
        return dict(zip(account_regions, threads.map(one, account_regions), strict=True))


def _by_key(connection: Connection) -> Mapping[str, Sequence[DeletionEvent]]:
    """The events of an account-Region by key ARN, without those whose key could not be read."""
    found: dict[str, list[DeletionEvent]] = defaultdict(list)
    for event in deletion_events(connection):
        if event.key_arn is not None:
            found[event.key_arn].append(event)
    return found


Decided = tuple[RebuildRow, RebuiltDeletion | None]


def _decided(
    arn: KeyArn,
    seen: KeyDescription | Unreadable | None,
    events: Events,
    plan: Plan | None,
    now: datetime,
) -> Decided:
    """Decide on a key; undetermined if the key or the events could not be read."""
    if not isinstance(seen, KeyDescription):
        why = "The key could not be read"
        message = why if seen is None else f"{why}: {_with_fix(seen)}"
        return _row(arn, RebuildReason.KEY_UNREADABLE, message), None
    if isinstance(events, Unreadable):
        message = f"CloudTrail's events could not be read: {_with_fix(events)}"
        return _row(arn, RebuildReason.HISTORY_UNREADABLE, message, seen.deletion_date), None
    return decide(arn, seen, events.get(str(arn), ()), plan, now)


def _with_fix(why: Unreadable) -> str:
    allow = f"allow {why.permission}, then " if why.permission else ""
    return f"{why.unreadable}. Fix: {allow}rebuild again"


def decide(
    arn: KeyArn,
    seen: KeyDescription,
    events: Sequence[DeletionEvent],
    plan: Plan | None,
    now: datetime,
) -> Decided:
    """Decide on a key pending deletion by the requests to delete it."""
    date = seen.deletion_date
    if date is None:
        return _row(arn, RebuildReason.NO_DATE, _WORDS[RebuildReason.NO_DATE]), None
    same = [
        event
        for event in events
        if event.deletion_date is not None and same_date(event.deletion_date, date)
    ]
    if not same:
        return _row(arn, RebuildReason.NO_EVENT, _WORDS[RebuildReason.NO_EVENT], date), None
    event = max(same, key=lambda one: one.time)
    ours = [one for one in same if one.user_agent is not None]
    why = _why_not(event, plan, all_ours=len(ours) == len(same), any_ours=bool(ours))
    if why is None:
        return _row(arn, None, "", date, event), _rebuilt(arn, date, event, plan, now)
    return _row(arn, why, _WORDS[why], date, event), None


def _why_not(
    event: DeletionEvent, plan: Plan | None, *, all_ours: bool, any_ours: bool
) -> RebuildReason | None:
    """Why a deletion is not rebuilt; None if it is. `event` is its newest request."""
    window = event.pending_window_days
    if not any_ours:
        return RebuildReason.ANOTHER_CALLER
    if not all_ours:
        return RebuildReason.SEVERAL_EVENTS
    if window is None or not MIN_WINDOW_DAYS <= window <= MAX_WINDOW_DAYS:
        return RebuildReason.INCOMPLETE_EVENT
    if plan is not None and not _may_be_of(plan, event):
        return RebuildReason.ANOTHER_PLAN
    return None


def _may_be_of(plan: Plan, event: DeletionEvent) -> bool:
    """Whether the plan could be applied at that time. `apply` refuses it before and after."""
    return plan.created_at - CLOCK_SKEW <= event.time <= plan.expires_at + CLOCK_SKEW


def _rebuilt(
    arn: KeyArn, date: datetime, event: DeletionEvent, plan: Plan | None, now: datetime
) -> RebuiltDeletion:
    item = None if plan is None else plan.by_key[arn]
    positions = {one: number for number, one in enumerate(() if plan is None else plan.exceptions)}
    return RebuiltDeletion(
        key_arn=arn,
        event_id=event.id,
        time=event.time,
        caller=event.caller,
        user_agent=present(event.user_agent, "the user agent of Keysweep"),
        pending_window_days=present(event.pending_window_days, "the waiting period"),
        deletion_date=date,
        watch_use_from=watch_use_from(plan, now),
        monthly_cost_usd=None if item is None else item.monthly_cost_usd,
        alias=None if item is None else item.evidence.alias or None,
        owner=None if item is None else item.owner,
        exceptions=(
            None if item is None else tuple(positions[one] for one in item.exceptions) or None
        ),
    )


def watch_use_from(plan: Plan | None, now: datetime) -> datetime:
    """Start of the period in which uses may have gone unseen.

    Only the lost journal recorded when `apply` last read uses. That was after the plan's evidence
    was read, so the plan gives a safe start. Without a plan, it is the beginning of the event
    history. Too early is safe; too late is a blind spot (rule 12 of docs/safety.md).
    """
    if plan is None or plan.evidence_from is None:
        return now - REACHES_BACK
    return plan.evidence_from - USE_REPORTING_DELAY


def _row(
    arn: KeyArn,
    reason: RebuildReason | None,
    message: str,
    date: datetime | None = None,
    event: DeletionEvent | None = None,
) -> RebuildRow:
    decision = RebuildDecision.UNDETERMINED
    if reason is None:
        decision = RebuildDecision.REBUILT
    elif reason in {RebuildReason.ANOTHER_CALLER, RebuildReason.ANOTHER_PLAN}:
        decision = RebuildDecision.LEFT_OUT
    row = RebuildRow(
        key_arn=arn, decision=decision, reason=reason, message=message, deletion_date=date
    )
    if event is None:
        return row
    return row.model_copy(
        update={
            "event_id": event.id,
            "scheduled_at": event.time,
            "caller": event.caller,
            "source": event.source,
            "user_agent": event.user_agent,
        }
    )
