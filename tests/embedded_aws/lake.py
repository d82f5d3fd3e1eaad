"""CloudTrail Lake: SQL over the trail, without the 90 days of the event history.

What the SQL may be: one SELECT FROM <id of the event data store>. The columns are eventTime,
eventName, eventSource, awsRegion, recipientAccountId, errorCode, errorMessage, eventID, requestID,
readOnly, userIdentity.type|arn|accountId|userName|invokedBy, requestParameters and resources. The
last two are maps and arrays at AWS: `element_at(requestParameters, 'keyId')`, `resources[1].arn`
and `element_at(resources, 1).arn` work (also accountId and type), other array functions do not.
eventTime compares with 'YYYY-MM-DD HH:MM:SS'. Everything else is SQLite's: WHERE, IN, LIKE, CASE,
GROUP BY, max, count, ORDER BY.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from . import cloudtrail, names
from .clock import DAY, wire
from .errors import AwsError
from .scenario import Account, Scenario
from .trail import Event, Trail

Json = dict[str, Any]

OPERATIONS = frozenset(
    {"StartQuery", "DescribeQuery", "GetQueryResults", "CancelQuery"}
    | {"ListEventDataStores", "GetEventDataStore"}
)

_COLUMNS = (
    *("eventTime", "eventName", "eventSource", "awsRegion", "recipientAccountId", "errorCode"),
    *("errorMessage", "eventID", "requestID", "readOnly", "userIdentity.type", "userIdentity.arn"),
    *("userIdentity.accountId", "userIdentity.userName", "userIdentity.invokedBy"),
    *("requestParameters", "resources"),
)
_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FROM = re.compile(rf"\bfrom\s+[\"']?({_ID})[\"']?", re.IGNORECASE)
_USER = re.compile(r"\buserIdentity\.(\w+)\b")
_RESOURCE = re.compile(r"\b(?:resources\[(\d+)\]|element_at\(resources, *(\d+)\))\.(\w+)")


@dataclass
class Store:
    """An event data store: whose events it holds, and for how long (days)."""

    arn: str
    name: str
    accounts: tuple[str, ...]
    regions: tuple[str, ...] | None
    retention: int
    created: float
    updated: float
    status: str
    leaves_out_kms: bool
    queries_end: str

    @property
    def id(self) -> str:
        """The id that SQL names."""
        return self.arn.rsplit("/", 1)[1]


@dataclass
class _Query:
    id: str
    statement: str
    end: str
    """The status that it has in the end."""
    status: str = "QUEUED"
    rows: list[list[dict[str, str]]] = field(default_factory=list)


class Lake:
    """Event data stores and queries of one embedded AWS."""

    def __init__(self, scenario: Scenario, trail: Trail, now: float) -> None:
        self._trail = trail
        self._queries: dict[str, _Query] = {}
        self.stores: dict[tuple[str, str], list[Store]] = {}
        for account, content in scenario.accounts.items():
            for region in content.regions:
                self.stores[account, region] = _stores(scenario, account, region, content, now)

    def answer(self, operation: str, account: str, region: str, params: Json, now: float) -> Json:
        """Answer a CloudTrail Lake request, or raise AwsError."""
        stores = self.stores.get((account, region), [])
        if operation == "ListEventDataStores":
            shown = [{"EventDataStoreArn": one.arn, "Name": one.name} for one in stores]
            return {"EventDataStores": shown}
        if operation == "GetEventDataStore":
            return _described(_named(stores, str(params.get("EventDataStore"))))
        if operation == "StartQuery":
            return self._start(stores, str(params.get("QueryStatement", "")), now)
        query = self._queries.get(str(params.get("QueryId")))
        if query is None:
            raise AwsError("QueryIdNotFoundException", "The query ID does not exist")
        if operation == "CancelQuery":
            query.status = "CANCELLED"
            return {"QueryId": query.id, "QueryStatus": query.status}
        if query.status in ("QUEUED", "RUNNING"):
            query.status = "RUNNING" if query.status == "QUEUED" else query.end
        shown_status: Json = {"QueryStatus": query.status}
        if operation == "DescribeQuery":
            return {"QueryId": query.id, "QueryString": query.statement, **shown_status}
        if query.status != "FINISHED":
            return {**shown_status, "QueryResultRows": []}
        return {**shown_status, **_page(query, params)}

    def _start(self, stores: list[Store], statement: str, now: float) -> Json:
        source = _FROM.search(statement)
        if source is None:
            raise AwsError(
                "InvalidQueryStatementException", "FROM must name an event data store by its id"
            )
        store = _named(stores, source[1])
        query = _Query(str(uuid.uuid4()), statement, store.queries_end)
        oldest = now - store.retention * DAY
        events = [
            one
            for one in self._trail.everything(store.accounts, store.regions)
            if oldest <= one.time <= now and not store.leaves_out_kms
        ]
        query.rows = _run(_translated(statement), events)
        self._queries[query.id] = query
        return {"QueryId": query.id}


def store_arn(account: str, region: str, name: str) -> str:
    """Return the ARN of the scenario's event data store of that name."""
    identifier = uuid.uuid5(uuid.NAMESPACE_URL, f"{account}/{region}/{name}")
    return (
        f"arn:{names.partition(region)}:cloudtrail:{region}:{account}:eventdatastore/{identifier}"
    )


def _stores(
    scenario: Scenario, account: str, region: str, content: Account, now: float
) -> list[Store]:
    return [
        Store(
            store_arn(account, region, one.name),
            one.name,
            tuple(scenario.accounts) if one.organization else (account,),
            None if one.multi_region else (region,),
            one.retention_days,
            now - one.created_days_ago * DAY,
            now - min(one.created_days_ago, one.updated_days_ago) * DAY,
            one.status,
            one.leaves_out_kms,
            one.queries_end,
        )
        for one in content.regions[region].event_data_stores
    ]


def _named(stores: list[Store], name: str) -> Store:
    for store in stores:
        if name in (store.arn, store.id):
            return store
    raise AwsError("EventDataStoreNotFoundException", f"Event data store {name} does not exist")


def _described(store: Store) -> Json:
    fields: list[Json] = [{"Field": "eventCategory", "Equals": ["Management"]}]
    if store.leaves_out_kms:
        fields.append({"Field": "eventSource", "NotEquals": [cloudtrail.SOURCE]})
    return {
        "EventDataStoreArn": store.arn,
        "Name": store.name,
        "Status": store.status,
        "MultiRegionEnabled": store.regions is None,
        "OrganizationEnabled": len(store.accounts) > 1,
        "RetentionPeriod": store.retention,
        "CreatedTimestamp": wire(store.created),
        "UpdatedTimestamp": wire(store.updated),
        "AdvancedEventSelectors": [{"FieldSelectors": fields}],
    }


def _translated(statement: str) -> str:
    """Return Lake's SQL as SQLite's."""
    text = _FROM.sub("FROM events", statement)
    text = _USER.sub(r'"userIdentity.\1"', text)
    text = _RESOURCE.sub(
        lambda match: f"json_extract(resources, '$[{int(match[1] or match[2]) - 1}].{match[3]}')",
        text,
    )
    return re.sub(r"\btimestamp\s+'", "'", text, flags=re.IGNORECASE)


def _run(statement: str, events: list[Event]) -> list[list[dict[str, str]]]:
    """Run a SELECT over events and return Lake's rows: lists of one-entry maps of texts."""
    base = sqlite3.connect(":memory:")
    base.create_function("element_at", 2, _element_at, deterministic=True)
    columns = ", ".join(f'"{name}"' for name in _COLUMNS)
    base.execute(f"CREATE TABLE events ({columns})")
    marks = ", ".join("?" * len(_COLUMNS))
    base.executemany(f"INSERT INTO events VALUES ({marks})", map(_row, events))
    base.execute("PRAGMA query_only = ON")
    try:
        cursor = base.execute(statement)
        found = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise AwsError("InvalidQueryStatementException", str(error)) from None
    finally:
        base.close()
    heads = [head[0].replace("userIdentity.", "") for head in cursor.description or ()]
    return [
        [
            {head: "" if value is None else str(value)}
            for head, value in zip(heads, row, strict=True)
        ]
        for row in found
    ]


def _row(event: Event) -> tuple[str | None, ...]:
    record = cloudtrail.record(event)
    who: Mapping[str, Any] = record["userIdentity"]
    moment = datetime.fromtimestamp(event.time, UTC)
    values: dict[str, Any] = {
        **record,
        "eventTime": moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03}",
        "readOnly": str(record["readOnly"]).lower(),
        "requestParameters": json.dumps(record["requestParameters"]),
        "resources": json.dumps(
            [
                {"arn": one["ARN"], "accountId": one["accountId"], "type": one["type"]}
                for one in record["resources"]
            ]
        ),
        **{f"userIdentity.{name}": value for name, value in who.items()},
    }
    return tuple(values.get(name) for name in _COLUMNS)


def _element_at(text: str | None, name: str) -> str | None:
    content = json.loads(text or "null")
    if not isinstance(content, dict) or name not in content:
        return None
    value = content[name]
    return value if isinstance(value, str) else json.dumps(value)


def _page(query: _Query, params: Json) -> Json:
    most = params.get("MaxQueryResults", 1000)
    if not isinstance(most, int) or not 1 <= most <= 1000:
        raise AwsError("InvalidMaxResultsException", "MaxQueryResults must be from 1 to 1000")
    start = 0
    token = params.get("NextToken")
    if token is not None:
        try:
            start = int(base64.b64decode(str(token)))
        except ValueError:
            raise AwsError("InvalidNextTokenException", "The token is not valid") from None
    rows = query.rows[start : start + most]
    shown: Json = {
        "QueryResultRows": rows,
        "QueryStatistics": {"ResultsCount": len(rows), "TotalResultsCount": len(query.rows)},
    }
    if start + most < len(query.rows):
        shown["NextToken"] = base64.b64encode(str(start + most).encode()).decode()
    return shown
