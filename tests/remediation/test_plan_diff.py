"""`plan --since`: keys that are new, gone, or evaluated otherwise than in an earlier plan."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from prowler_records import prowler_record
from scenarios import DEAD, SHOP, in_shop
from stages import state_only

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.cli.main import run as run_cli


@pytest.fixture
def aws(
    own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EmbeddedAws]:
    for name, value in {**own_server.environment(SHOP), "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    keys = [{"name": name, **DEAD} for name in ("same", "kept", "fixed", "fresh", "freed")]
    keys[-1] = {**keys[-1], "tags": {"keysweep:keep": ""}}
    own_server.reset(in_shop(*keys))
    policy = state_only().model_dump(mode="json", include={"exceptions", "version"})
    Path("policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
    return own_server


def _results(aws: EmbeddedAws, *names: str) -> str:
    arns = [aws.key_arn(SHOP, "eu-west-1", name) for name in names]
    records = [prowler_record(arn, aws.now()) for arn in arns]
    Path("results.json").write_text(json.dumps(records), encoding="utf-8")
    return "results.json"


def _two_plans(aws: EmbeddedAws) -> None:
    first = _results(aws, "same", "kept", "fixed", "freed")
    assert run_cli(["plan", first, "--policy", "policy.yaml", "--out", "old.json"]) == 0
    kms = boto3.client("kms", **aws.client_arguments(SHOP, "eu-west-1"))
    kept = aws.key_arn(SHOP, "eu-west-1", "kept")
    freed = aws.key_arn(SHOP, "eu-west-1", "freed")
    kms.tag_resource(KeyId=kept, Tags=[{"TagKey": "keysweep:keep", "TagValue": "x"}])
    kms.untag_resource(KeyId=freed, TagKeys=["keysweep:keep"])
    _results(aws, "same", "kept", "fresh", "freed")


def test_new_gone_and_changed_keys_are_reported(
    aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    _two_plans(aws)
    capsys.readouterr()
    plan = ("plan", "results.json", "--policy", "policy.yaml", "--since", "old.json")
    assert run_cli([*plan, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    names = {key["arn"]: key["name"] for key in aws.keys()}
    since = document["since"]
    assert since["digest"] == json.loads(Path("old.json").read_text("utf-8"))["digest"]
    differences = {
        kind: {(names[one["key_arn"]], one["was"], one["now"]) for one in since[kind]}
        for kind in ("new", "gone", "changed")
    }
    assert differences == {
        "new": {("fresh", None, "schedule")},
        "gone": {("fixed", "schedule", None)},
        "changed": {("kept", "schedule", "hold"), ("freed", "hold", "schedule")},
    }
    assert run_cli([*plan, "--format", "csv"]) == 0
    rows = {
        (names.get(row["key_arn"]), row["verdict"], row["since"])
        for row in csv.DictReader(io.StringIO(capsys.readouterr().out))
    }
    assert {one for one in rows if one[2]} == {
        ("fresh", "schedule", "new"),
        ("fixed", "gone", "was schedule"),
        ("kept", "hold", "was schedule"),
        ("freed", "schedule", "was hold"),
    }
    for form in ("table", "markdown"):
        assert run_cli([*plan, "--format", form]) == 0
        out = capsys.readouterr().out.replace("\\", "")
        assert "1 new, 1 gone, 2 changed" in out
        assert "hold -> schedule" in out
        assert "schedule -> gone" in out
    assert run_cli(["apply", "plan.json", "--yes"]) == 0


def test_without_an_earlier_plan_nothing_is_compared(
    aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["plan", _results(aws, "same"), "--policy", "policy.yaml"]) == 0
    assert "Since the plan" not in capsys.readouterr().out
    assert json.loads(Path("plan.json").read_text("utf-8"))["since"] is None


def test_an_earlier_plan_that_was_edited_is_refused(
    aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]
) -> None:
    _two_plans(aws)
    old = Path("old.json")
    old.write_text(old.read_text("utf-8").replace('"hold"', '"skip"', 1), encoding="utf-8")
    capsys.readouterr()
    code = run_cli(["plan", "results.json", "--since", "old.json"])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert "old.json: Changed" in err
