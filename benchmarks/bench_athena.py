"""History in Athena: the rows of its queries become evidence about keys.

Athena's answers are made here, so what is measured is this program's work: statements, pages and
rows, and the making of them. Athena's time and price depend on the log files (docs/history.md).
"""

from __future__ import annotations

import itertools
import random
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median
from types import SimpleNamespace
from typing import Any, Final

from keysweep.remediation.evidence.history.athena import FRESH, AthenaHistory
from keysweep.remediation.evidence.history.athena_query import AthenaName
from keysweep.remediation.evidence.history.athena_sql import COLUMNS
from keysweep.remediation.evidence.history.athena_table import COLUMNS as OF_TABLE
from keysweep.remediation.models import AccountRegion, Evidence, KeyArn, KeyHistory, UseAttempts

from .environments import version
from .scenario import REGIONS
from .table import Row, seconds

DAYS: Final = 400
PAGE: Final = 1_000
REGION: Final = REGIONS[0]

_HOME: Final = "s3://amzn-s3-demo-bucket/AWSLogs/o-exampleorg1/"
_ENDS: Final = re.compile(r"UNNEST\(regexp_extract_all\('([0-9a-f]+)', '\.\{(\d)\}'\)\)")
_USE: Final = {"kind": "use", "event": "Decrypt", "error": "DisabledException"}
_CHANGE: Final = {"kind": "change", "event": "DisableKey"}


def measure(runs: int, quick: bool) -> list[Row]:
    """The remaining keys of one Region, each changed and tried once, as all others there."""
    accounts = 40 if quick else 1_000
    return [_measure(runs, accounts, *keys) for keys in ((50, 500), (60, 100))]


def _measure(runs: int, accounts: int, remaining: int, keys: int) -> Row:
    taken = []
    for _ in range(runs):
        aws = _Athena(accounts, keys)
        group = {arn: Evidence(key_arn=arn, aliases=()) for arn in aws.arns(remaining)}
        found = 0

        def keep(evidence: Evidence) -> None:
            nonlocal found
            assert isinstance(evidence.history, KeyHistory), evidence.history
            assert isinstance(evidence.use_attempts, UseAttempts)
            found += len(evidence.use_attempts.attempts)

        begun = time.process_time()
        aws.history().read(group, group, keep)
        taken.append(time.process_time() - begun)
        assert found == len(group)
    rows = sum(map(len, aws.queries.values()))
    return Row(
        f"one Region, {accounts:,} accounts, {remaining} of {keys} keys remain, {DAYS} days",
        len(group),
        f"{seconds(median(taken))} CPU, {len(aws.queries):,} query, {rows:,} rows, "
        f"{aws.characters or 'no'} characters of each id listed",
    )


def versions() -> dict[str, str]:
    """What is measured with."""
    return {"boto3": version("command", "boto3")}


@dataclass
class _Athena:
    """Every client of an account with a trail and a table that are whole."""

    accounts: int
    keys: int
    """Of each account."""
    queries: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    characters: int = 0
    """How many characters of each id the last query listed."""

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.clock = SimpleNamespace(now=lambda: self.now)
        self._names = [f"{number:012d}" for number in range(1, self.accounts + 1)]
        self._of_account = {
            account: [*_made_of(account, self.keys, random.Random(account))]
            for account in self._names
        }

    def arns(self, keys: int) -> Iterator[KeyArn]:
        """The first keys of each account."""
        return itertools.chain.from_iterable(arns[:keys] for arns in self._of_account.values())

    def history(self) -> AthenaHistory:
        """The history that asks these clients."""
        until = self.now.replace(hour=0, minute=0, second=0) - FRESH
        accounts: Any = self
        return AthenaHistory(accounts, AthenaName("team", "audit", "trail"), DAYS, 10**12, until)

    def own_client(self, service: str, region: str | None = None) -> Any:  # noqa: ARG002
        """One client for all services."""
        return self

    def own_account_region(self) -> AccountRegion:
        """The trail's account."""
        return AccountRegion("aws", self._names[0], REGION)

    def get_table(self, **_: object) -> Mapping[str, Any]:
        """AWS's documented table, over the accounts."""
        properties = {
            "projection.enabled": "true",
            "projection.timestamp.type": "date",
            "projection.timestamp.format": "yyyy/MM/dd",
            "projection.timestamp.range": "2020/01/01,NOW",
            "projection.account.type": "enum",
            "projection.account.values": ",".join(self._names),
            "projection.region.type": "injected",
            "storage.location.template": _HOME + "${account}/CloudTrail/${region}/${timestamp}",
        }
        parts = [{"Name": name, "Type": "string"} for name in ("account", "region", "timestamp")]
        columns = [{"Name": name, "Type": "string"} for name in OF_TABLE]
        return {
            "Table": {
                "Name": "trail",
                "DatabaseName": "audit",
                "Parameters": properties,
                "PartitionKeys": parts,
                "StorageDescriptor": {"Location": _HOME, "Columns": columns},
            }
        }

    def describe_trails(self, **_: object) -> Mapping[str, Any]:
        """The organization's trail."""
        return {
            "trailList": [
                {
                    "TrailARN": f"arn:aws:cloudtrail:{REGION}:{self._names[0]}:trail/all",
                    "HomeRegion": REGION,
                    "S3BucketName": _HOME.split("/")[2],
                    "IsMultiRegionTrail": True,
                    "IsOrganizationTrail": True,
                }
            ]
        }

    def get_event_selectors(self, **_: object) -> Mapping[str, Any]:
        """Every management event."""
        return {"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True}]}

    def get_trail_status(self, **_: object) -> Mapping[str, Any]:
        """Switched on."""
        return {"IsLogging": True, "StartLoggingTime": self.now - timedelta(days=2 * DAYS)}

    def get_bucket_lifecycle_configuration(self, **_: object) -> Mapping[str, Any]:
        """No rule."""
        return {"Rules": []}

    def list_objects_v2(self, **_: object) -> Mapping[str, Any]:
        """No archived log file."""
        return {"Contents": [{"StorageClass": "STANDARD"}]}

    def get_paginator(self, _: str) -> Any:
        """A folder for each account."""
        pages = [{"CommonPrefixes": [{"Prefix": f"{_HOME}{one}/"} for one in self._names]}]
        return SimpleNamespace(paginate=lambda **_: pages)

    def start_query_execution(self, *, QueryString: str, **_: object) -> Mapping[str, Any]:  # noqa: N803
        """Make the rows of the keys whose ids end as the query says."""
        name = str(uuid.uuid4())  # queries run side by side
        listed, ends = _ENDS.search(QueryString), frozenset[str]()
        if listed is not None:
            self.characters = int(listed[2])
            ends = frozenset(re.findall(f".{{{self.characters}}}", listed[1]))
        self.queries[name] = [*self._made(ends)]
        return {"QueryExecutionId": name}

    def get_query_execution(self, **_: object) -> Mapping[str, Any]:
        """Succeeded at once."""
        return {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}

    def get_query_results(
        self,
        *,
        QueryExecutionId: str,  # noqa: N803
        NextToken: str = "0",  # noqa: N803 - where the page begins
        **_: object,
    ) -> Mapping[str, Any]:
        """A page."""
        every, start = self.queries[QueryExecutionId], int(NextToken)
        more = start + PAGE < len(every)
        head = [] if start else [{"Data": [{"VarCharValue": name} for name in COLUMNS]}]
        rows = [
            {"Data": [{"VarCharValue": row.get(name, "")} for name in COLUMNS]}
            for row in every[start : start + PAGE]
        ]
        return {
            "ResultSet": {
                "ResultSetMetadata": {"ColumnInfo": [{"Name": name} for name in COLUMNS]},
                "Rows": head + rows,
            },
            **({"NextToken": str(start + PAGE)} if more else {}),
        }

    def _made(self, ends: frozenset[str]) -> Iterator[dict[str, str]]:
        arns = [
            arn
            for arn in self.arns(self.keys)
            if not ends or arn.key_id[-self.characters :] in ends
        ]
        total = str(2 * len(arns) + self.accounts)
        latest = (self.now - timedelta(days=300)).isoformat().replace("+00:00", "Z")
        days = " ".join(map(str, range(DAYS + 1)))
        for account in self._names:
            yield {
                "kind": "day",
                "days": days,
                "latest": latest,
                "total": total,
                "account": account,
            }
        for arn in arns:
            about = {"account": arn.account_id, "names": str(arn)}
            for kind in (_CHANGE, _USE):
                yield {**kind, "latest": latest, "changed": latest, "total": total, **about}


def _made_of(account: str, keys: int, chance: random.Random) -> Iterator[KeyArn]:
    """Keys with random ids, as those of AWS."""
    for _ in range(keys):
        key_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        yield KeyArn("aws", account, REGION, key_id)
