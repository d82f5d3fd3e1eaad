"""The metadata is what Prowler's own model takes, and says what people must do first."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
from pathlib import Path

import pytest
from prowler.lib.check.models import CheckMetadata

CHECK = "kms_cmk_pending_deletion_not_used"
ALIAS = "kms_cmk_used_while_pending_deletion"


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
    assert bulk[CHECK].CheckAliases == [ALIAS]
    assert CHECK in CheckMetadata.list(bulk, service="kms", severity="critical")


def test_no_check_of_prowler_has_the_id_or_the_alias(bulk):
    taken = {
        name
        for check_id, one in bulk.items()
        if check_id != CHECK
        for name in (check_id, *one.CheckAliases)
    }
    assert not taken & {CHECK, ALIAS}


def test_related_checks_exist(metadata, bulk):
    assert set(metadata["RelatedTo"]) == {
        "kms_cmk_not_disabled",
        "kms_cmk_not_deleted_unintentionally",
    }
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
        assert url.startswith("https://docs.aws.amazon.com/")


def test_cancelling_comes_first_and_nothing_deletes(metadata):
    command, _, later = metadata["Remediation"]["Code"]["CLI"].partition("#")
    assert command.startswith("aws kms cancel-key-deletion ")
    assert "enable-key" in later
    assert "schedule-key-deletion" not in command + later


def test_weak_evidence_and_its_permission_are_named(metadata):
    assert "weak evidence" in metadata["Description"]
    assert "cloudtrail:LookupEvents" in metadata["Notes"]
    assert "irrecoverable" in metadata["Risk"]


def test_there_is_no_fixer():
    assert not list(metadata_file().parent.glob("*_fixer.py"))
