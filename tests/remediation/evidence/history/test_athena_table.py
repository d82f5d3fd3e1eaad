"""What a table and a trail leave out, by what AWS Glue and CloudTrail say about them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from keysweep.remediation.evidence.history.athena_table import (
    COLUMNS,
    NotWhole,
    Trail,
    TrailTable,
    demand_logging,
    table_of,
    trails_of,
)
from keysweep.remediation.models import KeyArn

NOW = datetime(2026, 11, 30, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOME = "s3://logs/audit/AWSLogs/o-abc123/"
KEY = KeyArn("aws", "111122223333", "eu-west-1", "2f94b26d-630d-533b-be64-3de28d30146d")
PARAMETERS = {
    "projection.enabled": "true",
    "projection.account.type": "enum",
    "projection.account.values": "111122223333,444455556666",
    "projection.region.type": "enum",
    "projection.region.values": "eu-west-1,us-east-1",
    "projection.timestamp.type": "date",
    "projection.timestamp.format": "yyyy/MM/dd",
    "projection.timestamp.interval": "1",
    "projection.timestamp.interval.unit": "DAYS",
    "projection.timestamp.range": "2025/01/01,NOW",
    "storage.location.template": HOME + "${account}/CloudTrail/${region}/${timestamp}",
}


def described(parameters: dict[str, str | None] | None = None, **more: Any) -> dict[str, Any]:
    """A table as GetTable describes it; None takes a parameter away."""
    merged = PARAMETERS | (parameters or {})
    return {
        "Name": "trail",
        "DatabaseName": "audit",
        "Parameters": {name: value for name, value in merged.items() if value is not None},
        "PartitionKeys": [{"Name": name} for name in ("account", "region", "timestamp")],
        "StorageDescriptor": {"Location": HOME, "Columns": [{"Name": name} for name in COLUMNS]},
    } | more


def table(parameters: dict[str, str | None] | None = None, **more: Any) -> TrailTable:
    return table_of(described(parameters, **more), NOW)


def test_the_documented_table_of_an_organization_is_whole() -> None:
    whole = table()
    assert (whole.bucket, whole.prefix, whole.organization) == ("logs", "audit/", "o-abc123/")
    assert whole.accounts_folder == "audit/AWSLogs/o-abc123/"
    assert whole.gap(KEY, date(2025, 10, 26)) is None


def test_account_and_region_may_stand_in_the_path() -> None:
    home = "s3://logs/AWSLogs/111122223333/CloudTrail/eu-west-1/"
    one = table(
        {"storage.location.template": home + "${timestamp}"},
        PartitionKeys=[{"Name": "timestamp"}],
        StorageDescriptor=described()["StorageDescriptor"] | {"Location": home},
    )
    assert (one.prefix, one.organization) == ("", "")
    assert one.gap(KEY, date(2025, 10, 26)) is None
    far = KeyArn("aws", "111122223333", "us-east-1", KEY.key_id)
    other = KeyArn("aws", "444455556666", "eu-west-1", KEY.key_id)
    assert "us-east-1" in (one.gap(far, date(2025, 10, 26)) or "")
    assert "444455556666" in (one.gap(other, date(2025, 10, 26)) or "")


def test_a_trail_of_an_organization_is_read_in_all_its_accounts() -> None:
    """A call that another account makes and AWS denies is only in that account's log."""
    fixed = HOME + "111122223333/CloudTrail/${region}/${timestamp}"
    with pytest.raises(NotWhole):
        table(
            {"storage.location.template": fixed},
            PartitionKeys=[{"Name": name} for name in ("region", "timestamp")],
        )


def test_a_region_that_each_query_names_may_be_injected() -> None:
    injected = {"projection.region.type": "Injected", "projection.region.values": None}
    assert table(injected).gap(KEY, date(2025, 10, 26)) is None


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"projection.account.values": "444455556666"}, "111122223333"),
        ({"projection.account.values": "444455556666, 111122223333"}, "111122223333"),
        ({"projection.region.values": "us-east-1"}, "eu-west-1"),
        ({"projection.timestamp.range": "2025/10/27,NOW"}, "2025-10-27"),
        ({"projection.timestamp.range": "NOW-13MONTHS,NOW"}, "2025-12-02"),
        ({"projection.timestamp.range": "NOW-1YEARS , NOW"}, "2025-12-01"),
    ],
)
def test_what_a_projection_leaves_out_is_a_gap(parameters, named: str) -> None:
    assert named in (table(parameters).gap(KEY, date(2025, 10, 26)) or "")


def test_a_range_relative_to_now_is_long_enough_or_not() -> None:
    assert table({"projection.timestamp.range": "NOW-2YEARS,NOW"}).first_day == date(2024, 12, 1)
    assert table({"projection.timestamp.range": "NOW-9DAY,NOW+1DAYS"}).first_day == date(
        2026, 11, 22
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"projection.enabled": "false"},
        {"projection.enabled": None},
        {"storage.location.template": None},
        {"storage.location.template": HOME + "${account}/CloudTrail/${region}/2026/11/30"},
        {"storage.location.template": HOME + "${account}/CloudTrail-Digest/${region}/${timestamp}"},
        {"storage.location.template": HOME + "${account}/CloudTrail/${region}/2026/${timestamp}"},
        {"projection.account.type": "injected"},
        {"projection.account.type": "integer"},
        {"projection.account.type": None},
        {"projection.region.type": "date"},
        {"projection.timestamp.type": "enum"},
        {"projection.timestamp.format": "yyyy-MM-dd"},
        {"projection.timestamp.format": "yyyy/MM"},
        {"projection.timestamp.interval": "2"},
        {"projection.timestamp.interval.unit": "WEEKS"},
        {"projection.timestamp.range": "2025/01/01,2026/12/31"},
        {"projection.timestamp.range": "2025/01/01,NOW-7DAYS"},
        {"projection.timestamp.range": "2025-01-01,NOW"},
        {"projection.timestamp.range": None},
    ],
)
def test_a_table_that_may_leave_out_files_is_not_whole(parameters) -> None:
    with pytest.raises(NotWhole):
        table(parameters)


@pytest.mark.parametrize(
    "more",
    [
        {"PartitionKeys": [{"Name": n} for n in ("account", "region", "timestamp", "kind")]},
        {"PartitionKeys": []},
        {"IsRegisteredWithLakeFormation": True},
        {"StorageDescriptor": described()["StorageDescriptor"] | {"Location": "s3://other/x/"}},
        {"StorageDescriptor": described()["StorageDescriptor"] | {"Columns": []}},
        *(
            {
                "StorageDescriptor": {
                    "Location": HOME,
                    "Columns": [{"Name": name} for name in COLUMNS - {lost}],
                }
            }
            for lost in sorted(COLUMNS)
        ),
    ],
)
def test_another_layout_is_not_whole(more) -> None:
    with pytest.raises(NotWhole):
        table(**more)


# --- the trail ----------------------------------------------------------------------------------

TRAIL = {
    "TrailARN": "arn:aws:cloudtrail:eu-west-1:999988887777:trail/all",
    "HomeRegion": "eu-west-1",
    "S3BucketName": "logs",
    "S3KeyPrefix": "audit",
    "IsMultiRegionTrail": True,
    "IsOrganizationTrail": True,
}
ON = {"IsLogging": True, "StartLoggingTime": NOW}
ALL = Trail("arn", "999988887777", "us-east-1", every_account=True, every_region=True)
WHOLE = {"ReadWriteType": "All", "IncludeManagementEvents": True}
MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}


@pytest.mark.parametrize(
    "other",
    [
        {"S3BucketName": "others"},
        {"S3KeyPrefix": "other"},
        {"S3KeyPrefix": None},
        {"IsOrganizationTrail": False},
        {"TrailARN": "arn:aws:cloudtrail:eu-west-1:999988887777:trail/all'"},
    ],
)
def test_a_trail_that_writes_elsewhere_is_not_the_tables(other) -> None:
    assert [trail.arn for trail in trails_of([TRAIL], table())] == [TRAIL["TrailARN"]]
    with pytest.raises(NotWhole):
        trails_of([TRAIL | other], table())


def test_a_trail_covers_what_it_logs() -> None:
    every = replace(ALL, since=NOW)
    assert every.gap(KEY, NOW) is None
    own = Trail("arn", KEY.account_id, KEY.region, every_account=False, every_region=False)
    assert replace(own, since=NOW).gap(KEY, NOW) is None
    one_account = replace(every, every_account=False)
    assert "999988887777" in (one_account.gap(KEY, NOW) or "")
    one_region = replace(every, every_region=False)
    assert "us-east-1" in (one_region.gap(KEY, NOW) or "")


def test_a_trail_covers_the_time_since_it_was_switched_on() -> None:
    """A trail that was off for an hour still logged a read of KMS on that day."""
    status = {"IsLogging": True, "StartLoggingTime": NOW, "StopLoggingTime": NOW - HOUR}
    trail = demand_logging(ALL, {"EventSelectors": [WHOLE]}, status)
    assert trail.gap(KEY, NOW) is None
    assert "2026-11-30" in (trail.gap(KEY, NOW - HOUR) or "")
    assert ALL.gap(KEY, NOW) is not None
    with pytest.raises(NotWhole):
        demand_logging(ALL, {"EventSelectors": [WHOLE]}, {"IsLogging": True})


def advanced(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"AdvancedEventSelectors": [{"FieldSelectors": [*fields]}]}


@pytest.mark.parametrize(
    "selectors",
    [
        {"EventSelectors": [WHOLE]},
        {"EventSelectors": [WHOLE | {"ExcludeManagementEventSources": ["rdsdata.amazonaws.com"]}]},
        {"EventSelectors": [{"ReadWriteType": "WriteOnly"}, WHOLE]},
        advanced(MANAGEMENT),
        advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["rdsdata.amazonaws.com"]}),
    ],
)
def test_selectors_that_log_every_event_of_kms(selectors) -> None:
    demand_logging(ALL, selectors, ON)
    for other in ({"IsLogging": False}, {"LatestDeliveryError": "AccessDenied"}):
        with pytest.raises(NotWhole):
            demand_logging(ALL, selectors, ON | other)


@pytest.mark.parametrize(
    "selectors",
    [
        {},
        {"EventSelectors": []},
        {"EventSelectors": [WHOLE | {"ReadWriteType": "WriteOnly"}]},
        {"EventSelectors": [WHOLE | {"ReadWriteType": "ReadOnly"}]},
        {"EventSelectors": [WHOLE | {"IncludeManagementEvents": False}]},
        {"EventSelectors": [WHOLE | {"ExcludeManagementEventSources": ["kms.amazonaws.com"]}]},
        advanced(),
        advanced({"Field": "eventCategory", "Equals": ["Data"]}),
        advanced({"Field": "eventCategory", "Equals": ["Management", "Data"]}),
        advanced(MANAGEMENT, {"Field": "readOnly", "Equals": ["false"]}),
        advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}),
        advanced(MANAGEMENT, {"Field": "eventSource", "Equals": ["kms.amazonaws.com"]}),
        advanced(MANAGEMENT, {"Field": "eventSource", "NotStartsWith": ["kms"]}),
        advanced(MANAGEMENT, {"Field": "userIdentity.arn", "NotEquals": ["arn:aws:iam::1:role/x"]}),
        advanced(MANAGEMENT, {"Field": "eventName", "NotEquals": ["Decrypt"]}),
        advanced(MANAGEMENT, {"Field": "eventType", "NotEquals": ["AwsServiceEvent"]}),
    ],
)
def test_selectors_that_leave_out_an_event_of_kms(selectors) -> None:
    with pytest.raises(NotWhole):
        demand_logging(ALL, selectors, ON)
