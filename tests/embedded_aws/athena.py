"""Athena over a trail's log files: the very SQL, run on gzip files as CloudTrail writes them.

sqlglot translates the SQL from Athena's dialect to DuckDB's, and DuckDB runs it over what the files
hold that the table's projection reads. Every other part is here: workgroups, the table in AWS Glue,
the trail, the folders of its bucket, and queries with their pages.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import tempfile
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import cloudtrail, names
from .clock import DAY, iso
from .errors import AwsError
from .scenario import AthenaTable, LogFiles, Scenario, TrailChange
from .trail import Trail

Json = dict[str, Any]

ORGANIZATION = "o-exampleorg1"

QUERIES = frozenset(
    {"GetQueryExecution", "GetQueryResults", "StartQueryExecution", "StopQueryExecution"}
)
_TRAILS = frozenset({"DescribeTrails", "GetEventSelectors", "GetTrailStatus"})

_USER = "STRUCT(arn VARCHAR, accountId VARCHAR, invokedBy VARCHAR, userName VARCHAR)"
_COLUMNS = {
    **dict.fromkeys(
        (
            *("eventTime", "eventSource", "eventName", "awsRegion", "errorCode", "errorMessage"),
            *("requestID", "eventID", "readOnly", "recipientAccountId", "sharedEventID"),
        ),
        "VARCHAR",
    ),
    "userIdentity": _USER,
    "requestParameters": "JSON",
    "responseElements": "JSON",
    "resources": "STRUCT(ARN VARCHAR, accountId VARCHAR)[]",
}
"""Columns of AWS's documented table, which has their names in lower case."""


@dataclass
class _Query:
    id: str
    workgroup: str
    state: str
    """The state that it has in the end."""
    reason: str
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    seen: str = "QUEUED"
    scanned: int = 0


class Athena:
    """Tables, trails and queries of one embedded AWS."""

    def __init__(self, scenario: Scenario, trail: Trail, now: float) -> None:
        self._scenario = scenario
        self._trail = trail
        self._now = now
        self._queries: dict[str, _Query] = {}
        self._lock = threading.Lock()
        self._written = -1
        """How many events the log files have."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._tables = {
            (account, region): inside.athena
            for account, content in scenario.accounts.items()
            for region, inside in content.regions.items()
            if inside.athena is not None
        }

    def answer(
        self, service: str, operation: str, account: str, region: str, params: Json
    ) -> Json | None:
        """Answer a request, or raise AwsError. None: it is about nothing of the scenario."""
        table = self._tables.get((account, region))
        if service == "cloudtrail" and operation in _TRAILS:
            return self._trails(operation, account, region, params)
        if table is None:
            return None
        if service == "glue" and operation == "GetTable":
            return _glue_table(table, params, self._now, self._bucket_path(table))
        if service != "athena":
            return None
        if operation == "GetWorkGroup" and params.get("WorkGroup") == table.workgroup:
            return {"WorkGroup": _workgroup(table, self._now)}
        if operation == "GetWorkGroup" and params.get("WorkGroup") != "primary":
            raise AwsError("InvalidRequestException", "WorkGroup is not found.")
        if operation in QUERIES:
            return self._query(operation, table, account, params)
        return None

    def bucket(self, name: str, query: Mapping[str, str]) -> str | None:
        """Answer a request about a trail's bucket. None: there is no such bucket."""
        for (account, _), table in self._tables.items():
            if table.bucket == name:
                if "lifecycle" in query:
                    return _lifecycle(table)
                prefix = query.get("prefix", "")
                if query.get("delimiter"):
                    accounts = self._accounts(table, account)
                    return _listed(name, prefix, (f"{prefix}{one}/" for one in accounts))
                return _listed(name, prefix, (), self._objects(table, prefix, query))
        return None

    def _objects(
        self, table: AthenaTable, prefix: str, query: Mapping[str, str]
    ) -> Iterable[tuple[str, str]]:
        """Names and storage classes of an account-Region's log files, one for each day."""
        owner, _, region = prefix.split("/")[-4:-1]
        archived = self._days(table.archived, owner, region)
        days = sorted(_day(self._now - ago * DAY) for ago in range(table.days + 1))
        found = ((f"{prefix}{day}/{owner}.json.gz", day in archived) for day in days)
        later = [one for one in found if one[0] > query.get("start-after", "")]
        return [(name, "GLACIER" if away else "STANDARD") for name, away in later[:1000]]

    def _trails(self, operation: str, account: str, region: str, params: Json) -> Json | None:
        """Trails, which the account of the table sees from every Region."""
        for (owner, home), table in self._tables.items():
            if account != owner:
                continue
            arn = f"arn:{names.partition(home)}:cloudtrail:{home}:{account}:trail/all"
            if operation == "DescribeTrails":
                trail = {
                    "Name": "all",
                    "TrailARN": arn,
                    "HomeRegion": home,
                    "S3BucketName": table.bucket,
                    "IncludeGlobalServiceEvents": True,
                    "IsMultiRegionTrail": table.multi_region,
                    "LogFileValidationEnabled": False,
                    "HasCustomEventSelectors": bool(table.selectors),
                    "IsOrganizationTrail": table.organization,
                    **({"S3KeyPrefix": table.prefix} if table.prefix else {}),
                }
                return {"trailList": [trail | table.trail]}
            if arn != params.get("TrailName", params.get("Name")) or region != home:
                raise AwsError("TrailNotFoundException", "Unknown trail")
            if operation == "GetTrailStatus":
                return _trail_status(self._now) | table.trail_status
            whole = {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": []}
            selectors = table.selectors or {
                "EventSelectors": [whole | {"ExcludeManagementEventSources": []}]
            }
            return {"TrailARN": arn} | selectors
        return None

    def _query(self, operation: str, table: AthenaTable, account: str, params: Json) -> Json:
        if operation == "StartQueryExecution":
            return self._start(table, account, params)
        query = self._queries.get(str(params.get("QueryExecutionId")))
        if query is None:
            raise AwsError("InvalidRequestException", "QueryExecution was not found")
        if operation == "StopQueryExecution":
            query.seen = query.state = "CANCELLED"
            return {}
        if operation == "GetQueryExecution":
            if query.seen in ("QUEUED", "RUNNING"):
                query.seen = "RUNNING" if query.seen == "QUEUED" else query.state
            status = {"State": query.seen}
            if query.seen not in ("QUEUED", "RUNNING") and query.reason:
                status["StateChangeReason"] = query.reason
            return {
                "QueryExecution": {
                    "QueryExecutionId": query.id,
                    "WorkGroup": query.workgroup,
                    "Status": status,
                    "Statistics": {
                        "DataScannedInBytes": query.scanned,
                        "ResultReuseInformation": {"ReusedPreviousResult": table.reused},
                    },
                }
            }
        if query.seen != "SUCCEEDED":
            raise AwsError("InvalidRequestException", "Query did not finish successfully")
        return _page(query, params, table)

    def _start(self, table: AthenaTable, account: str, params: Json) -> Json:
        statement = str(params.get("QueryString", ""))
        if len(statement.encode()) > 262_144:
            raise AwsError("InvalidRequestException", "Query string is too long")
        if params.get("WorkGroup") != table.workgroup:
            raise AwsError("InvalidRequestException", "WorkGroup is not found.")
        query = _Query(
            str(uuid.uuid4()), table.workgroup, table.queries_end, table.queries_end_reason
        )
        self._queries[query.id] = query
        files = self._files(table, account)
        query.scanned = sum(path.stat().st_size for path in files)
        if table.cutoff_bytes is not None and query.scanned > table.cutoff_bytes:
            query.state, query.reason = "CANCELLED", "Bytes scanned limit was exceeded"
        if query.state == "SUCCEEDED":
            try:
                query.columns, query.rows = _run(statement, table, files)
            except ValueError as error:
                query.state, query.reason = "FAILED", str(error)
        return {"QueryExecutionId": query.id}

    def _home(self) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="embedded-aws-trail-")
        return self._folder.name

    def _bucket_path(self, table: AthenaTable) -> str:
        prefix = f"{table.prefix}/" if table.prefix else ""
        organization = f"{ORGANIZATION}/" if table.organization else ""
        return f"s3://{table.bucket}/{prefix}AWSLogs/{organization}"

    def _accounts(self, table: AthenaTable, account: str) -> list[str]:
        return sorted(self._scenario.accounts) if table.organization else [account]

    def _write(self, table: AthenaTable, account: str) -> None:
        """Write the log files of the trail, a file for each day of each account-Region.

        Each day has a read of KMS, unless the scenario says that its file is missing.
        """
        home = Path(self._home()) / self._bucket_path(table).removeprefix("s3://")
        written = self._trail.recorded
        if self._written == written:
            return
        self._written = written
        for owner in self._accounts(table, account):
            for region in self._scenario.accounts[owner].regions:
                by_day: defaultdict[str, list[Json]] = defaultdict(list)
                for ago in range(table.days + 1):
                    moment = self._now - ago * DAY
                    by_day[_day(moment)].append(_background(owner, region, moment))
                for day, record in self._recorded(table, account, owner, region):
                    by_day[day].append(record)
                for day in self._days(table.quiet, owner, region):
                    read = by_day[day][0]
                    by_day[day] = [read | {"eventSource": "sts.amazonaws.com"}]
                for day in self._days(table.missing, owner, region):
                    by_day.pop(day, None)
                for day in self._days(table.archived, owner, region):
                    del by_day[day][1:]
                for day, records in by_day.items():
                    path = home / owner / "CloudTrail" / region / day / f"{owner}.json.gz"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with gzip.open(path, "wt", compresslevel=1) as file:
                        json.dump({"Records": records}, file)

    def _recorded(
        self, table: AthenaTable, account: str, owner: str, region: str
    ) -> Iterable[tuple[str, Json]]:
        """Events of keys and of the trail in an account-Region, with their days."""
        for event in self._trail.everything([owner], [region]):
            yield _day(event.time), cloudtrail.record(event)
        home = next(region for (_, region), one in self._tables.items() if one is table)
        for change in table.changes:
            if (change.account or account, home) == (owner, region):
                moment = self._now - change.days_ago * DAY
                yield _day(moment), _changed(change, owner, region, moment)

    def _days(self, files: Iterable[LogFiles], owner: str, region: str) -> set[str]:
        """The days of those files that are of an account-Region."""
        return {
            _day(self._now - one.days_ago * DAY)
            for one in files
            if one.account in (None, owner) and one.region in (None, region)
        }

    def _files(self, table: AthenaTable, account: str) -> list[Path]:
        """The log files that the table's projection reads."""
        with self._lock:
            self._write(table, account)
        home = Path(self._home()) / self._bucket_path(table).removeprefix("s3://")
        first = _day(self._now - table.first_day_days_ago * DAY)
        return [
            path
            for owner in home.iterdir()
            if table.accounts is None or owner.name in table.accounts
            for region in (owner / "CloudTrail").iterdir()
            if table.regions is None or region.name in table.regions
            for path in region.glob("*/*/*/*.json.gz")
            if "/".join(path.parts[-4:-1]) >= first
        ]


def _listed(
    bucket: str, prefix: str, folders: Iterable[str], objects: Iterable[tuple[str, str]] = ()
) -> str:
    """The answer of ListObjectsV2, as one page."""
    parts = [f"<CommonPrefixes><Prefix>{one}</Prefix></CommonPrefixes>" for one in folders]
    parts += [
        f"<Contents><Key>{name}</Key><Size>1</Size><StorageClass>{kind}</StorageClass></Contents>"
        for name, kind in objects
    ]
    return (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>"
        f"<KeyCount>{len(parts)}</KeyCount>{''.join(parts)}</ListBucketResult>"
    )


def _lifecycle(table: AthenaTable) -> str:
    """The answer of GetBucketLifecycleConfiguration. Raises AwsError if there are no rules."""
    if not table.lifecycle:
        raise AwsError(
            "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", 404
        )
    rules = "".join(
        f"<Rule>{_xml({'ID': 'rule', 'Status': 'Enabled'} | rule)}</Rule>"
        for rule in table.lifecycle
    )
    return f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>"


def _xml(values: Mapping[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml(value) if isinstance(value, dict) else value}</{name}>"
        for name, value in values.items()
    )


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y/%m/%d")


def _background(account: str, region: str, moment: float) -> Json:
    """A read of AWS KMS, as scanners make it every day."""
    return {
        "eventTime": iso(moment),
        "eventSource": cloudtrail.SOURCE,
        "eventName": "ListKeys",
        "awsRegion": region,
        "readOnly": True,
        "recipientAccountId": account,
    }


def _changed(change: TrailChange, account: str, region: str, moment: float) -> Json:
    """The event of a change of a trail. Only three operations answer with its ARN."""
    partition = names.partition(region)
    own = f"arn:{partition}:cloudtrail:{region}:{account}:trail/{change.trail}"
    arn = change.trail if change.trail.startswith("arn:") else own
    answers = change.name in {"CreateTrail", "PutEventSelectors", "UpdateTrail"}
    named = "trailName" if change.name == "PutEventSelectors" else "name"
    return {
        "eventTime": iso(moment),
        "eventSource": "cloudtrail.amazonaws.com",
        "eventName": change.name,
        "awsRegion": region,
        "readOnly": False,
        "recipientAccountId": account,
        "userIdentity": {"arn": f"arn:{partition}:iam::{account}:user/administrator"},
        "requestParameters": {named: change.trail},
        "responseElements": {"trailARN": arn} if answers and not change.error else None,
        "errorCode": change.error,
    }


def _trail_status(now: float) -> Json:
    """The status of a trail that was never stopped, and notifies nobody."""
    delivered = iso(now)
    return {
        "IsLogging": True,
        "StartLoggingTime": now - 2000 * DAY,
        "TimeLoggingStarted": iso(now - 2000 * DAY),
        "TimeLoggingStopped": "",
        "LatestDeliveryTime": now,
        "LatestDeliveryAttemptTime": delivered,
        "LatestDeliveryAttemptSucceeded": delivered,
        "LatestNotificationAttemptTime": "",
        "LatestNotificationAttemptSucceeded": "",
    }


def _workgroup(table: AthenaTable, now: float) -> Json:
    configuration: Json = {
        "ResultConfiguration": {},
        "EnforceWorkGroupConfiguration": True,
        "PublishCloudWatchMetricsEnabled": False,
        "RequesterPaysEnabled": False,
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
        "EnableMinimumEncryptionConfiguration": False,
    }
    if table.cutoff_bytes is not None:
        configuration["BytesScannedCutoffPerQuery"] = table.cutoff_bytes
    return {
        "Name": table.workgroup,
        "State": table.workgroup_state,
        "Configuration": configuration,
        "CreationTime": now - 2000 * DAY,
    }


def _glue_table(table: AthenaTable, params: Json, now: float, path: str) -> Json:
    if (params.get("DatabaseName"), params.get("Name")) != (table.database, table.name):
        raise AwsError("EntityNotFoundException", f"Entity Not Found: {params.get('Name')}")
    accounts = ",".join(table.accounts or ())
    regions = ",".join(table.regions or ())
    properties = {
        "projection.enabled": "true",
        "projection.timestamp.type": "date",
        "projection.timestamp.format": "yyyy/MM/dd",
        "projection.timestamp.interval": "1",
        "projection.timestamp.interval.unit": "DAYS",
        "projection.timestamp.range": f"{_day(now - table.first_day_days_ago * DAY)},NOW",
        "projection.account.type": "enum",
        "projection.account.values": accounts,
        "projection.region.type": "enum",
        "projection.region.values": regions,
        "storage.location.template": f"{path}${{account}}/CloudTrail/${{region}}/${{timestamp}}",
    }
    return {
        "Table": {
            "Name": table.name,
            "DatabaseName": table.database,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": properties | table.properties,
            "PartitionKeys": [
                {"Name": name, "Type": "string"} for name in ("account", "region", "timestamp")
            ],
            "StorageDescriptor": {
                "Location": table.location or path,
                "Columns": [
                    {"Name": name.lower(), "Type": "string"}
                    for name in _COLUMNS
                    if name.lower() not in table.lacks_columns
                ],
            },
        }
    }


def _run(
    statement: str, table: AthenaTable, files: Iterable[Path]
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run Athena's SQL over the files. Raises ValueError for SQL that cannot be run."""
    import duckdb
    import sqlglot
    from sqlglot.errors import SqlglotError

    fields = ", ".join(f'"{name}" {kind}' for name, kind in _COLUMNS.items())
    values = ", ".join(
        f"record.{name}" if kind != "JSON" else f"CAST(record.{name} AS VARCHAR) AS {name}"
        for name, kind in _COLUMNS.items()
    )
    parts = "string_split(filename, '/')"
    with (
        contextlib.closing(duckdb.connect(config={"threads": 1})) as base,
        tempfile.NamedTemporaryFile(suffix=".json") as joined,
    ):
        for path in files:  # many files take DuckDB three times as long as a line for each
            record = gzip.decompress(path.read_bytes()).removeprefix(b"{")
            joined.write(b'{"filename": %s, %s\n' % (json.dumps(str(path)).encode(), record))
        joined.flush()
        try:
            [text] = sqlglot.transpile(statement, read="athena", write="duckdb")
            base.execute(f'CREATE SCHEMA "{table.database}"')
            base.execute(
                f'CREATE VIEW "{table.database}"."{table.name}" AS SELECT {values}, '
                f"{parts}[-7] AS account, {parts}[-5] AS region, "
                f"array_to_string({parts}[-4:-2], '/') AS timestamp FROM (SELECT filename, "
                f"unnest(Records) AS record FROM read_json('{joined.name}', "
                f"format='newline_delimited', maximum_object_size=100000000, "
                f"columns={{filename: 'VARCHAR', Records: 'STRUCT({fields})[]'}}))"
            )
            cursor = base.execute(text)
            return [one[0] for one in cursor.description], cursor.fetchall()
        except (duckdb.Error, SqlglotError) as error:
            raise ValueError(re.sub(r"\s+", " ", str(error))[:300]) from None


def _page(query: _Query, params: Json, table: AthenaTable) -> Json:
    most = params.get("MaxResults", 1000)
    if not isinstance(most, int) or not 1 <= most <= 1000:
        raise AwsError("InvalidRequestException", "MaxResults must be from 1 to 1000")
    every = [tuple(query.columns), *query.rows]
    start = int(params.get("NextToken", "0"))
    shown = every[start : start + most]
    more = start + most < len(every)
    if table.loses_pages:  # a fault: the pages after the first are lost, or come again
        more = more and table.loses_pages == "repeats"
        start = -most if more else start
    return {
        "ResultSet": {
            "ResultSetMetadata": {"ColumnInfo": [{"Name": n, "Type": "x"} for n in query.columns]},
            "Rows": [
                {"Data": [{} if v is None else {"VarCharValue": str(v)} for v in row]}
                for row in shown
            ],
        },
        **({"NextToken": str(start + most)} if more else {}),
    }
