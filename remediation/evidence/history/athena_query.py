"""Run a query in Athena, and read its rows whole, or not at all."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from ...errors import BadInput, TruncatedResponse, present

OPTION: Final = "athena:WORKGROUP/DATABASE.TABLE"

PATIENCE: Final = timedelta(minutes=60)
"""Time limit of one query. Athena's own default is 30 minutes ("Service Quotas", Amazon Athena User
Guide)."""

FIRST_PAUSE: Final = 0.2
"""Seconds between the first two looks at a query. Each later pause is twice as long."""

_UNFINISHED: Final = frozenset({"QUEUED", "RUNNING"})
_PAGE: Final = 1_000
_LONGEST_PAUSE: Final = 10.0
_SOURCE: Final = re.compile(
    r"athena:(?P<workgroup>[\w.-]{1,128})/(?P<database>\w{1,255})\.(?P<table>\w{1,255})", re.ASCII
)


@dataclass(frozen=True)
class AthenaName:
    """A workgroup of Athena, and a table of its data catalog."""

    workgroup: str
    database: str
    table: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `athena:WORKGROUP/DATABASE.TABLE`. Raises BadInput for anything else."""
        if match := _SOURCE.fullmatch(text):
            return cls(**match.groupdict())
        raise BadInput(f"--history {text!r} is not {OPTION}")

    def __str__(self) -> str:
        return f"athena:{self.workgroup}/{self.database}.{self.table}"


def demand_cutoff(athena: Any, name: AthenaName) -> int:
    """The bytes after which the workgroup cuts a query.

    Raises BadInput for a workgroup that does not exist, is switched off, or has no such limit.
    """
    fix = "Fix: name a workgroup with a data usage control (BytesScannedCutoffPerQuery)"
    try:
        group = athena.get_work_group(WorkGroup=name.workgroup).get("WorkGroup", {})
    except ClientError as error:
        answer = error.response["Error"]
        if answer["Code"] == "InvalidRequestException":
            raise BadInput(
                f"Athena has no usable workgroup {name.workgroup}: {answer.get('Message')}. {fix}"
            ) from error
        raise
    if group.get("State") == "DISABLED":
        raise BadInput(f"Athena workgroup {name.workgroup} is disabled. {fix}")
    cutoff = group.get("Configuration", {}).get("BytesScannedCutoffPerQuery")
    if not isinstance(cutoff, int):
        raise BadInput(
            f"Athena workgroup {name.workgroup} has no limit of the data that a query scans. {fix}"
        )
    return cutoff


def demand_table(glue: Any, name: AthenaName) -> Mapping[str, Any]:
    """The table, as `GetTable` describes it. Raises BadInput if it does not exist."""
    try:
        answer = glue.get_table(DatabaseName=name.database, Name=name.table)
    except ClientError as error:
        if error.response["Error"]["Code"] == "EntityNotFoundException":
            raise BadInput(
                f"Table {name.database}.{name.table} not found. Fix: check --history"
            ) from error
        raise
    table: Mapping[str, Any] = answer["Table"]
    return table


def run(athena: Any, name: AthenaName, statement: str) -> str:
    """Run a query, and return its id.

    Raises TruncatedResponse, in AWS's words, if it does not succeed; AWS's errors pass through.
    """
    query = _start(athena, name, statement)
    _wait(athena, name, query)
    return query


def rows(athena: Any, query: str, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Read the rows of a query; a missing value is an empty text.

    The column `total` must say how many rows there are. Raises TruncatedResponse for a result that
    is not whole; AWS's errors pass through.
    """
    count, total = 0, None
    for row in _cells(athena, query, columns):
        count += 1
        total = row["total"]
        yield row
    if total is not None and total != str(count):
        raise TruncatedResponse(f"Athena query {query} returned {count} of {total} rows")


def _start(athena: Any, name: AthenaName, statement: str) -> str:
    """Start a query and return its id. Waits while the account runs as many as it may."""
    refused: ClientError | None = None
    for _ in _patiently():
        try:
            query: str = athena.start_query_execution(
                QueryString=statement,
                WorkGroup=name.workgroup,
                QueryExecutionContext={"Database": name.database},
                ResultReuseConfiguration={"ResultReuseByAgeConfiguration": {"Enabled": False}},
            )["QueryExecutionId"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "TooManyRequestsException":
                raise
            refused = error
        else:
            return query
    raise present(refused, "why no query was started")


def _patiently() -> Iterator[None]:
    """Pauses until the time limit, each twice as long as the one before; the first has no time."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    pause = FIRST_PAUSE
    yield
    while time.monotonic() <= deadline:
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
        yield


def _wait(athena: Any, name: AthenaName, query: str) -> None:
    """Wait until the query has succeeded. Whatever else happens, it does not go on."""
    state = "QUEUED"
    try:
        for _ in _patiently():
            execution = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
            status = execution["Status"]
            state = status["State"]
            if state not in _UNFINISHED:
                break
        else:
            minutes = PATIENCE // timedelta(minutes=1)
            raise TruncatedResponse(
                f"Athena query {query} is still {state} after {minutes} minutes"
            )
    finally:
        if state in _UNFINISHED:
            athena.stop_query_execution(QueryExecutionId=query)
    if state != "SUCCEEDED":
        why = status.get("StateChangeReason") or status.get("AthenaError", {}).get("ErrorMessage")
        raise TruncatedResponse(
            f"Athena query {query} in workgroup {name.workgroup} ended as {state} "
            f"({why or 'no reason given'})"
        )
    reuse = execution.get("Statistics", {}).get("ResultReuseInformation", {})
    if reuse.get("ReusedPreviousResult"):
        raise TruncatedResponse(f"Athena query {query} answered with an earlier result")


def _cells(athena: Any, query: str, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    request: dict[str, Any] = {"QueryExecutionId": query, "MaxResults": _PAGE}
    tokens: set[str] = set()
    head = True
    while True:
        result = athena.get_query_results(**request)
        named = [one["Name"] for one in result["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]]
        if named != [*columns]:
            raise TruncatedResponse(f"Athena query {query} returned other columns: {named}")
        for row in result["ResultSet"]["Rows"]:
            values = [cell.get("VarCharValue", "") for cell in row["Data"]]
            if len(values) != len(columns):
                raise TruncatedResponse(f"Athena query {query} returned an incomplete row")
            if head:  # the first row of the first page names the columns
                head = False
                if values == [*columns]:
                    continue
            yield dict(zip(columns, values, strict=True))
        token = result.get("NextToken")
        if not token:
            return
        if token in tokens:
            raise TruncatedResponse(f"Athena query {query} returned the same page twice")
        tokens.add(token)
        request["NextToken"] = token
