"""An Athena table over a trail's log files, as AWS Glue describes it: what it reads.

Format: "Create the table for CloudTrail logs in Athena using partition projection" and "Supported
types for partition projection", Amazon Athena User Guide. The folders of the log files: "Finding
your CloudTrail log files", AWS CloudTrail User Guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from ...models import AccountRegion, KeyArn

COLUMNS: Final = frozenset(
    {
        *("awsregion", "errorcode", "errormessage", "eventname", "eventsource", "eventtime"),
        *("readonly", "recipientaccountid", "requestparameters", "resources", "responseelements"),
        *("sharedeventid", "useridentity"),
    }
)
"""Columns that the query reads, by the names of AWS's table."""

_NAME: Final = r"[a-z0-9_]+"
_TEMPLATE: Final = re.compile(
    r"s3://(?P<bucket>[^/$]+)/(?P<prefix>(?:[^$]+/)?)AWSLogs/(?P<organization>(?:o-[a-z0-9]+/)?)"
    rf"(?P<account>[0-9]{{12}}|\$\{{{_NAME}\}})/CloudTrail/(?P<region>[a-z0-9-]+|\$\{{{_NAME}\}})/"
    rf"\$\{{(?P<day>{_NAME})\}}/?",
    re.ASCII,
)
_TRAIL_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:cloudtrail:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):trail/[\w.-]+",
    re.ASCII,
)
"""Its Region is the home Region, in which the trail was created."""

_RANGE: Final = re.compile(r"\s*(?P<first>[^,]+?)\s*,\s*NOW\s*(?:\+.*)?")
_BEFORE_NOW: Final = re.compile(r"NOW\s*-\s*(?P<count>[0-9]+)\s*(?P<unit>DAY|WEEK|MONTH|YEAR)S?")
_DAYS: Final = {"DAY": 1, "WEEK": 7, "MONTH": 28, "YEAR": 365}
"""Days of a unit, at least."""

_DAY_FORMAT: Final = "%Y/%m/%d"


class NotWhole(Exception):
    """Why a table or trail cannot show that there was no event."""


@dataclass(frozen=True)
class Part:
    """The accounts or Regions of a table: one in its path, or those that a column projects."""

    column: str | None
    values: frozenset[str] | None
    """None: every one, because each query names it (type `injected`)."""

    def has(self, value: str) -> bool:
        """Whether the table reads the folders of this account or Region."""
        return self.values is None or value in self.values


@dataclass(frozen=True)
class TrailTable:
    """A table with partition projection over the log files of a trail."""

    name: str
    bucket: str
    prefix: str
    """Of the trail: empty, or with a slash at the end."""
    organization: str
    """`o-ID/` of an organization trail's folders; empty for those of one account."""
    account: Part
    region: Part
    day_column: str
    first_day: date

    @property
    def accounts_folder(self) -> str:
        """The prefix of the bucket that has a folder for each account."""
        return f"{self.prefix}AWSLogs/{self.organization}"

    def folder(self, account_region: AccountRegion) -> str:
        """The prefix of an account-Region's log files in the bucket."""
        account, region = account_region.account_id, account_region.region
        return f"{self.accounts_folder}{account}/CloudTrail/{region}/"

    def gap(self, of: KeyArn | AccountRegion, first_day: date) -> str | None:
        """Why the table does not cover an account-Region from that day on. None: it does."""
        if not self.account.has(of.account_id):
            return f"Table {self.name} leaves out account {of.account_id}"
        if not self.region.has(of.region):
            return f"Table {self.name} leaves out Region {of.region}"
        if self.first_day > first_day:
            return f"Table {self.name} begins on {self.first_day}, after {first_day}"
        return None


def table_of(described: Mapping[str, Any], now: datetime) -> TrailTable:
    """The table that `GetTable` describes.

    Raises NotWhole if it may leave out log files.
    """
    name = f"{described['DatabaseName']}.{described['Name']}"
    parameters: Mapping[str, str] = described.get("Parameters") or {}
    if parameters.get("projection.enabled", "").strip().lower() != "true":
        raise NotWhole(f"Table {name} has no partition projection, so partitions may be missing")
    if described.get("IsRegisteredWithLakeFormation"):
        raise NotWhole(f"AWS Lake Formation controls table {name}, and its filters can hide rows")
    template = parameters.get("storage.location.template", "")
    match = _TEMPLATE.fullmatch(template)
    if match is None:
        raise NotWhole(
            f"Table {name} does not read a trail's folders: its storage.location.template is "
            f"{template!r}"
        )
    storage: Mapping[str, Any] = described["StorageDescriptor"]
    home = f"s3://{match['bucket']}/{match['prefix']}"
    if not storage.get("Location", "").startswith(home):
        raise NotWhole(f"Table {name} has another location than its storage.location.template")
    account = _part(name, parameters, match["account"])
    if account.values is None:
        raise NotWhole(
            f"Table {name} projects accounts with type injected, so it does not list them all"
        )
    if match["organization"] and account.column is None:
        raise NotWhole(
            f"Table {name} reads only account {match['account']} of an organization's trail"
        )
    region = _part(name, parameters, match["region"])
    placed = {account.column, region.column, match["day"]} - {None}
    if {column["Name"] for column in described.get("PartitionKeys", ())} != placed:
        raise NotWhole(f"Table {name} has other partition columns than its template")
    if missing := COLUMNS - {column["Name"].lower() for column in storage["Columns"]}:
        raise NotWhole(f"Table {name} lacks these columns: {', '.join(sorted(missing))}")
    return TrailTable(
        name=name,
        bucket=match["bucket"],
        prefix=match["prefix"],
        organization=match["organization"],
        account=account,
        region=region,
        day_column=match["day"],
        first_day=_first_day(name, parameters, match["day"], now),
    )


def _part(table: str, parameters: Mapping[str, str], text: str) -> Part:
    """The accounts or Regions that one segment of the template stands for."""
    if not text.startswith("$"):
        return Part(None, frozenset({text}))
    column = text[2:-1]
    kind = parameters.get(f"projection.{column}.type", "").strip().lower()
    if kind == "injected":
        return Part(column, None)
    if kind != "enum":
        raise NotWhole(f"Table {table} projects {column} with type {kind!r}, not enum")
    # "Any white space is considered part of an enum value".
    return Part(column, frozenset(parameters.get(f"projection.{column}.values", "").split(",")))


def _first_day(table: str, parameters: Mapping[str, str], column: str, now: datetime) -> date:
    """The first day that the table reads. It must read each one from there to today."""
    declared = {
        name: parameters.get(f"projection.{column}.{name}", default).strip()
        for name, default in (
            *(("type", ""), ("format", ""), ("range", "")),
            *(("interval", "1"), ("interval.unit", "DAYS")),
        )
    }
    expected = {"type": "date", "format": "yyyy/mm/dd", "interval": "1"}
    other = [name for name, value in expected.items() if declared[name].lower() != value]
    if other or declared["interval.unit"].upper() not in {"DAY", "DAYS"}:
        raise NotWhole(f"Table {table} does not project {column} day by day as yyyy/MM/dd")
    match = _RANGE.fullmatch(declared["range"])
    if match is None:
        raise NotWhole(
            f"Table {table} does not read up to now: the range of {column} is {declared['range']!r}"
        )
    if before := _BEFORE_NOW.fullmatch(match["first"]):
        return now.date() - timedelta(days=int(before["count"]) * _DAYS[before["unit"]] - 1)
    try:
        return datetime.strptime(match["first"], _DAY_FORMAT).date()  # noqa: DTZ007 - a day
    except ValueError:
        raise NotWhole(
            f"Table {table} begins on {match['first']!r}, which is no day as yyyy/MM/dd"
        ) from None


@dataclass(frozen=True)
class Trail:
    """A trail that writes into the folders of a table, and whose events it logs."""

    arn: str
    account_id: str
    region: str
    every_account: bool
    every_region: bool
    since: datetime | None = None
    """When it was last switched on; None: not asked yet."""

    @property
    def name(self) -> str:
        """What requests of its own account may call it."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def home(self) -> AccountRegion:
        """The account-Region whose log files show its changes."""
        return AccountRegion(self.arn.split(":")[1], self.account_id, self.region)

    def gap(self, key_arn: KeyArn, start: datetime) -> str | None:
        """Why it has not logged a key's account-Region from then on. None: it has."""
        if self.since is None or self.since > start:
            known = "an unknown time" if self.since is None else spelled(self.since)
            return (
                f"Trail {self.arn} has been switched on since {known}, and its log files are "
                f"needed since {spelled(start)}. Fix: lower history_days"
            )
        if not self.every_account and key_arn.account_id != self.account_id:
            return f"Trail {self.arn} logs only account {self.account_id}"
        if not self.every_region and key_arn.region != self.region:
            return f"Trail {self.arn} logs only Region {self.region}"
        return None


def spelled(time: datetime) -> str:
    """A time as messages show it."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def trails_of(described: Sequence[Mapping[str, Any]], table: TrailTable) -> list[Trail]:
    """The trails among those that `DescribeTrails` lists that write where the table reads.

    Raises NotWhole if there is none.
    """
    found = [
        Trail(
            arn=match[0],
            account_id=match["account"],
            region=match["region"],
            every_account=bool(one.get("IsOrganizationTrail")),
            every_region=bool(one.get("IsMultiRegionTrail")),
        )
        for one in described
        if one["S3BucketName"] == table.bucket
        and _folder(one.get("S3KeyPrefix")) == table.prefix
        and bool(one.get("IsOrganizationTrail")) == bool(table.organization)
        and (match := _TRAIL_ARN.fullmatch(one["TrailARN"]))
    ]
    if not found:
        raise NotWhole(
            f"No trail that these credentials can see writes to s3://{table.bucket}/"
            f"{table.accounts_folder}, which table {table.name} reads"
        )
    return found


def _folder(prefix: str | None) -> str:
    return f"{prefix.strip('/')}/" if prefix else ""


def demand_logging(trail: Trail, selectors: Mapping[str, Any], status: Mapping[str, Any]) -> Trail:
    """The trail with the time since which it logs. Before, nothing says what it logged.

    From the answers of `GetEventSelectors` and `GetTrailStatus`. Raises NotWhole unless it delivers
    every management event of AWS KMS. All recorded answers about a trail that logs have the time.
    """
    if not status["IsLogging"]:
        raise NotWhole(f"Trail {trail.arn} is switched off")
    if error := status.get("LatestDeliveryError"):
        raise NotWhole(f"Trail {trail.arn} could not deliver its last log file ({error})")
    advanced = selectors.get("AdvancedEventSelectors")
    if advanced:
        whole = any(_logs_all(one["FieldSelectors"]) for one in advanced)
    else:
        whole = any(
            one.get("IncludeManagementEvents") is True
            and one.get("ReadWriteType") == "All"
            and "kms.amazonaws.com" not in (one.get("ExcludeManagementEventSources") or ())
            for one in selectors.get("EventSelectors") or ()
        )
    if not whole:
        raise NotWhole(
            f"Trail {trail.arn} does not log every management event of AWS KMS, read and write: "
            "its event selectors leave some out"
        )
    since = status.get("StartLoggingTime")
    if not isinstance(since, datetime):
        raise NotWhole(f"Trail {trail.arn} does not show when it was switched on")
    return replace(trail, since=since.astimezone(UTC))


def _logs_all(fields: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an advanced event selector logs all management events of AWS KMS.

    A field besides the category may only leave out other services.
    """
    category = [one for one in fields if one["Field"] == "eventCategory"]
    others = [one for one in fields if one["Field"] != "eventCategory"]
    return [one.get("Equals") for one in category] == [["Management"]] and all(
        one["Field"] == "eventSource"
        and one.keys() <= {"Field", "NotEquals"}
        and "kms.amazonaws.com" not in one.get("NotEquals", ())
        for one in others
    )
