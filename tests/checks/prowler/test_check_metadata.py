"""The metadata is what Prowler's own model takes, now and in its stricter past and present."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path

import pytest
import yaml
from prowler.lib.check.models import CheckMetadata
from prowler_guide import deviations

DISABLED, PENDING = "kms_cmk_not_disabled", "kms_cmk_pending_deletion_not_used"
ALIASES = {DISABLED: "kms_cmk_disabled", PENDING: "kms_cmk_used_while_pending_deletion"}
SEVERITIES = {DISABLED: "low", PENDING: "critical"}
RELATED = {
    DISABLED: {"kms_cmk_are_used", "kms_cmk_not_deleted_unintentionally"},
    PENDING: {"kms_cmk_not_disabled", "kms_cmk_not_deleted_unintentionally"},
}

each_check = pytest.mark.parametrize("check", ALIASES)


def metadata_file(check: str) -> Path:
    """Return the file as Prowler finds it: beside the module that the entry point names."""
    (entry,) = importlib.metadata.entry_points(group="prowler.checks.aws", name=check)
    spec = importlib.util.find_spec(entry.value)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).with_name(f"{check}.metadata.json")


def declared(check: str) -> dict:
    return json.loads(metadata_file(check).read_text("utf-8"))


@pytest.fixture(scope="module")
def bulk() -> dict[str, CheckMetadata]:
    """Return all checks' metadata as Prowler loads it at every start: ours breaks all or none."""
    return CheckMetadata.get_bulk("aws")


@each_check
def test_prowler_loads_it_among_its_own_checks(bulk, check):
    severity = SEVERITIES[check]
    assert bulk[check].CheckAliases == [ALIASES[check]]
    assert bulk[check].Severity == severity
    assert check in CheckMetadata.list(bulk, service="kms", severity=severity)


@each_check
def test_prowler_selects_it_by_its_category(bulk, check):
    assert check in CheckMetadata.list(bulk, category="encryption")


@each_check
def test_no_check_of_prowler_has_the_id_or_the_alias(bulk, check):
    taken = {
        name
        for check_id, one in bulk.items()
        if check_id != check
        for name in (check_id, *one.CheckAliases)
    }
    assert not taken & {check, ALIASES[check]}


@each_check
def test_related_checks_exist(bulk, check):
    assert set(declared(check)["RelatedTo"]) == RELATED[check]
    assert RELATED[check] <= set(bulk)


@each_check
def test_the_file_has_every_field_of_the_model_and_no_other(check):
    assert set(declared(check)) == set(CheckMetadata.__fields__) - {"Compliance"}


@each_check
def test_names_agree(check):
    (entry,) = importlib.metadata.entry_points(group="prowler.checks.aws", name=check)
    assert declared(check)["CheckID"] == entry.name == entry.value.rpartition(".")[2]
    assert ".services.kms." in entry.value


@each_check
def test_prowlers_guide_is_followed_and_its_limits_are_kept(check):
    """Its model is asked as well, but older ones ask less."""
    assert deviations(declared(check)) == set()


@each_check
def test_no_page_is_claimed_that_prowler_hub_does_not_have(check):
    """Prowler 5.21 and later takes no other address."""
    assert declared(check)["Remediation"]["Recommendation"]["Url"] == ""


@each_check
def test_only_pages_of_aws_are_linked(check):
    for url in declared(check)["AdditionalURLs"]:
        assert url.startswith(("https://docs.aws.amazon.com/", "https://aws.amazon.com/kms/"))


@each_check
def test_a_copy_is_distinguished_from_a_check_of_prowlers_own(check):
    """`keysweep verify` tells them apart by the name in the metadata."""
    assert "keysweep" in metadata_file(check).read_text("utf-8")


@each_check
def test_there_is_no_fixer(check):
    assert not list(metadata_file(check).parent.glob("*_fixer.py"))


def test_cost_and_loss_are_both_named():
    metadata = declared(DISABLED)
    assert "$1 a month" in metadata["Risk"]
    assert "irrecoverable" in metadata["Risk"]
    assert "cost optimization" in metadata["Notes"].lower()
    assert "kms_cmk_are_used" in metadata["Notes"]


def test_the_command_line_schedules_and_the_notes_show_the_way_back():
    metadata = declared(DISABLED)
    command = metadata["Remediation"]["Code"]["CLI"]
    assert command.startswith("aws kms schedule-key-deletion ")
    assert "--pending-window-in-days 30" in command
    assert "cancel-key-deletion" in metadata["Notes"]
    assert "cancel-key-deletion" not in command


def test_the_cloudformation_template_is_a_key_that_passes():
    text = declared(DISABLED)["Remediation"]["Code"]["NativeIaC"]
    body = text.removeprefix("```yaml\n").removesuffix("```")
    assert body != text
    (key,) = yaml.safe_load(body)["Resources"].values()
    assert key["Type"] == "AWS::KMS::Key"
    assert key["Properties"] == {"Enabled": True, "PendingWindowInDays": 30}


def test_the_terraform_block_is_a_key_that_passes():
    text = declared(DISABLED)["Remediation"]["Code"]["Terraform"]
    code = [line.partition("#")[0].split() for line in text.splitlines()]
    assert ["is_enabled", "=", "true"] in code
    assert ["deletion_window_in_days", "=", "30"] in code


def test_cancelling_comes_first_and_nothing_deletes():
    metadata = declared(PENDING)
    command = metadata["Remediation"]["Code"]["CLI"]
    assert command.startswith("aws kms cancel-key-deletion ")
    assert "enable-key" in metadata["Notes"]
    assert "schedule-key-deletion" not in json.dumps(metadata)


def test_weak_evidence_and_its_permission_are_named():
    metadata = declared(PENDING)
    assert "weak evidence" in metadata["Description"]
    assert "cloudtrail:LookupEvents" in metadata["Notes"]
    assert "irrecoverable" in metadata["Risk"]
