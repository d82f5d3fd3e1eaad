"""Athena: a year and more of the events of a whole organization, in a query for each Region.

The caller's own credentials run the queries, where the trail's log files are. Queries read one
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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple, Self

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
from ...spill import SpilledSequence
from ...wording import first_few
from ..source import Piece, Source, with_piece
from .alias_moves import AFTER, Moves
from .athena_query import AthenaName, demand_cutoff, demand_table, rows, run
from .athena_sql import COLUMNS, statements
from .athena_table import NotWhole, Trail, TrailTable, demand_logging, table_of, trails_of
from .events import ALIAS_CHANGES, TrailEvent, is_use, target_of, time_of
from .log_files import Loss, is_archived, worst_loss
from .sources import CANCELLATION, history_of
from .trail_log import TrailLog

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

_READ_AT_A_TIME: Final = 4
"""Regions whose rows are read side by side. Memory holds their keys."""

_AT_A_TIME: Final = 10
"""Queries that run side by side. An account may have 20 and more ("Amazon Athena endpoints and
quotas", AWS General Reference)."""


Keep = Callable[[Evidence], object]
"""Takes a key's pieces of evidence."""

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
    _found: SpilledSequence[Evidence] = field(default_factory=lambda: SpilledSequence(Evidence))
    """The pieces of each key that was queried."""
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

    def _piece(self, piece: str, waiting: Mapping[KeyArn, Evidence]) -> Mapping[KeyArn, Piece]:
        found = self._found.by_key
        with self._lock:
            missing = [arn for arn in waiting if arn not in found]
            if missing:
                self.read(missing, waiting, self._found.append)
        return _Pieces(piece, found)

    def read(self, keys: Iterable[KeyArn], known: Mapping[KeyArn, Evidence], keep: Keep) -> None:
        """Query the table about keys, and keep the pieces of each one.

        What could not be read is unreadable.
        """
        try:
            table, trails = self._whole_record()
            whole = _Whole(self.since, table, trails, self._loss(table))
        except NotWhole as error:
            why = Unreadable(unreadable=str(error))
        except _FAILURES as error:
            why = self._explain(error)
        else:
            self._query(whole, self._covered(keys, known, whole, keep), known, keep)
            return
        _keep_unreadable(keep, keys, why)

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
        self, keys: Iterable[KeyArn], known: Mapping[KeyArn, Evidence], whole: _Whole, keep: Keep
    ) -> _Covered:
        """The keys that trails, table and log files cover."""
        groups: defaultdict[AccountRegion, list[KeyArn]] = defaultdict(list)
        for arn in keys:
            groups[arn.account_region].append(arn)

        def covered(account_region: AccountRegion) -> dict[KeyArn, date]:
            first: dict[KeyArn, date] = {}
            for evidence in map(known.__getitem__, groups[account_region]):
                if gap := whole.gap(evidence):
                    keep(_unreadable(evidence.key_arn, Unreadable(unreadable=gap)))
                else:
                    first[evidence.key_arn] = first_day(evidence, whole.since)
            if first and (why := self._archived(whole.table, account_region, min(first.values()))):
                _keep_unreadable(keep, first, why)
                return {}
            return first

        by_region: defaultdict[str, list[KeyArn]] = defaultdict(list)
        first_days: dict[str, date] = {}
        listed: dict[AccountRegion, date] = {}
        with ThreadPoolExecutor(_LISTINGS_AT_A_TIME) as threads:
            for account_region, first in zip(groups, threads.map(covered, groups), strict=True):
                if first:
                    region = account_region.region
                    by_region[region] += first
                    listed[account_region] = min(first.values())
                    first_days[region] = min(
                        listed[account_region], first_days.get(region, date.max)
                    )
        for region, why in self._archived_regions(whole.table, first_days, listed).items():
            _keep_unreadable(keep, by_region.pop(region), why)
        return _Covered(by_region, min(first_days.values(), default=date.max))

    def _archived_regions(
        self,
        table: TrailTable,
        first_days: Mapping[str, date],
        listed: Mapping[AccountRegion, date],
    ) -> Mapping[str, Unreadable]:
        """Regions in which a former lifecycle rule archived log files of an account.

        A call that another account makes and AWS denies is only in that account's log. `listed` has
        account-Regions without such files since a day.
        """
        others = [
            AccountRegion(partition, account, region)
            for partition in {one.partition for one in listed}
            for account in sorted(present_values(table))
            for region in first_days
        ]
        others = [one for one in others if listed.get(one, date.max) > first_days[one.region]]

        def look(other: AccountRegion) -> Unreadable | None:
            return self._archived(table, other, first_days[other.region])

        with ThreadPoolExecutor(_LISTINGS_AT_A_TIME) as threads:
            found = zip(others, threads.map(look, others), strict=True)
            return {other.region: why for other, why in found if why is not None}

    def _archived(
        self, table: TrailTable, account_region: AccountRegion, first: date
    ) -> Unreadable | None:
        """Whether a former lifecycle rule archived log files of an account-Region.

        It archived the oldest ones, so a page from the first day of its keys is enough.
        """
        folder = table.folder(account_region)
        try:
            page = self.accounts.own_client("s3").list_objects_v2(
                Bucket=table.bucket, Prefix=folder, StartAfter=f"{folder}{first:%Y/%m/%d}"
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
        self,
        whole: _Whole,
        covered: _Covered,
        known: Mapping[KeyArn, Evidence],
        keep: Keep,
    ) -> None:
        """Query each Region of these keys, and read the rows of some Regions at a time.

        The home Regions of the trails come first: the keys of all Regions depend on their rows.
        """
        by_region = covered.by_region
        if not by_region:
            return
        today = self.accounts.clock.now().date()
        athena = self.accounts.own_client("athena")
        own = self.accounts.own_account_region().account_id
        whole = whole.with_logs(self.until)
        queries = _Queries(athena, self.name, whole, self.until, today, known, own)
        homes = self._read_homes(queries, covered)
        if isinstance(homes, Unreadable):
            _keep_unreadable(keep, chain.from_iterable(by_region.values()), homes)
            return
        turns = threading.Semaphore(_READ_AT_A_TIME)

        def is_whole(arn: KeyArn) -> bool:
            gap = None if whole.is_unchanged else whole.gap(known[arn])
            if gap is not None:
                keep(_unreadable(arn, Unreadable(unreadable=gap)))
            return gap is None

        def read(region: str) -> None:
            keys = dict.fromkeys(filter(is_whole, by_region[region]))
            try:
                ids = () if region in homes or not keys else queries.run(region, keys)
                with turns:
                    reading = homes.pop(region, None) or queries.read(ids, keys)
                    for evidence in reading.pieces(whole.table.name):
                        if evidence.key_arn in keys:
                            keep(evidence)
            except _FAILURES as error:
                _keep_unreadable(keep, keys, self._explain(error))

        with ThreadPoolExecutor(_AT_A_TIME) as threads:
            for _ in threads.map(read, by_region):
                pass

    def _read_homes(self, queries: _Queries, covered: _Covered) -> dict[str, _Reading] | Unreadable:
        """Read the rows of the trails' home Regions, also into the trails' logs."""
        by_home: defaultdict[str, list[TrailLog]] = defaultdict(list)
        for log in queries.whole.logs.values():
            by_home[log.trail.region].append(log)
            table = queries.whole.table
            if why := self._archived(table, log.trail.home, covered.first_day):
                return why
        found = {}
        try:
            for region, own in by_home.items():
                keys = covered.by_region.get(region, ())
                found[region] = queries.read(queries.run(region, keys, own), keys, own)
        except _FAILURES as error:
            return self._explain(error)
        return found


class _Covered(NamedTuple):
    """The keys that trails, table and log files cover."""

    by_region: Mapping[str, Sequence[KeyArn]]
    first_day: date
    """The first day of all their windows."""


@dataclass(frozen=True)
class _Queries:
    """Queries of a table, and the readings of their rows."""

    athena: Any
    name: AthenaName
    whole: _Whole
    until: datetime
    today: date
    known: Mapping[KeyArn, Evidence]
    own_account: str
    """The account of the credentials, often CloudTrail's delegated administrator."""

    def run(
        self, region: str, keys: Collection[KeyArn], logs: Sequence[TrailLog] = ()
    ) -> Sequence[str]:
        """Run the queries about keys of a Region, and about trails at home there.

        Without keys, the log files of all accounts would cost too much to look for a change.
        """
        ids = (arn.key_id for arn in keys)
        owners = {log.trail.account_id for log in logs}
        only = set() if keys else owners | {self.own_account}
        start = self.whole.since.date()
        texts = statements(self.whole.table, region, ids, start, self.today, owners, only)
        return [run(self.athena, self.name, text) for text in texts]

    def read(
        self, queries: Iterable[str], keys: Iterable[KeyArn], logs: Sequence[TrailLog] = ()
    ) -> _Reading:
        """Read the rows of such queries."""
        reading = _Reading(self.whole.since, self.until)
        for arn in keys:
            reading.expect(self.known[arn])
        for query in queries:
            for row in rows(self.athena, query, COLUMNS):
                for log in logs:
                    log.add(row)
                reading.add(row)
        return reading


@dataclass(frozen=True)
class _Whole:
    """A table, its trails and the log files that they lose, in the window since a moment."""

    since: datetime
    table: TrailTable
    trails: Sequence[Trail]
    loss: Loss | None
    logs: Mapping[str, TrailLog] = field(default_factory=dict)
    """By the trail's ARN. Empty: they were not read yet."""

    def with_logs(self, until: datetime) -> Self:
        """The same with a log of each trail, to read rows into."""
        start, end = self.since.date(), until.date()
        return replace(self, logs={one.arn: TrailLog(one, start, end) for one in self.trails})

    @property
    def is_unchanged(self) -> bool:
        """Whether all logs are whole, which is usual: then no key needs another look."""
        return all(log.is_whole for log in self.logs.values())

    def gap(self, evidence: Evidence) -> str | None:
        """Why no query shows all events of a key. None: one does."""
        if not isinstance(evidence.aliases, tuple):
            return "A use may name an alias of the key, and its aliases could not be read"
        arn, first = evidence.key_arn, first_day(evidence, self.since)
        if gap := self.table.gap(arn, first):
            return gap
        gaps = [self._trail_gap(trail, evidence) for trail in self.trails]
        if None not in gaps:
            return gaps[0]
        if self.loss is not None and first < self.loss.until:
            return f"{self.loss.why}, and they are needed since {first}. Fix: lower history_days"
        return None

    def _trail_gap(self, trail: Trail, evidence: Evidence) -> str | None:
        """Why a trail does not show all events of a key. None: it does, as far as was read."""
        start, log = _start(evidence, self.since), self.logs.get(trail.arn)
        return (
            trail.gap(evidence.key_arn, start)
            or self.table.gap(trail.home, first_day(evidence, self.since))
            or (None if log is None else log.gap(start))
        )


class _Pieces(Mapping[KeyArn, Piece]):
    """One piece of keys, each read from the disk when it is asked for."""

    def __init__(self, piece: str, found: Mapping[KeyArn, Evidence]) -> None:
        self._piece = piece
        self._found = found

    def __getitem__(self, arn: KeyArn) -> Piece:
        return getattr(self._found[arn], self._piece)

    def __iter__(self) -> Iterator[KeyArn]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


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


def _start(evidence: Evidence, since: datetime) -> datetime:
    """Where a key's window begins: no event is about a key that did not exist."""
    seen = evidence.description
    created = seen.creation_date if isinstance(seen, KeyDescription) else since
    return max(since, created)


def first_day(evidence: Evidence, since: datetime) -> date:
    """The first UTC day of a key's window."""
    return _start(evidence, since).astimezone(UTC).date()


def _unreadable(arn: KeyArn, why: Unreadable) -> Evidence:
    return Evidence(key_arn=arn, alias_moves=why, history=why, use_attempts=why)


def _keep_unreadable(keep: Keep, keys: Iterable[KeyArn], why: Unreadable) -> None:
    for arn in keys:
        keep(_unreadable(arn, why))


class _Reading:
    """Collects the rows about keys of a Region. Keeps nothing of other keys."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.group: list[Evidence] = []
        self.since = since
        self.until = until
        self._changes: defaultdict[KeyArn, list[TrailEvent]] = defaultdict(list)
        self._attempts: defaultdict[KeyArn, list[TrailEvent]] = defaultdict(list)
        self._aliases: defaultdict[str, list[TrailEvent]] = defaultdict(list)
        """Changes of aliases in the accounts of the keys."""
        self._days: defaultdict[str, set[int]] = defaultdict(set)
        """Days with a read of KMS in these accounts."""
        self._accounts: set[str] = set()
        self._by_name: defaultdict[str, list[Evidence]] = defaultdict(list)

    def expect(self, evidence: Evidence) -> None:
        """Collect rows about this key too. Keeps only what its rows are compared with."""
        kept = {piece: getattr(evidence, piece) for piece in ("key_arn", *AFTER)}
        evidence = Evidence.model_construct(**kept)
        self.group.append(evidence)
        self._accounts.add(evidence.key_arn.account_id)
        aliases = evidence.aliases if isinstance(evidence.aliases, tuple) else ()
        for name in (evidence.key_arn.key_id, *aliases):
            self._by_name[name].append(evidence)

    def add(self, row: Mapping[str, str]) -> None:
        """Add one row. Raises ValueError for a row that cannot be understood."""
        account = row["account"]
        if row["kind"] == "day":
            if account in self._accounts:
                self._days[account].update(map(int, row["days"].split()))
            return
        if row["kind"] == "alias":
            if account in self._accounts:
                self._aliases[account].append(_event(row))
            return
        if not (named := self._named(row["names"].split())):  # a row of other keys
            return
        event = _event(row)
        if row["kind"] == "change" and event.error is not None:  # it changed nothing
            return
        found = self._changes if row["kind"] == "change" else self._attempts
        for evidence in named.values():
            if event.about(evidence) and (found is self._changes or is_use(event, evidence)):
                found[evidence.key_arn].append(event)
                if len(found[evidence.key_arn]) > 4 * MOST_ATTEMPTS:
                    found[evidence.key_arn] = _telling(found[evidence.key_arn])

    def _named(self, mentions: Iterable[str]) -> Mapping[KeyArn, Evidence]:
        """Keys that an event may be about, by their ids and aliases."""
        named: dict[KeyArn, Evidence] = {}
        for mention in mentions:
            name = mention.rsplit(":key/", 1)[-1]
            if mention.startswith("arn:") and ":alias/" in mention:
                name = "alias/" + mention.split(":alias/", 1)[1]
            named.update((e.key_arn, e) for e in self._by_name.get(name, ()))
        return named

    def pieces(self, table: str) -> Iterator[Evidence]:
        """The pieces of each key, once all rows are added."""
        by_account: defaultdict[str, list[Evidence]] = defaultdict(list)
        for evidence in self.group:
            by_account[evidence.key_arn.account_id].append(evidence)
        start = self.since.date()
        days = {*range((self.until.date() - start).days)}
        for account, some in by_account.items():
            moves = self._moves(account)
            missing = sorted(days - self._days.get(account, set()))
            for evidence in some:
                offset = (first_day(evidence, self.since) - start).days
                if absent := [day for day in missing if day >= offset]:
                    yield _unreadable(evidence.key_arn, self._missing_days(evidence, absent, table))
                else:
                    yield self._of_key(evidence, moves)

    def _of_key(self, evidence: Evidence, moves: Moves | Unreadable) -> Evidence:
        arn = evidence.key_arn
        changes = self._changes.get(arn, ())
        attempts = tuple(event.attempt() for event in _newest(self._attempts.get(arn, ())))
        pieces = {
            "alias_moves": moves.of_key(evidence, self.since)
            if isinstance(moves, Moves)
            else moves,
            "history": history_of(evidence, changes, self.since),
            "use_attempts": UseAttempts(since=self.since, attempts=attempts, all_read=not attempts),
        }
        found = Evidence(key_arn=arn)
        for piece, value in pieces.items():
            found = with_piece(found, piece, value)
        return found

    def _moves(self, account: str) -> Moves | Unreadable:
        try:
            return Moves.of(self._aliases.get(account, ()))
        except ValueError as error:
            return Unreadable(unreadable=f"A log file was not understood ({error})")

    def _missing_days(self, evidence: Evidence, days: Sequence[int], table: str) -> Unreadable:
        """Why a key is unreadable whose account-Region has days without a read of KMS."""
        arn, start = evidence.key_arn, self.since.date()
        first = first_day(evidence, self.since)
        return Unreadable(
            unreadable=f"Table {table} has no read of AWS KMS in account {arn.account_id}, "
            f"{arn.region} on {len(days)} of {(self.until.date() - first).days} days since "
            f"{first}, first on {start + timedelta(days=days[0])}, so log files may be missing"
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
    is_alias = row["event"] in ALIAS_CHANGES
    return TrailEvent(
        name=row["event"],
        time=time_of(row["latest"]),
        who=row["who"] or None,
        error=row["error"] or None,
        mentions=mentions,
        alias=row["alias"] or None,
        target=target_of(row["target"] or None, mentions) if is_alias else None,
        account_id=row["account"],
        shared=row["shared"] or None,
    )
