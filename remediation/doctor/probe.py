"""Try the calls that `plan` would make in an account-Region.

These are each first call, and each follow-up call for the first item of the answer before it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import Accounts, Connection
from ..aws.access_errors import origin
from ..aws.answers import answer_of
from ..aws.concurrency import SCANS
from ..aws.failures import explain
from ..errors import AccountUnavailable, TruncatedResponse
from ..evidence import Collector
from ..evidence.references.entries import ReferenceList, reference_list
from ..evidence.references.index import Index
from ..evidence.references.scan import scan_account, scan_region
from ..models import AccountRegion, Evidence, KeyArn, KeyDescription, Unreadable
from ..policy import Policy
from ..workers import Report, Workers
from .findings import AccountRegionRows, Row, fix_of, is_decidable, row_of
from .hints import hint

KEYS_LOOKED_AT: Final = 100
"""How many keys of an account-Region to describe to find a customer managed one."""


@dataclass(frozen=True)
class _Task:
    """One account-Region to examine."""

    where: AccountRegion
    key: KeyArn | None
    """A key of it, for the calls about keys; None: find one."""
    examined: frozenset[AccountRegion]
    """All account-Regions of its account that are examined."""
    account: bool
    """Whether to read what concerns all Regions of the account, too."""


Rows = list[AccountRegionRows]
Do = Callable[[_Task], Rows]


@dataclass(frozen=True)
class _Probing:
    """The job of workers: to examine account-Regions."""

    policy: Policy

    def start(self, accounts: Accounts, _report: Report) -> Do:
        """A function that examines one."""
        return Probe(Collector(accounts), self.policy).one


def _in_worker(workers: Workers, task: _Task) -> Rows:
    try:
        account, region = task.where.account_id, task.where.region
        rows: Rows = workers.run(account, task, f"account {account}, {region}")
    except AccountUnavailable as error:
        return [AccountRegionRows.of(task.where, (_lost(error),))]
    return rows


@dataclass(frozen=True)
class Probe:
    """Tries the calls in account-Regions, several at a time."""

    collector: Collector
    policy: Policy
    done: Callable[[AccountRegion], None] = lambda _where: None

    def run(self, keys: Mapping[AccountRegion, KeyArn | None]) -> Rows:
        """What could not be read in these account-Regions, and elsewhere in their accounts.

        `keys` has a key of each, for the calls about keys; None: find one.
        """
        once = {where.account_id: where for where in sorted(keys, reverse=True)}
        regions: dict[str, set[AccountRegion]] = defaultdict(set)
        for where in keys:
            regions[where.account_id].add(where)
        tasks = [
            _Task(where, keys[where], frozenset(regions[where.account_id]), where in once.values())
            for where in sorted(keys)
        ]
        jobs = min(self.collector.jobs, len(once))
        if jobs <= 1:
            return _merged(self._each(tasks, self.one, SCANS), keys)
        job = _Probing(self.policy)
        accounts, notice = self.collector.accounts, self.collector.notice
        with Workers(accounts, job, jobs, lambda _piece, _keys: None, notice) as workers:
            found = self._each(tasks, partial(_in_worker, workers), SCANS * jobs)
        return _merged(found, keys)

    def _each(self, tasks: Sequence[_Task], do: Do, at_a_time: int) -> Rows:
        def one(task: _Task) -> Rows:
            try:
                self.collector.accounts.connect(task.where)
            except AccountUnavailable as error:
                return [AccountRegionRows.of(task.where, (_no_access(error),))]
            else:
                return do(task)
            finally:
                self.done(task.where)

        with ThreadPoolExecutor(at_a_time) as threads:
            return [rows for some in threads.map(one, tasks) for rows in some]

    def one(self, task: _Task) -> Rows:
        """What could not be read in one account-Region, and elsewhere in its account."""
        where = task.where
        connection = self.collector.accounts.connect(where)
        references = reference_list()
        key_rows, key_untried = self._about_a_key(connection, task.key)
        indexes = [scan_region(connection, references, sample=True)]
        if task.account:
            indexes.append(scan_account(connection, references, sample=True))
        parts = [AccountRegionRows.of(where, key_rows, key_untried)]
        parts += (
            part
            for index in indexes
            for part in self._of_index(connection, index, references, task.examined)
        )
        return parts

    # --- calls about a key ------------------------------------------------------------------------

    def _about_a_key(
        self, connection: Connection, key: KeyArn | None
    ) -> tuple[list[Row], list[str]]:
        """Rows of the calls about one key, and the calls that could not be tried."""
        pieces = [piece for piece in self.collector.sources if piece != "references"]
        try:
            evidence = (self._described(key) if key else None) or self._find_key(connection)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            listing = ("kms:ListKeys",)
            row = _row_of_piece(explain(error, connection, listing), listing)
            return [row], self._calls_of(pieces)
        if evidence is None:
            return [], self._calls_of(pieces)
        if not isinstance(evidence.description, Unreadable):
            evidence = self.collector.read_one(evidence, [p for p in pieces if p != "description"])
        values = ((piece, getattr(evidence, piece)) for piece in pieces)
        return [
            _row_of_piece(value, self.collector.sources[piece].permissions)
            for piece, value in values
            if isinstance(value, Unreadable)
        ], []

    def _described(self, key: KeyArn) -> Evidence | None:
        """The key with its description; None if it is not a customer managed key."""
        evidence = self.collector.read_one(Evidence(key_arn=key), ["description"])
        seen = evidence.description
        if isinstance(seen, Unreadable):
            return evidence
        return (
            evidence
            if isinstance(seen, KeyDescription) and seen.key_manager == "CUSTOMER"
            else None
        )

    def _find_key(self, connection: Connection) -> Evidence | None:
        """A customer managed key of the account-Region, or one that cannot be described."""
        listed = connection.client("kms").list_keys(Limit=KEYS_LOOKED_AT)["Keys"]
        unreadable: Evidence | None = None
        for key in listed:
            evidence = self._described(KeyArn.parse(key["KeyArn"]))
            if evidence is not None and not isinstance(evidence.description, Unreadable):
                return evidence
            unreadable = unreadable or evidence
        return unreadable

    def _calls_of(self, pieces: Iterable[str]) -> list[str]:
        return sorted({p for one in pieces for p in self.collector.sources[one].permissions})

    # --- references -------------------------------------------------------------------------------

    def _of_index(
        self,
        connection: Connection,
        index: Index,
        references: ReferenceList,
        keys: Collection[AccountRegion],
    ) -> Iterator[AccountRegionRows]:
        now = connection.clock.now()
        first_calls = {(entry.service, entry.operation) for entry in references.entries}
        prefixes = {entry.service: entry.iam or entry.service for entry in references.entries}
        hint_of = cache(partial(hint, connection))  # two requests, the same for all of a service
        for gap in index.gaps:
            where = AccountRegion(connection.partition, connection.account_id, gap.region)
            row = row_of(
                gap,
                where if where in keys else connection.account_region,
                self.policy,
                now,
                follow_up=(gap.service, gap.operation) not in first_calls,
            )
            if row.decided_until is None and is_decidable(row):
                prefix = prefixes.get(gap.service, gap.service)
                row = row.model_copy(update={"hint": hint_of(gap.region, prefix)})
            yield AccountRegionRows.of(where, (row,))
        yield AccountRegionRows.of(connection.account_region, (), sorted(index.untried))


def _row_of_piece(value: Unreadable, permissions: tuple[str, ...]) -> Row:
    answer_class = value.answer_class or "unclear"
    return Row(
        service=permissions[0].partition(":")[0],
        operation=value.operation or permissions[0].partition(":")[2],
        answer_class=answer_class,
        code=value.code or "",
        message=value.message or value.unreadable,
        fix=fix_of(answer_class, value.permission, coverage_gap=False),
        action=value.permission,
    )


def _no_access(error: AccountUnavailable) -> Row:
    """The row of an account that cannot be entered, in AWS's words where AWS refused.

    Any other cause may quote a secret, so that only our own sentence about it is shown.
    """
    what, _, fix = str(error).rpartition(". Fix: ")
    cause = origin(error.__cause__) if isinstance(error.__cause__, Exception) else error
    answer = answer_of(cause)
    refused = cause if isinstance(cause, ClientError) else None
    operation = refused.operation_name if refused else "AssumeRole"
    if answer.lacks_action:
        fix = f"allow sts:{operation} in a policy of the given credentials"
    return Row(
        service="sts",
        operation=operation,
        answer_class=answer.answer_class,
        code=answer.code,
        message=answer.message if refused else what or str(error),
        fix=_sentence(fix) if what else fix_of(answer.answer_class, None, coverage_gap=False),
    )


def _lost(error: AccountUnavailable) -> Row:
    """The row of an account whose worker ended early."""
    what, _, fix = str(error).rpartition(". Fix: ")
    return Row(
        service="keysweep",
        operation="--jobs",
        answer_class="unclear",
        code="ProcessEnded",
        message=what,
        fix=_sentence(fix),
    )


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:]


def _merged(
    parts: Iterable[AccountRegionRows], keys: Iterable[AccountRegion]
) -> list[AccountRegionRows]:
    """One for each account-Region, without repeated rows."""
    rows: dict[tuple[str, str], dict[Row, None]] = defaultdict(dict)
    untried: dict[tuple[str, str], set[str]] = defaultdict(set)
    with_keys = {(where.account_id, where.region) for where in keys}
    for part in parts:
        where = part.account_id, part.region
        rows[where].update(dict.fromkeys(part.rows))
        untried[where].update(part.untried)
    return [
        AccountRegionRows(
            account_id=account_id,
            region=region,
            rows=tuple(sorted(found, key=lambda row: (row.service, row.operation, row.code))),
            has_keys=(account_id, region) in with_keys,
            untried=tuple(sorted(untried[account_id, region])),
        )
        for (account_id, region), found in sorted(rows.items())
    ]
