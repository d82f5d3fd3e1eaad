"""Which days the lifecycle rules of a trail's bucket leave whole."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from keysweep.remediation.evidence.history.log_files import is_archived, worst_loss

NOW = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
FOLDER = "audit/AWSLogs/o-abc123/"
ARCHIVE = {"Transitions": [{"Days": 90, "StorageClass": "GLACIER"}]}
TOMORROW = date(2026, 12, 1)


def loss(*rules: dict[str, Any]) -> date | None:
    found = worst_loss([{"Status": "Enabled"} | rule for rule in rules], "logs", FOLDER, NOW)
    return None if found is None else found.until


@pytest.mark.parametrize(
    "reach",
    [
        {},
        {"Filter": {}},
        {"Prefix": ""},
        {"Prefix": "audit/"},
        {"Filter": {"Prefix": FOLDER}},
        {"Filter": {"Prefix": FOLDER + "111122223333/"}},
        {"Filter": {"Tag": {"Key": "a", "Value": "b"}}},
        {"Filter": {"ObjectSizeGreaterThan": 131072}},
        {"Filter": {"And": {"Prefix": "audit/AWS", "ObjectSizeGreaterThan": 1}}},
    ],
)
def test_rules_that_may_reach_log_files(reach: dict[str, Any]) -> None:
    assert loss(ARCHIVE | reach) == date(2026, 9, 2)


@pytest.mark.parametrize(
    "rule",
    [
        {"Filter": {"Prefix": "other/"}},
        {"Prefix": "audits/"},
        {"Filter": {"And": {"Prefix": "other/", "Tags": []}}},
        {"Status": "Disabled"},
        {"Transitions": [{"Days": 1, "StorageClass": "STANDARD_IA"}]},
        {"Transitions": [{"Date": datetime(2026, 12, 1, tzinfo=UTC), "StorageClass": "GLACIER"}]},
        {"Transitions": [], "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"Transitions": [], "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
    ],
)
def test_rules_that_lose_no_log_file(rule: dict[str, Any]) -> None:
    assert loss(ARCHIVE | rule) is None


@pytest.mark.parametrize(
    ("rule", "until"),
    [
        ({"Expiration": {"Days": 1}}, date(2026, 11, 30)),
        ({"Expiration": {"Date": datetime(2026, 11, 30, tzinfo=UTC)}}, TOMORROW),
        ({"Transitions": [{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}]}, TOMORROW),
        (ARCHIVE | {"Expiration": {"Days": 365}}, date(2026, 9, 2)),
        (ARCHIVE | {"Expiration": {"Days": 10**9}}, date(2026, 9, 2)),
    ],
)
def test_the_loss_that_reaches_furthest_counts(rule: dict[str, Any], until: date) -> None:
    assert loss({"Expiration": {"Days": 1000}}, rule) == until


def test_one_archived_object_is_enough() -> None:
    kept = [{"StorageClass": kind} for kind in ("STANDARD", "GLACIER_IR", "INTELLIGENT_TIERING")]
    assert not is_archived({})
    assert not is_archived({"Contents": kept})
    assert is_archived({"Contents": [*kept, {"StorageClass": "GLACIER"}]})
