"""What the README of the embedded AWS shows works."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from embedded_aws import faults, resources
from embedded_aws.process import EmbeddedAws
from embedded_aws.testing import ACCOUNT, Lab

README = Path(resources.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_the_scenario_of_the_readme_starts_with_the_described_keys(lab: Lab) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    lab.aws.reset(yaml.safe_load(text))
    truth = {one["name"]: one["state"] for one in lab.aws.keys(region="eu-west-1")}
    assert truth["orders-db"] == "Disabled"
    assert truth["going"] == "PendingDeletion"
    assert truth["hardware"] == "Unavailable"
    assert {f"dead-{n}" for n in range(1, 41)} < set(truth)
    shown = lab.client("fsx").describe_file_systems()["FileSystems"]
    assert [one["KmsKeyId"] for one in shown] == [lab.arn("orders-db")]
    [snapshot] = lab.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert snapshot["KmsKeyId"] == lab.arn("orders-db")


def test_the_readme_names_every_fault_and_every_method() -> None:
    named = set(re.findall(r"`(\w+)`", README))
    assert set(faults.KINDS) <= named
    for method in ("advance", "calls", "clear_calls", "expire_sessions", "fault", "key_arn"):
        assert hasattr(EmbeddedAws, method)
        assert f"aws.{method}(" in README


def test_the_account_of_the_readme_is_usable(lab: Lab) -> None:
    assert lab.client("sts").get_caller_identity()["Account"] == ACCOUNT
