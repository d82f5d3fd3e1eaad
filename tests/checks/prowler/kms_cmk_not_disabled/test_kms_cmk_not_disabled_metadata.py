"""The metadata is what Prowler's own model takes, now and in its stricter past and present."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path

import pytest
import yaml
from prowler.lib.check.models import CheckMetadata

CHECK = "kms_cmk_not_disabled"


def metadata_file() -> Path:
    """Return the file as Prowler finds it: beside the module that the entry point names."""
    (entry,) = importlib.metadata.entry_points(group="prowler.checks.aws", name=CHECK)
    spec = importlib.util.find_spec(entry.value)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name(f"{CHECK}.metadata.json")


@pytest.fixture(scope="module")
def metadata() -> dict:
    return json.loads(metadata_file().read_text("utf-8"))


@pytest.fixture(scope="module")
def bulk() -> dict[str, CheckMetadata]:
    """Return all checks' metadata as Prowler loads it at every start: ours breaks all or none."""
    return CheckMetadata.get_bulk("aws")


def test_prowler_loads_it_among_its_own_checks(bulk):
    assert bulk[CHECK].CheckAliases == ["kms_cmk_disabled"]
    assert bulk[CHECK].Severity == "low"
    assert CHECK in CheckMetadata.list(bulk, service="kms", severity="low")


def test_no_check_of_prowler_has_the_id_or_the_alias(bulk):
    taken = {
        name
        for check_id, one in bulk.items()
        if check_id != CHECK
        for name in (check_id, *one.CheckAliases)
    }
    assert not taken & {CHECK, "kms_cmk_disabled"}


def test_related_checks_exist(metadata, bulk):
    assert set(metadata["RelatedTo"]) == {"kms_cmk_are_used", "kms_cmk_not_deleted_unintentionally"}
    assert set(metadata["RelatedTo"]) <= set(bulk)


def test_the_file_has_every_field_of_the_model_and_no_other(metadata):
    assert set(metadata) == set(CheckMetadata.__fields__) - {"Compliance"}


def test_names_agree(metadata):
    (entry,) = importlib.metadata.entry_points(group="prowler.checks.aws", name=CHECK)
    assert metadata["CheckID"] == entry.name == entry.value.rpartition(".")[2]
    assert ".services.kms." in entry.value


def test_prowlers_limits_are_kept(metadata):
    """Limits of Prowler 5.21 and later; its model is asked as well, but older ones ask less."""
    assert len(metadata["CheckTitle"]) <= 150
    assert not metadata["CheckTitle"].startswith("Ensure")
    assert len(metadata["Description"]) <= 400
    assert len(metadata["Risk"]) <= 400
    assert metadata["RelatedUrl"] == ""
    assert metadata["Remediation"]["Recommendation"]["Url"] == ""
    assert metadata["Categories"] == []
    assert len(set(metadata["AdditionalURLs"])) == len(metadata["AdditionalURLs"]) > 0


def test_only_pages_of_aws_are_linked(metadata):
    for url in metadata["AdditionalURLs"]:
        assert url.startswith(("https://docs.aws.amazon.com/", "https://aws.amazon.com/"))


def test_cost_and_loss_are_both_named(metadata):
    assert "$1 a month" in metadata["Risk"]
    assert "irrecoverable" in metadata["Risk"]
    assert "cost optimization" in metadata["Notes"].lower()
    assert "kms_cmk_are_used" in metadata["Notes"]


def test_the_command_line_schedules_and_shows_the_way_back(metadata):
    cli = metadata["Remediation"]["Code"]["CLI"]
    command, _, undo = cli.partition("#")
    assert "schedule-key-deletion" in command
    assert "--pending-window-in-days 30" in command
    assert "cancel-key-deletion" in undo
    assert "cancel-key-deletion" not in command


class _Intrinsics(yaml.SafeLoader):
    """YAML with CloudFormation's short functions."""


_Intrinsics.add_constructor("!Sub", lambda loader, node: loader.construct_scalar(node))


def test_the_cloudformation_template_is_whole_yaml(metadata):
    text = metadata["Remediation"]["Code"]["NativeIaC"]
    body = text.removeprefix("```yaml\n").removesuffix("```")
    assert body != text
    (key,) = yaml.load(body, Loader=_Intrinsics)["Resources"].values()
    assert key["Type"] == "AWS::KMS::Key"
    assert key["DeletionPolicy"] == "Delete"
    assert key["Properties"]["PendingWindowInDays"] == 30
    assert key["Properties"]["Enabled"] is False


def test_there_is_no_fixer():
    assert not list(metadata_file().parent.glob("*_fixer.py"))
