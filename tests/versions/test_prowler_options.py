"""Prowler's own options on the installed check, through the real command, several to a run.

A run is slow, so options share one where none can hide what another does. That the check runs by
its id, in chosen Regions and through a role, is in test_scan_to_cancel; by service, severity and
`-x` in test_prowler_ways_in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import prowler_ways
import pytest
import yaml
from prowler_ways import CHECK, ScanResult

from embedded_aws.process import EmbeddedAws

SHOP, DATA = "111122223333", "444455556666"
OFF = {"state": "Disabled"}

SCENARIO: dict[str, Any] = {
    "accounts": {
        SHOP: {
            "regions": {
                "eu-west-1": {
                    "keys": [
                        {"name": "red", "tags": {"team": "red"}, **OFF},
                        {"name": "blue", "tags": {"team": "blue"}, **OFF},
                        {"name": "bare", **OFF},
                        {"name": "on", "tags": {"team": "red"}},
                    ]
                },
                "eu-central-1": {"keys": [{"name": "far", "tags": {"team": "red"}, **OFF}]},
            }
        },
        DATA: {
            "roles": ["Auditor"],
            "regions": {
                "eu-west-1": {
                    "keys": [
                        {"name": "meant", "tags": {"keysweep:keep": "law", "team": "red"}, **OFF},
                        {"name": "other", "tags": {"team": "red"}, **OFF},
                    ]
                },
                "eu-central-1": {"keys": [{"name": "not-asked", **OFF}]},
            },
        },
    }
}

Scan = Callable[..., ScanResult]


@pytest.fixture(scope="module")
def prowler() -> Path:
    """The first at hand, which is the pinned one."""
    programs = list(prowler_ways.at_hand().values())
    assert programs, "no prowler: run these tests with `make test-versions`"
    return programs[0]


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(SCENARIO) as server:
        yield server


@pytest.fixture
def scan(aws: EmbeddedAws, prowler: Path, tmp_path: Path) -> Scan:
    """Run the pinned Prowler, which has the pack installed, as the operator of the shop."""

    def run(*options: str) -> ScanResult:
        variables = aws.process_environment(SHOP, "eu-west-1", COLUMNS="160")
        return prowler_ways.scan(prowler, options, variables, tmp_path)

    return run


def named(aws: EmbeddedAws, left: ScanResult, check: str = CHECK) -> dict[str, str]:
    """Statuses by the names of the keys."""
    names = {key["arn"]: key["name"] for key in aws.keys()}
    return {names[arn]: status for arn, status in left.statuses(check).items()}


def written(path: Path, content: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def documented_mutelist() -> dict[str, Any]:
    """The mutelist by tag as docs/prowler.md has it."""
    page = prowler_ways.PAGE.read_text(encoding="utf-8")
    mutelist: dict[str, Any] = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    return mutelist


def test_alias_region_role_mutelist_by_tag_and_custom_metadata(
    aws: EmbeddedAws, scan: Scan, tmp_path: Path
) -> None:
    metadata = {"CustomChecksMetadata": {"aws": {"Checks": {CHECK: {"Severity": "high"}}}}}
    left = scan(
        *("--checks", "kms_cmk_disabled"),
        *("--region", "eu-west-1"),
        *("--role", f"arn:aws:iam::{DATA}:role/Auditor"),
        *("--mutelist-file", written(tmp_path / "mutelist.yaml", documented_mutelist())),
        *("--custom-checks-metadata-file", written(tmp_path / "metadata.yaml", metadata)),
    )
    assert left.code == 3, left.text
    assert named(aws, left) == {"meant": "FAIL/muted", "other": "FAIL"}
    assert {record["severity"] for record in left.records} == {"High"}
    assert {record["cloud"]["account"]["uid"] for record in left.records} == {DATA}


def test_a_single_arn_and_exit_0_when_every_failure_is_muted(
    aws: EmbeddedAws, scan: Scan, tmp_path: Path
) -> None:
    """Exit codes prove little: the findings tell."""
    muted = {CHECK: {"Regions": ["*"], "Resources": ["*"]}}
    mutelist = {"Mutelist": {"Accounts": {"*": {"Checks": muted}}}}
    left = scan(
        *("--resource-arn", aws.key_arn(SHOP, "eu-west-1", "blue")),
        *("--checks", CHECK, "--region", "eu-west-1", "eu-central-1"),
        *("--mutelist-file", written(tmp_path / "mutelist.yaml", mutelist)),
    )
    assert left.code == 0, left.text
    assert named(aws, left) == {"blue": "FAIL/muted"}


def test_a_tag(aws: EmbeddedAws, scan: Scan) -> None:
    left = scan("--resource-tag", "team=red", "--checks", CHECK)
    assert left.code == 3, left.text
    assert named(aws, left) == {"red": "FAIL", "far": "FAIL", "on": "PASS"}


def test_it_is_left_out_by_name(aws: EmbeddedAws, scan: Scan) -> None:
    checks = ("--checks", CHECK, "kms_cmk_are_used")
    left = scan(*checks, "--excluded-checks", CHECK, "--region", "eu-west-1")
    assert left.code == 3, left.text
    assert left.checks() == {"kms_cmk_are_used"}
    assert named(aws, left, "kms_cmk_are_used") == {
        **dict.fromkeys(("red", "blue", "bare"), "FAIL"),
        "on": "PASS",
    }
