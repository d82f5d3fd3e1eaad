"""CloudTrail Lake in place of the event history: years, not 90 days, and all keys in one query.

Chosen by naming an event data store. Queries cost by the data they scan, so all keys that are left
share one query for the changes of state, one for those of aliases and one for the use.

CloudTrail Lake is closed to new customers since 31 May 2026; who has a store keeps it ("CloudTrail
Lake availability change", CloudTrail User Guide).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Self

from ..aws import Connection
from ..errors import BadInput, CutAnswer
from ..models import Cost, Evidence, KeyArn, Unreadable, UseAttempts
from . import Source
from ._cloudtrail import (
    ALIAS_CHANGES,
    KEY_IN_TEXT,
    STATE_CHANGES,
    USES,
    TrailEvent,
    is_use,
    target_of,
)
from .alias_moves import AFTER, Moves
from .history import history_of

PERMISSIONS: Final = (
    "cloudtrail:GetEventDataStore",
    "cloudtrail:GetQueryResults",
    "cloudtrail:StartQuery",
)

PATIENCE: Final = timedelta(minutes=15)
"""How long one query may take."""

_STORE: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):cloudtrail:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12})"
    r":eventdatastore/(?P<store_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.ASCII,
)

_CHANGES: Final = """\
SELECT eventTime, eventName, errorCode, recipientAccountId, awsRegion, {names}, \
userIdentity.arn AS who
FROM {store}
WHERE eventSource = 'kms.amazonaws.com' AND eventTime >= '{since}' AND eventName IN ({events})\
"""

_ALIASES: Final = _CHANGES.replace(
    "{names}",
    "element_at(requestParameters, 'aliasName') AS aliasName, "
    "element_at(requestParameters, 'targetKeyId') AS targetKeyId, {names}",
)

_USE: Final = """\
SELECT max(eventTime) AS eventTime, eventName, errorCode, recipientAccountId, awsRegion, {names}, \
max(userIdentity.arn) AS who
FROM {store}
WHERE eventSource = 'kms.amazonaws.com' AND eventTime >= '{since}' AND eventName IN ({events})
GROUP BY eventName, errorCode, recipientAccountId, awsRegion, {groups}\
"""
"""One row for each key, operation and error; who is one of those who tried."""

_NAMES: Final = {
    "resource1": "element_at(resources, 1).arn",
    "resource2": "element_at(resources, 2).arn",
    "keyId": "element_at(requestParameters, 'keyId')",
    "sourceKeyId": "element_at(requestParameters, 'sourceKeyId')",
    "destinationKeyId": "element_at(requestParameters, 'destinationKeyId')",
    "message": "CASE WHEN element_at(resources, 1).arn IS NULL THEN errorMessage END",
}
"""Where an event may name a key. An error's message counts where the event has no resource."""


@dataclass(frozen=True)
class StoreArn:
    """The ARN of an event data store; it says where to ask."""

    partition: str
    region: str
    account_id: str
    store_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ARN. Raises BadInput: the id alone does not say in which account and Region."""
        if match := _STORE.fullmatch(text):
            return cls(**match.groupdict())
        raise BadInput(
            f"{text!r} is not the ARN of an event data store; "
            "copy it from: aws cloudtrail list-event-data-stores"
        )

    def __str__(self) -> str:
        where = f"{self.region}:{self.account_id}"
        return f"arn:{self.partition}:cloudtrail:{where}:eventdatastore/{self.store_id}"

    @property
    def account_region(self) -> tuple[str, str]:
        """The account and Region that the store is in."""
        return self.account_id, self.region


def lake_sources(store: StoreArn) -> dict[str, Source]:
    """The sources of history, alias moves and use attempts that ask this event data store."""
    return {
        "alias_moves": Source(
            "alias_moves",
            Cost.EVENT_NAME,
            PERMISSIONS,
            read_account_region=_alias_moves(store),
            at=store,
            after=AFTER,
        ),
        "history": Source(
            "history", Cost.EVENT_NAME, PERMISSIONS, read_account_region=_history(store), at=store
        ),
        "use_attempts": _use_source(store),
    }


def _use_source(store: StoreArn, start: datetime | None = None) -> Source:
    return Source(
        "use_attempts",
        Cost.EVENT_KEY,
        PERMISSIONS,
        read_account_region=_use(store, start),
        at=store,
        since=partial(_use_source, store),
    )


Read = Callable[[Connection, Sequence[Evidence]], Mapping[KeyArn, Any]]


def _history(store: StoreArn) -> Read:
    def read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
        lake = _Lake.open(connection, store)
        events = lake.events(_CHANGES, STATE_CHANGES)
        return {
            evidence.key_arn: lake.gap(evidence.key_arn)
            or history_of(evidence, events.get(evidence.key_arn.account_region, ()), lake.since)
            for evidence in group
        }

    return read


def _alias_moves(store: StoreArn) -> Read:
    def read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
        lake = _Lake.open(connection, store)
        events = lake.events(_ALIASES, ALIAS_CHANGES)
        moves = {
            where: Moves.of(events.get(where, ()))
            for where in {e.key_arn.account_region for e in group}
        }
        return {
            evidence.key_arn: lake.gap(evidence.key_arn)
            or moves[evidence.key_arn.account_region].of_key(evidence, lake.since)
            for evidence in group
        }

    return read


def _use(store: StoreArn, start: datetime | None) -> Read:
    def read(connection: Connection, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
        lake = _Lake.open(connection, store)
        if start is not None:
            lake = replace(lake, since=max(start, lake.since))
        events = lake.events(_USE, USES)
        return {
            evidence.key_arn: lake.gap(evidence.key_arn)
            or _attempts(evidence, events.get(evidence.key_arn.account_region, ()), lake.since)
            for evidence in group
        }

    return read


def _attempts(evidence: Evidence, events: Iterable[TrailEvent], since: datetime) -> UseAttempts:
    attempts = sorted(
        (event.attempt() for event in events if event.about(evidence) and is_use(event, evidence)),
        key=lambda attempt: attempt.time,
        reverse=True,
    )
    return UseAttempts(since=since, attempts=tuple(attempts), all_read=not attempts)


@dataclass(frozen=True)
class _Lake:
    """An event data store that can be asked, and what it holds."""

    connection: Connection
    store: StoreArn
    since: datetime
    every_region: bool
    every_account: bool
    problem: str | None

    @classmethod
    def open(cls, connection: Connection, store: StoreArn) -> Self:
        answer = connection.client("cloudtrail").get_event_data_store(EventDataStore=str(store))
        kept = timedelta(days=answer["RetentionPeriod"])
        return cls(
            connection=connection,
            store=store,
            since=max(
                answer["CreatedTimestamp"],
                # Before a change of its selectors or its retention, it may have held less.
                answer.get("UpdatedTimestamp", answer["CreatedTimestamp"]),
                connection.clock.now() - kept,
            ),
            every_region=answer["MultiRegionEnabled"],
            every_account=answer["OrganizationEnabled"],
            problem=_problem(answer),
        )

    def gap(self, key_arn: KeyArn) -> Unreadable | None:
        """Why the store says nothing about a key; None when it does."""
        why = self.problem
        if not self.every_account and key_arn.account_id != self.store.account_id:
            why = f"holds account {self.store.account_id} alone"
        elif not self.every_region and key_arn.region != self.store.region:
            why = f"holds Region {self.store.region} alone"
        return Unreadable(unreadable=f"the event data store {self.store} {why}") if why else None

    def events(
        self, statement: str, names: Iterable[str]
    ) -> Mapping[tuple[str, str], list[TrailEvent]]:
        """What a query finds, by account and Region."""
        if self.problem:
            return {}
        found: dict[tuple[str, str], list[TrailEvent]] = {}
        for row in self._rows(
            statement.format(
                store=self.store.store_id,
                since=f"{self.since:%Y-%m-%d %H:%M:%S}",
                events=", ".join(f"'{name}'" for name in names),
                names=", ".join(f"{where} AS {name}" for name, where in _NAMES.items()),
                groups=", ".join(_NAMES.values()),
            )
        ):
            connection = row["recipientAccountId"], row["awsRegion"]
            found.setdefault(connection, []).append(_event(row))
        return found

    def _rows(self, statement: str) -> Iterator[dict[str, str]]:
        cloudtrail = self.connection.client("cloudtrail")
        query = cloudtrail.start_query(QueryStatement=statement)["QueryId"]
        wish = {"QueryId": query}
        deadline = time.monotonic() + PATIENCE.total_seconds()
        pause = 0.2
        while True:
            page = cloudtrail.get_query_results(**wish)
            status = page["QueryStatus"]
            if status in {"QUEUED", "RUNNING"}:
                if time.monotonic() > deadline:
                    minutes = PATIENCE // timedelta(minutes=1)
                    raise CutAnswer(f"query {query} is still {status} after {minutes} minutes")
                time.sleep(pause)
                pause = min(pause * 2, 10)
                continue
            if status != "FINISHED":
                why = page.get("ErrorMessage", "no reason given")
                raise CutAnswer(f"query {query} ended as {status} ({why})")
            for row in page["QueryResultRows"]:
                yield {name: value for column in row for name, value in column.items()}
            if "NextToken" not in page:
                return
            wish["NextToken"] = page["NextToken"]


def _problem(answer: Mapping[str, Any]) -> str | None:
    """Why a store may lack events of KMS; a store can be told to leave them out."""
    if answer["Status"] != "ENABLED":
        return f"is {answer['Status']}"
    for selector in answer["AdvancedEventSelectors"]:
        fields = {field["Field"]: field for field in selector["FieldSelectors"]}
        if fields.keys() == {"eventCategory"} and fields["eventCategory"]["Equals"] == [
            "Management"
        ]:
            return None
    return "does not hold all management events: its selectors leave some out"


def _event(row: Mapping[str, str]) -> TrailEvent:
    names = {row[name] for name in _NAMES if name != "message" and row.get(name)}
    return TrailEvent(
        name=row["eventName"],
        time=datetime.fromisoformat(row["eventTime"]).replace(tzinfo=UTC),
        who=row.get("who") or None,
        error=row.get("errorCode") or None,
        mentions=frozenset(names | set(KEY_IN_TEXT.findall(row.get("message") or ""))),
        alias=row.get("aliasName") or None,
        target=target_of(row.get("targetKeyId"), names),
    )
