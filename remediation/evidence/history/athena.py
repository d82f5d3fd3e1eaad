"""Athena: a year and more of the events of a whole organization, in a few queries.

The caller's own credentials run the queries, where the trail's log files are. One query reads one
Region in all accounts, since a call that another account makes and AWS denies is only in the
caller's log ("Logging AWS KMS API calls with AWS CloudTrail", AWS KMS Developer Guide).

Rows are evidence wherever they come from. That there are none counts only if the record is whole:
the trail logs every KMS event of the account-Region, the table reads all its folders, and each UTC
day of the key's window has an event. Log files may take hours to arrive, so the window ends a day
or two before now, and the event history shows the rest.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Final, Self, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ...aws import Accounts
from ...aws.failures import explain
from ...errors import AccountUnavailable, TruncatedResponse, present
from ...models import (
    AccountRegion,
    Cost,
    Evidence,
    KeyArn,
    KeyDescription,
    Unreadable,
    UseAttempts,
)
from ...wording import first_few
from ..source import Piece, Source
from .alias_moves import AFTER, Moves
from .athena_query import AthenaName, demand_cutoff, demand_table, rows
from .athena_sql import COLUMNS, statements
from .athena_table import NotWhole, Trail, TrailTable, demand_logging, table_of, trails_of
from .events import ALIAS_CHANGES, TrailEvent, is_use, target_of
from .log_files import Loss, is_archived, worst_loss
from .sources import CANCELLATION, history_of

T = TypeVar("T")

LIST_BUCKET: Final = "s3:ListBucket"
"""What ListObjectsV2 needs."""

LIFECYCLE: Final = "s3:GetLifecycleConfiguration"
"""What GetBucketLifecycleConfiguration needs."""

PERMISSIONS: Final = (
    "athena:GetQueryExecution",
    "athena:GetQueryResults",
    "athena:GetWorkGroup",
    "athena:StartQueryExecution",
    "athena:StopQueryExecution",
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "glue:GetTable",
    LIST_BUCKET,
    LIFECYCLE,
)

FRESH: Final = timedelta(days=1)
"""How long before now the window ends, at least. CloudTrail delivers a log file about five minutes
after a call on average, without a guarantee ("CloudTrail log file examples", AWS CloudTrail User
Guide)."""

MOST_ATTEMPTS: Final = 50
"""Attempts that are kept of a key, the newest."""

_LISTINGS_AT_A_TIME: Final = 16

_AT_A_TIME: Final = 4
"""Queries that run side by side. An account may have 20 and more ("Service Quotas", Amazon Athena
User Guide)."""


@dataclass(frozen=True)
class Record:
    """What the table has about some keys. A plain value, which can go to another process."""

    since: datetime
    until: datetime
    """Where the window ends. The event history must show the rest."""
    changes: Mapping[KeyArn, Sequence[TrailEvent]] = field(default_factory=dict)
    attempts: Mapping[KeyArn, Sequence[TrailEvent]] = field(default_factory=dict)
    aliases: Mapping[AccountRegion, Sequence[TrailEvent]] = field(default_factory=dict)
    """Changes of aliases in the account-Regions of the keys."""
    unreadable: Mapping[KeyArn, Unreadable] = field(default_factory=dict)
    """Why the record does not cover a key."""

    def piece(self, piece: str, group: Iterable[Evidence]) -> dict[KeyArn, Piece]:
        """One piece of evidence of each key."""
        moves: dict[AccountRegion, Moves | Unreadable] = {}
        found = {}
        for evidence in group:
            account_region = evidence.key_arn.account_region
            if piece == "alias_moves" and account_region not in moves:
                moves[account_region] = self._moves(account_region)
            found[evidence.key_arn] = self._of_key(piece, evidence, moves.get(account_region))
        return found

    def _of_key(self, piece: str, evidence: Evidence, moves: Moves | Unreadable | None) -> Piece:
        arn = evidence.key_arn
        if gap := self.unreadable.get(arn):
            return gap
        if piece == "history":
            return history_of(evidence, self.changes.get(arn, ()), self.since)
        if piece == "alias_moves":
            return moves.of_key(evidence, self.since) if isinstance(moves, Moves) else moves
        attempts = tuple(event.attempt() for event in self.attempts.get(arn, ()))
        return UseAttempts(since=self.since, attempts=attempts, all_read=not attempts)

    def _moves(self, account_region: AccountRegion) -> Moves | Unreadable:
        try:
            return Moves.of(self.aliases.get(account_region, ()))
        except ValueError as error:
            return Unreadable(unreadable=f"A log file was not understood ({error})")

    def part(self, account_region: AccountRegion) -> Record:
        """What it has about the keys of one account-Region."""

        def own(values: Mapping[KeyArn, T]) -> dict[KeyArn, T]:
            return {
                arn: value for arn, value in values.items() if arn.account_region == account_region
            }

        return replace(
            self,
            changes=own(self.changes),
            attempts=own(self.attempts),
            aliases={account_region: self.aliases.get(account_region, ())},
            unreadable=own(self.unreadable),
        )

    def and_other_keys(self, other: Record) -> Record:
        """This record and that of other keys."""
        return replace(
            self,
            changes={**self.changes, **other.changes},
            attempts={**self.attempts, **other.attempts},
            aliases={**self.aliases, **other.aliases},
            unreadable={**self.unreadable, **other.unreadable},
        )


PIECES: Final = ("alias_moves", "history", "use_attempts")


@dataclass
class AthenaHistory:
    """A table of CloudTrail's log files in Athena. Queries each key once."""

    accounts: Accounts
    name: AthenaName
    days: int
    """How far back to look (policy: `history_days`)."""
    cutoff: int
    """Bytes after which the workgroup cuts a query."""
    until: datetime
    """Where the record ends: a UTC midnight."""
    _record: Record | None = None
    _read: set[KeyArn] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def open(cls, accounts: Accounts, text: str, days: int) -> Self:
        """Parse `athena:WORKGROUP/DATABASE.TABLE` and read the workgroup.

        Raises BadInput for a name, workgroup or table that cannot be used, and AccountUnavailable
        if AWS does not show them.
        """
        name = AthenaName.parse(text)
        try:
            cutoff = demand_cutoff(accounts.own_client("athena"), name)
            demand_table(accounts.own_client("glue"), name)
        except (BotoCoreError, ClientError) as error:
            why = explain(error, accounts.own_account_region(), PERMISSIONS)
            raise AccountUnavailable(f"{name} could not be read: {why.unreadable}") from error
        today = accounts.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(accounts, name, days, cutoff, today - FRESH)

    @property
    def since(self) -> datetime:
        """Where the window begins."""
        return self.accounts.clock.now().replace(microsecond=0) - timedelta(days=self.days)

    def sources(self) -> dict[str, Source]:
        """The sources of evidence that this history replaces."""
        return {
            piece: Source(
                piece,
                Cost.EVENT_NAME,
                PERMISSIONS,
                read_all=partial(self._piece, piece),
                after=AFTER,
            )
            for piece in PIECES
        }

    def _piece(self, piece: str, group: Sequence[Evidence]) -> Mapping[KeyArn, Piece]:
        with self._lock:
            missing = [evidence for evidence in group if evidence.key_arn not in self._read]
            if missing or self._record is None:
                record = self.read(missing)
                self._record = self._record.and_other_keys(record) if self._record else record
                self._read.update(evidence.key_arn for evidence in missing)
            return self._record.piece(piece, group)

    def read(self, group: Sequence[Evidence]) -> Record:
        """Query the table about these keys. What could not be read makes keys unreadable."""
        since = self.since
        reading = _Reading(group, since, self.until)
        try:
            table, trails = self._whole_record()
            loss = self._loss(table)
        except NotWhole as error:
            reading.lose(group, Unreadable(unreadable=str(error)))
        except _FAILURES as error:
            reading.lose(group, self._explain(error))
        else:
            self._query(reading, table, self._covered(reading, table, trails, loss))
        return reading.record()

    def _explain(self, error: Exception) -> Unreadable:
        if isinstance(error, AccountUnavailable):
            return Unreadable(unreadable=str(error))
        if isinstance(error, ClientError | BotoCoreError | TruncatedResponse):
            found = explain(error, self.accounts.own_account_region(), PERMISSIONS)
            named = _NAMED_OTHERWISE.get(found.operation or "")
            if found.permission and named is not None:
                return found.model_copy(update={"permission": named})
            return found
        why = f"{type(error).__name__}: {error}"
        return Unreadable(unreadable=f"Athena's answer was not understood ({why[:200]})")

    def _whole_record(self) -> tuple[TrailTable, list[Trail]]:
        """The table, and the trails that log every event of KMS into its folders.

        Raises NotWhole if there is no such trail, or the table leaves out an account of the bucket.
        """
        own = self.accounts.own_client
        table = table_of(demand_table(own("glue"), self.name), self.accounts.clock.now())
        listed = own("cloudtrail").describe_trails(includeShadowTrails=True)["trailList"]
        whole, problem = [], None
        for trail in trails_of(listed, table):
            cloudtrail = own("cloudtrail", trail.region)
            try:
                logging = demand_logging(
                    trail,
                    cloudtrail.get_event_selectors(TrailName=trail.arn),
                    cloudtrail.get_trail_status(Name=trail.arn),
                )
                whole.append(logging)
            except NotWhole as error:
                problem = error
        if not whole:
            raise present(problem, "why no trail is whole")
        if absent := sorted(self._logged_accounts(table) - present_values(table)):
            raise NotWhole(
                f"Table {table.name} leaves out accounts whose log files are in "
                f"s3://{table.bucket}/{table.accounts_folder}: {first_few(absent, 5)}"
            )
        return table, whole

    def _logged_accounts(self, table: TrailTable) -> set[str]:
        """The accounts that have a folder in the trail's bucket."""
        pages = self.accounts.own_client("s3").get_paginator("list_objects_v2")
        if table.account.column is None:
            return set()
        return {
            folder["Prefix"].removesuffix("/").rsplit("/", 1)[-1]
            for page in pages.paginate(
                Bucket=table.bucket, Prefix=table.accounts_folder, Delimiter="/"
            )
            for folder in page.get("CommonPrefixes", ())
            if (name := folder["Prefix"].removesuffix("/").rsplit("/", 1)[-1]).isdigit()
            and len(name) == 12
        }

    def _loss(self, table: TrailTable) -> Loss | None:
        """The days that the lifecycle rules of the trail's bucket lose."""
        s3 = self.accounts.own_client("s3")
        try:
            found = s3.get_bucket_lifecycle_configuration(Bucket=table.bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration":
                return None
            raise
        now = self.accounts.clock.now()
        return worst_loss(found["Rules"], table.bucket, table.accounts_folder, now)

    def _covered(
        self, reading: _Reading, table: TrailTable, trails: Sequence[Trail], loss: Loss | None
    ) -> dict[str, list[Evidence]]:
        """The keys that trails, table and log files cover, by Region."""
        groups: defaultdict[AccountRegion, list[Evidence]] = defaultdict(list)
        for evidence in reading.group:
            arn, first = evidence.key_arn, reading.first_day(evidence)
            gaps = [trail.gap(arn, reading.start(evidence)) for trail in trails]
            gap = table.gap(arn, first) or (None if None in gaps else gaps[0])
            if loss is not None and first < loss.until:
                gap = gap or loss.why
            if not isinstance(evidence.aliases, tuple):
                gap = "A use may name an alias of the key, and its aliases could not be read"
            if gap is not None:
                reading.lose([evidence], Unreadable(unreadable=gap))
            else:
                groups[arn.account_region].append(evidence)
        archived = partial(self._archived, reading, table)
        by_region: defaultdict[str, list[Evidence]] = defaultdict(list)
        with ThreadPoolExecutor(_LISTINGS_AT_A_TIME) as threads:
            for why, group in zip(
                threads.map(archived, groups.values()), groups.values(), strict=True
            ):
                if why is not None:
                    reading.lose(group, why)
                else:
                    by_region[group[0].key_arn.region] += group
        return by_region

    def _archived(
        self, reading: _Reading, table: TrailTable, group: Sequence[Evidence]
    ) -> Unreadable | None:
        """Whether a former lifecycle rule archived log files of an account-Region.

        It archived the oldest ones, so a page from the first day of these keys is enough.
        """
        arn = group[0].key_arn
        folder = table.folder(arn.account_region)
        try:
            page = self.accounts.own_client("s3").list_objects_v2(
                Bucket=table.bucket,
                Prefix=folder,
                StartAfter=f"{folder}{min(map(reading.first_day, group)):%Y/%m/%d}",
            )
        except _FAILURES as error:
            return self._explain(error)
        if not is_archived(page):
            return None
        return Unreadable(
            unreadable=f"Log files in s3://{table.bucket}/{folder} are archived, and Athena skips "
            "them. Fix: restore them, and copy them to another storage class"
        )

    def _query(
        self, reading: _Reading, table: TrailTable, by_region: Mapping[str, Sequence[Evidence]]
    ) -> None:
        """Query each Region of these keys."""
        queries = [
            (region, {*keys}, text)
            for region, some in by_region.items()
            for keys, text in statements(
                table, region, (e.key_arn.key_id for e in some), reading.since.date()
            )
        ]
        athena = self.accounts.own_client("athena")

        def run(query: tuple[str, set[str], str]) -> None:
            region, keys, text = query
            some = [e for e in by_region[region] if e.key_arn.key_id in keys]
            part = _Reading(some, reading.since, reading.until)
            try:
                for row in rows(athena, self.name, text, COLUMNS):
                    part.add(row)
            except _FAILURES as error:
                part.lose(some, self._explain(error))
            else:
                part.lose_missing_days(table.name)
            reading.merge(part)

        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            for _ in threads.map(run, queries):
                pass


_NAMED_OTHERWISE: Final = {
    "GetBucketLifecycleConfiguration": LIFECYCLE,
    "ListObjectsV2": LIST_BUCKET,
}
"""Permissions that have not the names of their operations."""

_FAILURES: Final = (
    ClientError,
    BotoCoreError,
    TruncatedResponse,
    AccountUnavailable,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
)
"""AWS's errors, and answers that cannot be understood."""


def present_values(table: TrailTable) -> frozenset[str]:
    """The accounts of the table, which lists them all."""
    return present(table.account.values, "the accounts of the table")


class _Reading:
    """Collects the rows that are about some keys. Keeps nothing of the others."""

    def __init__(self, group: Sequence[Evidence], since: datetime, until: datetime) -> None:
        self.group = group
        self.since = since
        self.until = until
        self._lock = threading.Lock()
        self._changes: defaultdict[KeyArn, list[TrailEvent]] = defaultdict(list)
        self._attempts: defaultdict[KeyArn, list[TrailEvent]] = defaultdict(list)
        self._aliases: defaultdict[AccountRegion, list[TrailEvent]] = defaultdict(list)
        self._days: dict[tuple[str, str], set[int]] = {}
        self._unreadable: dict[KeyArn, Unreadable] = {}
        self._account_regions = {
            (arn.account_id, arn.region): arn.account_region
            for arn in (evidence.key_arn for evidence in group)
        }
        self._by_name: defaultdict[tuple[str, str], list[Evidence]] = defaultdict(list)
        for evidence in group:
            aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
            for name in (evidence.key_arn.key_id, *aliases):
                self._by_name[evidence.key_arn.region, name].append(evidence)

    def start(self, evidence: Evidence) -> datetime:
        """Where a key's window begins: no event is about a key that did not exist."""
        seen = evidence.description
        created = seen.creation_date if isinstance(seen, KeyDescription) else self.since
        return max(self.since, created)

    def first_day(self, evidence: Evidence) -> date:
        """The first UTC day of a key's window."""
        return self.start(evidence).astimezone(UTC).date()

    def lose(self, group: Iterable[Evidence], why: Unreadable) -> None:
        """Record that these keys could not be read."""
        self._unreadable.update((evidence.key_arn, why) for evidence in group)

    def add(self, row: Mapping[str, str]) -> None:
        """Add one row. Raises ValueError for a row that cannot be understood."""
        account_region = (row["account"], row["region"])
        if row["kind"] == "day":
            if account_region in self._account_regions:
                self._days[account_region] = {int(day) for day in row["days"].split()}
            return
        event = _event(row)
        if row["kind"] == "change" and event.error is not None:  # it changed nothing
            return
        if row["kind"] == "alias":
            if account_region in self._account_regions:
                self._aliases[self._account_regions[account_region]].append(event)
            return
        found = self._changes if row["kind"] == "change" else self._attempts
        for evidence in self._named(row["region"], event):
            if event.about(evidence) and (found is self._changes or is_use(event, evidence)):
                found[evidence.key_arn].append(event)
                if len(found[evidence.key_arn]) > 4 * MOST_ATTEMPTS:
                    found[evidence.key_arn] = _telling(found[evidence.key_arn])

    def _named(self, region: str, event: TrailEvent) -> Iterable[Evidence]:
        """Keys that the event may be about, by their ids and aliases."""
        named: dict[KeyArn, Evidence] = {}
        for mention in event.mentions:
            name = mention.rsplit(":key/", 1)[-1]
            if mention.startswith("arn:") and ":alias/" in mention:
                name = "alias/" + mention.split(":alias/", 1)[1]
            named.update((e.key_arn, e) for e in self._by_name.get((region, name), ()))
        return named.values()

    def lose_missing_days(self, table: str) -> None:
        """Make keys unreadable whose account-Region has a day without an event of KMS."""
        last = self.until.date() - timedelta(days=1)
        for evidence in self.group:
            arn = evidence.key_arn
            days = self._days.get((arn.account_id, arn.region), set())
            first = self.first_day(evidence)
            offset = (first - self.since.date()).days
            needed = range(offset, (last - self.since.date()).days + 1)
            missing = [day for day in needed if day not in days]
            if missing:
                absent = self.since.date() + timedelta(days=missing[0])
                count = len(missing)
                why = (
                    f"Table {table} has no read of AWS KMS in account {arn.account_id}, "
                    f"{arn.region} on {count} of {len(needed)} days since {first}, first on "
                    f"{absent}, so log files may be missing"
                )
                self.lose([evidence], Unreadable(unreadable=why))

    def merge(self, part: _Reading) -> None:
        """Add what another thread has read about some of the keys."""
        with self._lock:
            self._changes.update(part._changes)
            self._attempts.update(part._attempts)
            self._unreadable.update(part._unreadable)
            # Each query of a Region returns all changes of its aliases.
            self._aliases.update(part._aliases)

    def record(self) -> Record:
        """What was read."""
        return Record(
            since=self.since,
            until=self.until,
            changes={arn: tuple(events) for arn, events in self._changes.items()},
            attempts={arn: tuple(_newest(events)) for arn, events in self._attempts.items()},
            aliases={
                account_region: tuple(events) for account_region, events in self._aliases.items()
            },
            unreadable=self._unreadable,
        )


def _telling(events: Sequence[TrailEvent]) -> list[TrailEvent]:
    """The newest of many events, and the cancelled deletions among them."""
    newest = _newest(events)
    return [*newest, *(e for e in events if e.name == CANCELLATION and e not in newest)]


def _newest(events: Iterable[TrailEvent]) -> list[TrailEvent]:
    """The newest events, newest first. A call that two accounts recorded is one event."""
    calls: dict[object, TrailEvent] = {}
    for event in sorted(events, key=lambda one: (one.time, one.who is not None)):
        calls[event.shared or event] = event
    return sorted(calls.values(), key=lambda one: one.time, reverse=True)[:MOST_ATTEMPTS]


def _event(row: Mapping[str, str]) -> TrailEvent:
    """A row as an event. Raises ValueError if its time or its account is not one."""
    mentions = frozenset(row["names"].split())
    time = datetime.fromisoformat(row["latest"])
    if time.tzinfo is None:
        raise ValueError(f"a time without a time zone: {row['latest']}")
    is_alias = row["event"] in ALIAS_CHANGES
    return TrailEvent(
        name=row["event"],
        time=time.astimezone(UTC),
        who=row["who"] or None,
        error=row["error"] or None,
        mentions=mentions,
        alias=row["alias"] or None,
        target=target_of(row["target"] or None, mentions) if is_alias else None,
        account_id=row["account"],
        shared=row["shared"] or None,
    )
