"""CloudTrail Lake: years of events instead of 90 days, and all keys in one query.

Used if the user names an event data store. A query costs by the data that it scans, so all keys
share one query each for changes of state, changes of aliases, and use.

CloudTrail Lake has been closed to new customers since 31 May 2026. Existing event data stores still
work ("CloudTrail Lake availability change", CloudTrail User Guide).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, Final, Self

from ...aws import Connection
from ...errors import BadInput, TruncatedResponse
from ...models import AccountRegion, Cost, Evidence, KeyArn, Unreadable, UseAttempts
from ..source import Source
from .events import KEY_IN_TEXT, USES, TrailEvent, is_use, target_of
from .sources import RecordedEvents, key_by_key

PERMISSIONS: Final = (
    "cloudtrail:GetEventDataStore",
    "cloudtrail:GetQueryResults",
    "cloudtrail:StartQuery",
)

PATIENCE: Final = timedelta(minutes=15)
"""Time limit of one query."""

_STORE: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):cloudtrail:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12})"
    r":eventdatastore/(?P<store_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.ASCII,
)

_CHANGES: Final = """\
SELECT eventTime, eventName, errorCode, recipientAccountId, awsRegion, {names}, \
element_at(requestParameters, 'aliasName') AS aliasName, \
element_at(requestParameters, 'targetKeyId') AS targetKeyId, userIdentity.arn AS who
FROM {store}
WHERE eventSource = 'kms.amazonaws.com' AND eventTime >= '{since}' AND eventName IN ({events})\
"""

_USE: Final = """\
SELECT max(eventTime) AS eventTime, eventName, errorCode, recipientAccountId, awsRegion, {names}, \
max(userIdentity.arn) AS who
FROM {store}
WHERE eventSource = 'kms.amazonaws.com' AND eventTime >= '{since}' AND eventName IN ({events})
GROUP BY eventName, errorCode, recipientAccountId, awsRegion, {groups}\
"""
"""One row for each key, operation and error. `who` is one of the callers."""

_NAMES: Final = {
    "resource1": "element_at(resources, 1).arn",
    "resource2": "element_at(resources, 2).arn",
    "keyId": "element_at(requestParameters, 'keyId')",
    "sourceKeyId": "element_at(requestParameters, 'sourceKeyId')",
    "destinationKeyId": "element_at(requestParameters, 'destinationKeyId')",
    "message": "CASE WHEN element_at(resources, 1).arn IS NULL THEN errorMessage END",
}
"""Where an event names a key. An error's message counts only if the event has no resource."""


@dataclass(frozen=True)
class StoreArn:
    """ARN of an event data store."""

    partition: str
    region: str
    account_id: str
    store_id: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an ARN. Raises BadInput, also for a bare id, which lacks account and Region."""
        if match := _STORE.fullmatch(text):
            return cls(**match.groupdict())
        raise BadInput(
            f"{text!r} is not the ARN of an event data store. "
            "Fix: copy it from `aws cloudtrail list-event-data-stores`"
        )

    def __str__(self) -> str:
        where = f"{self.region}:{self.account_id}"
        return f"arn:{self.partition}:cloudtrail:{where}:eventdatastore/{self.store_id}"

    @property
    def account_region(self) -> AccountRegion:
        """The store's account-Region."""
        return AccountRegion(self.partition, self.account_id, self.region)


@dataclass(frozen=True)
class Lake:
    """An event data store, which records events of its account-Region or of others too."""

    permissions: ClassVar[tuple[str, ...]] = PERMISSIONS
    store: StoreArn

    @property
    def at(self) -> AccountRegion:
        """The account-Region of the store."""
        return self.store.account_region

    def changes(self, connection: Connection, names: Sequence[str]) -> RecordedEvents:
        """All events with these names, with one query."""
        return _OpenStore.open(connection, self.store).query(_CHANGES, names)

    def use_attempts(self, start: datetime | None = None) -> Source:
        """The source of use attempts, with one query for all keys."""

        def record(connection: Connection) -> RecordedEvents:
            store = _OpenStore.open(connection, self.store)
            if start is not None:
                store = replace(store, since=max(start, store.since))
            return store.query(_USE, USES)

        return Source(
            "use_attempts",
            Cost.EVENT_KEY,
            self.permissions,
            read_account_region=key_by_key(
                record, lambda events, since: partial(_attempts, events=events, since=since)
            ),
            at=self.at,
            since=self.use_attempts,
        )


def _attempts(evidence: Evidence, events: Iterable[TrailEvent], since: datetime) -> UseAttempts:
    attempts = sorted(
        (event.attempt() for event in events if event.about(evidence) and is_use(event, evidence)),
        key=lambda attempt: attempt.time,
        reverse=True,
    )
    return UseAttempts(since=since, attempts=tuple(attempts), all_read=not attempts)


@dataclass(frozen=True)
class _OpenStore:
    """An event data store, and what it holds."""

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
                # Before its last update, it may have held less.
                answer.get("UpdatedTimestamp", answer["CreatedTimestamp"]),
                connection.clock.now() - kept,
            ),
            every_region=answer["MultiRegionEnabled"],
            every_account=answer["OrganizationEnabled"],
            problem=_problem(answer),
        )

    def _gap(self, key_arn: KeyArn) -> Unreadable | None:
        why = self.problem
        if not self.every_account and key_arn.account_id != self.store.account_id:
            why = f"holds only events of account {self.store.account_id}"
        elif not self.every_region and key_arn.region != self.store.region:
            why = f"holds only events of Region {self.store.region}"
        return Unreadable(unreadable=f"Event data store {self.store} {why}") if why else None

    def query(self, statement: str, names: Iterable[str]) -> RecordedEvents:
        """The events with these names."""
        found: dict[AccountRegion, list[TrailEvent]] = {}
        for row in () if self.problem else self._rows(self._filled(statement, names)):
            account_region = AccountRegion(
                self.store.partition, row["recipientAccountId"], row["awsRegion"]
            )
            found.setdefault(account_region, []).append(_event(row))
        return RecordedEvents(self.since, found, self._gap)

    def _filled(self, statement: str, names: Iterable[str]) -> str:
        return statement.format(
            store=self.store.store_id,
            since=f"{self.since:%Y-%m-%d %H:%M:%S}",
            events=", ".join(f"'{name}'" for name in names),
            names=", ".join(f"{where} AS {name}" for name, where in _NAMES.items()),
            groups=", ".join(_NAMES.values()),
        )

    def _rows(self, statement: str) -> Iterator[dict[str, str]]:
        cloudtrail = self.connection.client("cloudtrail")
        query = cloudtrail.start_query(QueryStatement=statement)["QueryId"]
        request = {"QueryId": query}
        deadline = time.monotonic() + PATIENCE.total_seconds()
        pause = 0.2
        while True:
            page = cloudtrail.get_query_results(**request)
            status = page["QueryStatus"]
            if status in {"QUEUED", "RUNNING"}:
                if time.monotonic() > deadline:
                    minutes = PATIENCE // timedelta(minutes=1)
                    raise TruncatedResponse(
                        f"query {query} is still {status} after {minutes} minutes"
                    )
                time.sleep(pause)
                pause = min(pause * 2, 10)
                continue
            if status != "FINISHED":
                why = page.get("ErrorMessage", "no reason given")
                raise TruncatedResponse(f"query {query} ended as {status} ({why})")
            for row in page["QueryResultRows"]:
                yield {name: value for column in row for name, value in column.items()}
            if "NextToken" not in page:
                return
            request["NextToken"] = page["NextToken"]


def _problem(answer: Mapping[str, Any]) -> str | None:
    """Why a store may lack KMS events, such as event selectors that exclude them."""
    if answer["Status"] != "ENABLED":
        return f"is {answer['Status']}"
    for selector in answer["AdvancedEventSelectors"]:
        fields = {field["Field"]: field for field in selector["FieldSelectors"]}
        if fields.keys() == {"eventCategory"} and fields["eventCategory"]["Equals"] == [
            "Management"
        ]:
            return None
    return "does not hold all management events: its event selectors exclude some"


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
