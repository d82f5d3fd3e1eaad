"""The real command over all fixtures, once: what its JSON says, framework by framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkov_cases import CHECKS, FIXTURES, FRAMEWORKS, PEER, STATE, WINDOW, from_json, verdicts

PLAN_ARN = "arn:aws:kms:eu-west-1:111122223333:key/11112222-3333-4444-5555-"


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """The command's reports by framework; a home of its own keeps any configuration out."""
    home = tmp_path_factory.mktemp("home")
    finished = subprocess.run(
        [
            Path(sys.executable).with_name("checkov"),
            *("--directory", FIXTURES, "--external-checks-dir", CHECKS, "--skip-download"),
            *("--check", f"{STATE},{WINDOW},{PEER}", "--output", "json"),
            *("--framework", *FRAMEWORKS),
        ],
        cwd=home,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert finished.returncode == 1, finished.stderr
    return {report["check_type"]: report for report in json.loads(finished.stdout)}


def records(reports: dict[str, dict], framework: str, check_id: str = STATE) -> dict[str, dict]:
    failed = reports[framework]["results"]["failed_checks"]
    return {record["resource"]: record for record in failed if record["check_id"] == check_id}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_command_prints_the_results_of_the_runner(
    reports: dict[str, dict], framework: str
) -> None:
    assert from_json(reports[framework]) == verdicts(framework)
    assert {verdict.framework for verdict in verdicts(framework)} == {framework}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("check_id", [STATE, WINDOW])
def test_every_failure_has_a_severity_without_a_platform_key(
    reports: dict[str, dict], framework: str, check_id: str
) -> None:
    failed = records(reports, framework, check_id).values()
    assert {record["severity"] for record in failed} == {"LOW"}


@pytest.mark.parametrize("framework", [f for f in FRAMEWORKS if f not in {"ansible", "yaml"}])
def test_every_failure_has_a_guideline(reports: dict[str, dict], framework: str) -> None:
    """Checkov 3.3.30 leaves the guideline out for Ansible and plain YAML."""
    guidelines = {record["guideline"] for record in records(reports, framework).values()}
    assert guidelines == {
        "https://docs.aws.amazon.com/kms/latest/developerguide/enabling-keys.html"
    }


def test_addresses_lead_back_to_the_code(reports: dict[str, dict]) -> None:
    assert {
        "aws_kms_key.fail_false",
        'aws_kms_key.each["fail_each_value"]',
        "module.fail_given_false.aws_kms_key.this",
        "module.fail_two_deep.module.inner.aws_kms_external_key.this",
    } <= records(reports, "terraform").keys()
    assert "AWS::KMS::Key.FailFalse" in records(reports, "cloudformation")
    assert "AWS::KMS::Key.FailFalse" in records(reports, "serverless")
    assert "tasks.amazon.aws.kms_key.fail_false" in records(reports, "ansible")
    assert "Key.storage.fail-namespaced" in records(reports, "kubernetes")


def test_details_carry_what_remediation_needs(reports: dict[str, dict]) -> None:
    assert records(reports, "terraform")["aws_kms_key.fail_false"]["details"] == [
        "Resource type: aws_kms_key"
    ]
    # The address has lost the type here.
    assert records(reports, "terraform_json")["resource.fail_cloud_control_replica_key"][
        "details"
    ] == ["Resource type: awscc_kms_replica_key"]


@pytest.mark.parametrize(
    ("address", "details"),
    [
        ("aws_kms_key.fail_false", ["Plan actions: no-op", f"Key ARN: {PLAN_ARN}000000000001"]),
        (
            "aws_kms_key.fail_updated_in_place",
            ["Plan actions: update", f"Key ARN: {PLAN_ARN}000000000002"],
        ),
        # No key yet, or another key than today's.
        ("aws_kms_key.fail_created", ["Plan actions: create"]),
        ("aws_kms_key.fail_replaced", ["Plan actions: delete,create"]),
        ("aws_kms_key.fail_created_before_destroyed", ["Plan actions: create,delete"]),
    ],
)
def test_details_of_a_plan_name_the_key_only_if_it_stays(
    reports: dict[str, dict], address: str, details: list[str]
) -> None:
    record = records(reports, "terraform_plan")[address]
    assert record["details"] == ["Resource type: aws_kms_key", *details]
