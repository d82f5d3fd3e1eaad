"""Checkov's JSON in every shape that it writes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from keysweep.remediation.findings import Results, candidates, is_plan_candidate, read_results
from keysweep.remediation.models import CodeLocation, Finding, FindingStatus

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "results"
VERSION = "checkov-3.3.30"

KEY = "arn:aws:kms:eu-west-1:111122223333:key/2f94b26d-630d-533b-be64-3de28d30146d"


def read(name: str) -> Results:
    return read_results([str(FIXTURES / f"{VERSION}-{name}.json")], io.BytesIO())


def ours(finding: Finding) -> bool:
    return finding.check_id == "CKV_KEYSWEEP_001"


def addresses(results: Results, status: FindingStatus) -> set[str]:
    return {
        f"{finding.code.framework}:{finding.code.address}"
        for finding in results.findings
        if finding.code is not None and finding.status is status
    }


@pytest.mark.parametrize("shape", ["object", "list", "concatenated"])
def test_failed_passed_and_suppressed_records_are_distinguished(shape: str) -> None:
    results = read(shape)
    stack = {"cloudformation:AWS::KMS::Key.Dead"} if shape != "object" else set()
    assert addresses(results, FindingStatus.FAIL) == {"terraform:aws_kms_key.dead", *stack}
    assert addresses(results, FindingStatus.PASS) == {"terraform:aws_kms_key.alive"}
    assert addresses(results, FindingStatus.MUTED) == {"terraform:aws_kms_key.meant"}
    assert {f.check_id for f in results.findings} == {"CKV_KEYSWEEP_001", "CKV_AWS_227"}
    assert results.unusable == ()


def test_reports_that_checkov_repeats_count_once() -> None:
    findings = read("concatenated").findings
    records = [(finding.check_id, finding.code) for finding in findings]
    assert len(set(records)) == len(records)
    assert {position.split(",")[0] for position in (f.position for f in findings)} > {"record 1"}


def test_with_quiet_only_the_failed_records_are_there() -> None:
    results = read("quiet")
    assert addresses(results, FindingStatus.FAIL) == {"terraform:aws_kms_key.dead"}
    assert {finding.status for finding in results.findings} == {FindingStatus.FAIL}


def test_a_finding_has_its_location_in_the_code() -> None:
    failed = next(f for f in read("object").findings if f.status is FindingStatus.FAIL and ours(f))
    assert failed.code == CodeLocation(
        framework="terraform",
        file="/keys.tf",
        first_line=1,
        last_line=3,
        address="aws_kms_key.dead",
        absolute_file="/source/terraform/keys.tf",
        resource_type="aws_kms_key",
    )
    assert failed.position == "record 1, failed check 2"
    assert failed.key_arn is None
    assert failed.time is None
    assert is_plan_candidate(failed)


@pytest.mark.parametrize(
    ("where", "position"),
    [
        ({}, "/main.tf:4"),
        ({"first_line": 0}, "/main.tf"),
        ({"caller_file": "/shop.tf", "caller_line": 7}, "/shop.tf:7"),
        ({"caller_file": "/shop.tf"}, "/shop.tf"),
    ],
)
def test_the_line_to_change_is_the_module_call_if_there_is_one(where, position: str) -> None:
    code = CodeLocation(
        framework="terraform", file="/main.tf", first_line=4, last_line=5, address="a"
    ).model_copy(update=where)
    assert code.position == position


def test_files_that_checkov_could_not_parse_are_reported() -> None:
    assert any("could not parse /source/terraform/broken.tf" in w for w in read("object").warnings)
    assert any("could not parse 1 file" in warning for warning in read("quiet").warnings)


@pytest.mark.parametrize(("shape", "ran"), [("stock", False), ("nothing", False), ("list", True)])
def test_that_our_check_never_ran_is_reported(shape: str, ran: bool) -> None:
    reported = any("no record of CKV_KEYSWEEP_001" in warning for warning in read(shape).warnings)
    assert reported is not ran


def test_a_resource_in_a_module_names_the_root_that_calls_it() -> None:
    locations = {f.code for f in read("module").findings if f.code is not None and ours(f)}
    assert locations == {
        CodeLocation(
            framework="terraform",
            file="/modules/key/key.tf",
            first_line=1,
            last_line=3,
            address="module.shop.aws_kms_key.dead",
            absolute_file="/source/calls/modules/key/key.tf",
            root_file="/source/calls/main.tf",
            caller_file="/main.tf",
            caller_line=1,
            resource_type="aws_kms_key",
        )
    }


def test_a_plan_names_the_live_key_and_the_instance() -> None:
    own, stock = sorted(read("plan").findings, key=lambda f: f.check_id, reverse=True)
    assert (str(own.key_arn), stock.key_arn) == (KEY, None)
    for finding in (own, stock):
        assert finding.code is not None
        assert finding.code.framework == "terraform_plan"
        assert finding.code.address == "module.shop.aws_kms_key.dead[0]"
    assert own.code is not None
    assert own.code.actions == ("no-op",)
    assert set(map(str, candidates([own, stock], is_plan_candidate))) == {KEY}


def test_a_scan_that_matched_nothing_is_a_whole_result() -> None:
    results = read("nothing")
    assert results.findings == ()
    assert {source.scanner for source in results.sources} == {"checkov"}


def report(**changes: Any) -> dict[str, Any]:
    """A report with one failed record of Keysweep's check, from a Terraform plan."""
    record = {
        "check_id": "CKV_KEYSWEEP_001",
        "check_result": {"result": "FAILED", "evaluated_keys": ["is_enabled"]},
        "file_path": "/tfplan.json",
        "repo_file_path": "/plans/tfplan.json",
        "file_line_range": [12, 30],
        "resource": "module.shop.aws_kms_key.dead",
        "resource_address": "module.shop.aws_kms_key.dead[0]",
        "details": ["resource type: aws_kms_key", f"Key ARN: {KEY}"],
    }
    return {
        "check_type": "terraform_plan",
        "results": {"passed_checks": [], "failed_checks": [{**record, **changes}]},
        "summary": {"passed": 0, "failed": 1, "parsing_errors": 0, "checkov_version": "3.3.30"},
    }


def read_report(document: object) -> Results:
    return read_results(["-"], io.BytesIO(json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"details": ["Key ARN: arn:aws:s3:::bucket"]}, "not the ARN"),
        ({"details": [f"Key ARN: {KEY}\n"]}, "not the ARN"),
        ({"details": [f"Key ARN: {KEY}", f"Key ARN: {KEY[:-1]}e"]}, "name 2 keys"),
        ({"file_line_range": "12-30"}, "file_line_range"),
        ({"resource": 7}, "resource"),
    ],
)
def test_a_bad_record_is_named_and_the_others_are_used(
    changes: dict[str, Any], problem: str
) -> None:
    results = read_report([report(**changes), report()])
    (unusable,) = results.unusable
    assert unusable.position == "record 1, failed check 1"
    assert problem in unusable.problem
    assert unusable.problem.isprintable()
    assert [finding.position for finding in results.findings] == ["record 2, failed check 1"]


def test_an_unusable_record_of_our_check_shows_that_it_ran() -> None:
    results = read_report(report(resource=7))
    assert len(results.unusable) == 1
    assert results.warnings == ()


def test_records_of_other_checks_are_read_over() -> None:
    assert read_report(report(check_id="CKV_KEYSWEEP_0011")).findings == ()
    assert read_report(report(check_id="CKV_AWS_7")).findings == ()
