"""With the real Prowler: an intended deletion is muted, and another one is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifted_rules import file_lifting, rules_besides
from prowler_records import prowler_record
from scenarios import SHOP

from embedded_aws.process import EmbeddedAws

pytestmark = pytest.mark.sample

CHECK = "kms_cmk_not_deleted_unintentionally"


def test_prowler_mutes_what_our_journal_scheduled(
    aws: EmbeddedAws,
    scan: Callable[..., Any],
    keysweep: Callable[..., Any],
    tmp_path: Path,
) -> None:
    ours = {
        aws.key_arn(SHOP, "eu-west-1", "dead-1"),
        aws.key_arn(SHOP, "eu-central-1", "dead-far"),
    }
    by_hand = aws.key_arn(SHOP, "eu-west-1", "pending")
    records = [prowler_record(arn, aws.now()) for arn in sorted(ours)]
    (tmp_path / "results.json").write_text(json.dumps(records), encoding="utf-8")
    policy = file_lifting(rules_besides("description", "tags", "aliases"))
    (tmp_path / "policy.yaml").write_text(policy, encoding="utf-8")
    assert keysweep(tmp_path, "plan", "results.json", "--policy", "policy.yaml")[0] == 0
    assert keysweep(tmp_path, "apply", "plan.json", "--yes")[0] == 0
    assert {key["arn"] for key in aws.keys(state="PendingDeletion")} == {*ours, by_hand}

    made = subprocess.run(
        [sys.executable, "-P", "-m", "keysweep.remediation", "mutelist", "--out", "mutelist.yaml"],
        env=aws.process_environment(SHOP),
        cwd=tmp_path,
        check=False,
        timeout=300,
    )
    assert made.returncode == 0

    seen = scan(tmp_path, "--checks", CHECK, "--mutelist-file", "mutelist.yaml")
    assert seen.code == 3, seen.text
    failed = {
        record["resources"][0]["uid"]: record["status"]
        for record in seen.records
        if record["status_code"] == "FAIL"
    }
    assert failed == {**dict.fromkeys(ours, "Suppressed"), by_hand: "New"}
