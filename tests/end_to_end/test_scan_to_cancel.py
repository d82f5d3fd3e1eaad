"""From a real Prowler scan to scheduled, cancelled and deleted keys, under the default policy."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.policy import policies_folder

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
BUCKET = "audit-results"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def customer_keys(aws: EmbeddedAws, *states: str) -> dict[str, str]:
    """Region and name of the customer keys in these states, in truth, by ARN."""
    return {
        key["arn"]: f"{key['region']}/{key['name']}"
        for key in aws.keys()
        if key["state"] in states and key["manager"] == "CUSTOMER"
    }


def absent(plan: Any, account: str, region: str) -> set[str]:
    """Services that count as absent for the keys of an account-Region."""
    return {
        service["service"]
        for item in plan["items"]
        if (item["account_id"], item["region"], item["verdict"]) == (account, region, "schedule")
        for found in item["evidence"]["references"]["absent"]
        if found["region"] == region
        for service in found["services"]
    }


@pytest.mark.parametrize(
    "accounts",
    [
        pytest.param({SHOP}, id="one-scan"),
        pytest.param({SHOP, DATA}, id="two-scans", marks=pytest.mark.sample),
    ],
)
def test_the_whole_loop(
    accounts: set[str],
    aws: EmbeddedAws,
    scan: Callable[..., Any],
    keysweep: Callable[..., Any],
    tmp_path: Path,
) -> None:
    aws.reset()
    folders = ["shop", "data"] if DATA in accounts else ["shop"]
    disabled = {
        arn: name
        for arn, name in customer_keys(aws, "Disabled").items()
        if arn.split(":")[4] in accounts
    }
    s3: Any = boto3.client("s3", **aws.client_arguments(SHOP, "eu-west-1"))
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    shop = scan(
        tmp_path / _made(tmp_path, "shop"),
        *("--checks", "kms_cmk_not_disabled", "--output-bucket", BUCKET),
    )
    assert shop.code == 3, shop.text
    failed = {r["resources"][0]["uid"] for r in shop.records if r["status_code"] == "FAIL"}
    assert failed == {arn for arn in disabled if SHOP in arn}
    assert {r["status_code"] for r in shop.records} == {"FAIL", "PASS"}
    assert {r["metadata"]["event_code"] for r in shop.records} == {"kms_cmk_not_disabled"}

    if DATA in accounts:
        data = scan(
            tmp_path / _made(tmp_path, "data"),
            *("--checks", "kms_cmk_not_disabled"),
            *("--role", f"arn:aws:iam::{DATA}:role/KeysweepOperator"),
            *("--output-bucket-no-assume", BUCKET),
        )
        assert data.code == 3, data.text

    (tmp_path / "quick.yaml").write_text(
        "version: 1\nexceptions:\n"
        "  - {key: all, rule: in-use, reason: quick, approved_by: test, until: 2099-01-01}\n",
        encoding="utf-8",
    )
    again = ("--policy", "quick.yaml", "--out", "stored.json", *ROLE)
    code, stored = keysweep(tmp_path, "plan", f"s3://{BUCKET}", *again)
    assert code == 0
    assert {item["key_arn"] for item in stored["items"]} == {*disabled}
    assert [(one["path"], one["sha256"]) for one in stored["sources"]] == [
        (f"s3://{BUCKET}/{tmp_path}/{name}/json-ocsf/{file.name}", sha256(file.read_bytes()))
        for name in folders
        for file in (tmp_path / name).glob("*.ocsf.json")
    ], "Prowler's own layout"

    default = (policies_folder() / "retirement.yaml").read_text(encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(default, encoding="utf-8")
    written = ("--policy", "policy.yaml", "--policy-out", "decided.yaml")
    if DATA in accounts:
        code, examined = keysweep(tmp_path, "doctor", *folders, *written, *ROLE)
        assert code == 1
        assert [
            (one["account_id"], one["region"], row["service"], row["operation"], row["class"])
            for one in examined["account_regions"]
            for row in one["rows"]
        ] == [(SHOP, "eu-central-1", "kendra", "ListIndices", "closed")]
        _decide(tmp_path / "decided.yaml")
        decided = {"eu-central-1/dead-far"}
    else:
        (tmp_path / "decided.yaml").write_text(default, encoding="utf-8")
        decided = set()

    code, plan = keysweep(tmp_path, "plan", *folders, "--policy", "decided.yaml", *ROLE)
    assert code == 0
    resting = {
        disabled[item["key_arn"]]
        for item in plan["items"]
        if item["verdict"] == "schedule" and item["exceptions"]
    }
    assert resting == decided
    verdicts = {disabled[item["key_arn"]]: item["verdict"] for item in plan["items"]}
    reasons = {
        disabled[item["key_arn"]]: {reason["rule"] for reason in item["reasons"]}
        for item in plan["items"]
        if item["reasons"]
    }
    chosen = {name for name, verdict in verdicts.items() if verdict == "schedule"}
    assert chosen == {
        *("eu-west-1/dead-1", "eu-west-1/dead-2", "eu-west-1/dead-3"),
        *(*decided, "eu-west-1/primary"),
        *(["eu-west-1/dead-other"] if DATA in accounts else ()),
    }, reasons
    assert reasons == {
        "eu-west-1/kept": {"protected-tag"},
        "us-east-1/primary": {"replicas-remain"},
        **({} if decided else {"eu-central-1/dead-far": {"in-use"}}),
    }

    assert ("qbusiness" in absent(plan, SHOP, "eu-central-1")) is bool(decided)
    for account in accounts:
        assert "qbusiness" not in absent(plan, account, "eu-west-1")

    code, applied = keysweep(tmp_path, "apply", "plan.json", "--yes", *ROLE)
    assert code == 0
    scheduled = {disabled[r["key_arn"]] for r in applied["results"] if r["outcome"] == "scheduled"}
    assert scheduled == chosen

    code, shown = keysweep(tmp_path, "status", *ROLE)
    assert code == 0
    assert {disabled[row["key_arn"]] for row in shown["rows"]} == scheduled
    assert {row["state"] for row in shown["rows"]} == {"PendingDeletion"}

    aws.advance(days=12)
    restored = aws.key_arn(SHOP, "eu-west-1", "dead-2")
    code, cancelled = keysweep(tmp_path, "cancel", "--key", restored, "--yes", *ROLE)
    assert code == 0
    assert [r["outcome"] for r in cancelled["results"]] == ["cancelled"]

    aws.advance(days=19)
    assert set(customer_keys(aws, "Disabled").values()) == {
        *("eu-west-1/dead-2", "eu-west-1/kept", "us-east-1/primary"),
        *(() if DATA in accounts else ["eu-west-1/dead-other", "eu-central-1/dead-far"]),
    }
    code, shown = keysweep(tmp_path, "status", *ROLE)
    assert {row["state"] for row in shown["rows"]} == {"deleted"}
    assert {disabled[row["key_arn"]] for row in shown["rows"]} == chosen - {"eu-west-1/dead-2"}


def _decide(policy: Path) -> None:
    """Uncomment what doctor wrote, and fill it in by hand."""
    text = re.sub("(?m)^  # ", "  ", policy.read_text(encoding="utf-8"))
    until = datetime.now(UTC).date() + timedelta(days=90)
    for placeholder, value in {
        "<reason>": "never used here",
        "<who>": "platform team",
        "<YYYY-MM-DD>": str(until),
    }.items():
        assert text.count(placeholder) == 1
        text = text.replace(placeholder, value)
    policy.write_text(text, encoding="utf-8")


def _made(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    return name
