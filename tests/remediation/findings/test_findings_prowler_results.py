"""What real Prowlers of four generations wrote about one scenario, read the same from each.

The scenario is in tests/fixtures/results/generate.py: keys are named here as they are there.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from embedded_aws import names
from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import (
    Results,
    candidates,
    is_cancel_candidate,
    is_plan_candidate,
    read_results,
)
from keysweep.remediation.models import FindingStatus, KeyArn

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "results"
ACCOUNT = "111122223333"
KEYS = {
    names.key_arn(ACCOUNT, region, names.key_id(ACCOUNT, region, name)): f"{region}/{name}"
    for region, name in (
        ("eu-west-1", "alive"),
        ("eu-west-1", "dead"),
        ("eu-west-1", "going"),
        ("eu-west-1", "hidden"),
        ("us-east-1", "alive"),
        ("us-east-1", "muted"),
        ("us-east-1", "muted-going"),
    )
}
FILES = (
    "3.16.17.ocsf.json",
    "3.16.17.asff.json",
    "3.16.17.json",
    "4.0.1.ocsf.json",
    "4.0.1.asff.json",
    "4.6.2.ocsf.json",
    "4.6.2.asff.json",
    "5.10.2.ocsf.json",
    "5.10.2.asff.json",
    "5.46.0.ocsf.json",
    "5.46.0.asff.json",
)
STATUS = {
    "eu-west-1/alive": "PASS",
    "eu-west-1/dead": "FAIL",
    "eu-west-1/going": "PASS",
    "us-east-1/alive": "PASS",
    "us-east-1/muted": "MUTED",
    "us-east-1/muted-going": "MUTED",
}


def read(*files: str) -> Results:
    return read_results([str(FIXTURES / f"prowler-{file}") for file in files], io.BytesIO())


def records(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FIXTURES / f"prowler-{file}").read_bytes())
    return found


def key_names(keys: Iterable[KeyArn | None]) -> set[str]:
    return {KEYS[str(key)] for key in keys}


@pytest.mark.parametrize("file", FILES)
def test_each_generation_and_format_gives_the_same_finding_for_each_key(file: str) -> None:
    results = read(file)
    found = {
        KEYS[str(finding.key_arn)]: finding.status.value
        for finding in results.findings
        if finding.check_id == "kms_cmk_are_used"
    }
    # Where a key could not be described, Prowler's own check says nothing of it.
    denied = file.startswith("5.")
    assert found == (STATUS if denied else {**STATUS, "eu-west-1/hidden": "PASS"})
    assert results.unusable == ()
    (source,) = results.sources
    kind = {"ocsf.json": "OCSF", "asff.json": "ASFF"}.get(file[-9:], "JSON")
    assert source.format == f"Prowler {kind}"
    assert source.findings == len(results.findings)


@pytest.mark.parametrize("file", FILES)
def test_only_the_failed_unmuted_key_is_a_candidate(file: str) -> None:
    findings = read(file).findings
    assert key_names(candidates(findings, is_plan_candidate)) == {"eu-west-1/dead"}


@pytest.mark.parametrize("version", ["4.6.2", "5.10.2", "5.46.0"])
@pytest.mark.parametrize("format_", ["ocsf", "asff"])
def test_pending_deletions_are_candidates_for_cancel(version: str, format_: str) -> None:
    findings = read(f"{version}.{format_}.json").findings
    by_stock = [finding for finding in findings if finding.check_id.endswith("unintentionally")]
    assert key_names(candidates(by_stock, is_cancel_candidate)) == {"eu-west-1/going"}


@pytest.mark.parametrize("version", ["5.10.2", "5.46.0"])
def test_our_check_makes_a_pending_key_a_cancel_candidate_with_any_status(version: str) -> None:
    ours = [
        f for f in read(f"{version}.ocsf.json").findings if f.check_id == "kms_cmk_not_disabled"
    ]
    assert {KEYS[str(finding.key_arn)]: finding.key_state for finding in ours} == {
        "eu-west-1/alive": "Enabled",
        "eu-west-1/dead": "Disabled",
        "eu-west-1/going": "PendingDeletion",
        "eu-west-1/hidden": None,
        "us-east-1/alive": "Enabled",
        "us-east-1/muted": "Disabled",
        "us-east-1/muted-going": "PendingDeletion",
    }
    assert key_names(candidates(ours, is_cancel_candidate)) == {
        "eu-west-1/going",
        "us-east-1/muted-going",
    }


@pytest.mark.parametrize("version", ["5.10.2", "5.46.0"])
def test_what_could_not_be_read_is_reported_and_never_a_candidate(version: str) -> None:
    results = read(f"{version}.ocsf.json")
    manual = [f for f in results.findings if f.status is FindingStatus.MANUAL]
    assert key_names(f.key_arn for f in manual) == {"eu-west-1/hidden"}
    assert not any(map(is_plan_candidate, manual))
    assert not any(map(is_cancel_candidate, manual))
    (unlisted,) = (w for w in results.warnings if "AccessDeniedException" in w)
    assert "eu-central-1" in unlisted
    assert ACCOUNT in unlisted


@pytest.mark.parametrize("version", ["3.16.17", "4.0.1", "4.6.2", "5.10.2", "5.46.0"])
def test_the_time_is_the_one_that_the_scan_began_at(version: str) -> None:
    written = {
        datetime.fromisoformat(record["UpdatedAt"]) for record in records(f"{version}.asff.json")
    }
    (began,) = written
    found = {f.time.replace(microsecond=0) for f in read(f"{version}.ocsf.json").findings if f.time}
    assert found == {began.astimezone(UTC)}


@pytest.mark.parametrize("file", ["3.16.17.ocsf.json", "3.16.17.json", "4.0.1.ocsf.json"])
def test_times_without_a_zone_are_read_as_utc_with_a_warning(file: str) -> None:
    assert any("zone" in w and "UTC" in w for w in read(file).warnings)


@pytest.mark.parametrize("file", ["4.6.2.ocsf.json", "5.46.0.ocsf.json", "5.46.0.asff.json"])
def test_certain_times_give_no_warning(file: str) -> None:
    assert not any("zone" in warning for warning in read(file).warnings)


def test_unix_timestamps_are_read_in_every_format() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    seconds = int(moment.timestamp())
    changed = []
    for file, field, value in (
        ("3.16.17.ocsf.json", "time", str(seconds)),
        ("3.16.17.json", "AssessmentStartTime", seconds),
        ("4.0.1.ocsf.json", "event_time", seconds),
        ("5.46.0.ocsf.json", "time", seconds * 1000),
    ):
        changed += [{**record, field: value} for record in records(file)]
    results = read_results(["-"], io.BytesIO(json.dumps(changed).encode()))
    assert {finding.time for finding in results.findings} == {moment}


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("Failure", "FAIL"), ("Success", "PASS"), ("Unknown", "MANUAL"), ("Other", "MUTED")],
)
def test_each_status_of_a_security_finding_is_read(written: str, read_as: str) -> None:
    given = [{**records("3.16.17.ocsf.json")[0], "status": written}]
    results = read_results(["-"], io.BytesIO(json.dumps(given).encode()))
    assert [finding.status.value for finding in results.findings] == [read_as]


def test_compliance_records_are_read_over() -> None:
    results = read("5.46.0.compliance.ocsf.json")
    assert {record["class_uid"] for record in records("5.46.0.compliance.ocsf.json")} == {2003}
    assert results.findings == ()
    assert results.unusable == ()
    (warning,) = results.warnings
    assert "no record" in warning


def test_a_clean_result_of_other_checks_is_usable_and_makes_no_candidate() -> None:
    others = json.dumps(records("5.46.0.ocsf.json")).replace("kms_cmk_", "ec2_other_")
    results = read_results(["-"], io.BytesIO(others.encode()))
    assert results.findings == results.unusable == ()
    assert [warning for warning in results.warnings if "did not run" in warning]


@pytest.mark.parametrize(
    "change",
    [
        {"status_code": "MANUAL", "resources": [{"uid": "unknown"}]},
        {"resources": [{"uid": "unknown"}]},
        {"resources": []},
        {"time": None},
    ],
)
def test_a_record_that_is_unusable_or_manual_shows_that_the_check_ran(
    change: dict[str, Any],
) -> None:
    (record, *_) = (
        r for r in records("5.46.0.ocsf.json") if r["metadata"]["event_code"] == "kms_cmk_are_used"
    )
    silent = read_results(["-"], io.BytesIO(json.dumps({**record, **OTHER_CHECK}).encode()))
    results = read_results(["-"], io.BytesIO(json.dumps({**record, **change}).encode()))
    assert len(silent.warnings) == 1
    assert not set(silent.warnings) & set(results.warnings)


OTHER_CHECK = {
    "metadata": {"event_code": "kms_key_not_publicly_accessible", "product": {"name": "Prowler"}}
}


@pytest.mark.parametrize("layout", ["list", "one object", "lines", "indented values"])
def test_ocsf_is_read_in_every_layout(layout: str) -> None:
    given = records("5.46.0.ocsf.json")
    document = {
        "list": lambda: json.dumps(given),
        "one object": lambda: json.dumps(given[0]),
        "lines": lambda: "".join(f"{json.dumps(record)}\n" for record in given),
        "indented values": lambda: "\n".join(json.dumps(record, indent=2) for record in given),
    }[layout]()
    results = read_results(["-"], io.BytesIO(document.encode()))
    expected = [f.key_arn for f in read("5.46.0.ocsf.json").findings]
    assert [f.key_arn for f in results.findings] == (expected[:1] if "one" in layout else expected)


@pytest.mark.parametrize("version", ["1.6.0", "2.0.0-dev"])
def test_a_newer_schema_is_read_with_a_warning(version: str) -> None:
    given = records("5.46.0.ocsf.json")
    for record in given:
        record["metadata"]["version"] = version
    results = read_results(["-"], io.BytesIO(json.dumps(given).encode()))
    assert key_names(candidates(results.findings, is_plan_candidate)) == {"eu-west-1/dead"}
    (warning,) = (warning for warning in results.warnings if "newer" in warning)
    assert version in warning


def test_findings_that_come_back_from_security_hub_put_aside_make_no_candidate() -> None:
    given = [r for r in records("5.46.0.asff.json") if r["Compliance"]["Status"] == "FAILED"]
    aside = [
        *({**record, "RecordState": "ARCHIVED"} for record in given),
        *({**record, "Workflow": {"Status": "SUPPRESSED"}} for record in given),
    ]
    results = read_results(["-"], io.BytesIO(json.dumps(aside).encode()))
    assert {finding.status for finding in results.findings} == {FindingStatus.MUTED}


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("prowler-3.16.17.csv", "is CSV"),
        ("prowler-5.46.0.csv", "is CSV"),
        ("checkov-3.3.30-sarif.json", "is SARIF"),
    ],
)
def test_formats_for_other_purposes_are_refused_with_the_reason(file: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as refusal:
        read_results([str(FIXTURES / file)], io.BytesIO())
    assert file in str(refusal.value)
    assert "prowler -M json-ocsf" in str(refusal.value)
