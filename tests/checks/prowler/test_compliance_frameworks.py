"""The installed frameworks, read by Prowler's own loader."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from prowler.config.config import get_available_compliance_frameworks
from prowler.lib.check.check import print_compliance_frameworks
from prowler.lib.check.compliance import update_checks_metadata_with_compliance
from prowler.lib.check.compliance_models import (
    AWS_Well_Architected_Requirement_Attribute,
    Compliance,
    Generic_Compliance_Requirement_Attribute,
)
from prowler.lib.check.models import CheckMetadata
from prowler.lib.outputs.asff.asff import ASFF
from prowler.lib.outputs.finding import Finding
from prowler.providers.common.provider import Provider

LIFECYCLE = "kms_key_lifecycle_1.0_aws"
PILLAR = "aws_well_architected_framework_cost_pillar_aws"
ATTRIBUTES = {
    LIFECYCLE: Generic_Compliance_Requirement_Attribute,
    PILLAR: AWS_Well_Architected_Requirement_Attribute,
}
CHECKS = {
    LIFECYCLE: {
        "1.1": ["kms_key_not_publicly_accessible"],
        "1.2": ["kms_cmk_rotation_enabled"],
        "2.1": ["kms_cmk_not_disabled"],
        "2.2": ["kms_cmk_are_used"],
        "3.1": ["kms_cmk_not_deleted_unintentionally"],
        "3.2": ["kms_cmk_pending_deletion_not_used"],
    },
    PILLAR: {"COST04-BP03": ["kms_cmk_not_disabled"]},
}
# Prefixes whose files Prowler hands to a writer of their own; ours must not meet one by accident.
SPECIAL_WRITERS = (
    *("cis_", "ens_", "c5_", "ccc_", "iso27001", "mitre_attack", "kisa", "prowler_threatscore"),
    *("asd_essential_eight", "okta_idaas_stig", "cisa_"),
)


def folder() -> Path:
    """Return the folder as Prowler finds it: of the package that the entry point names."""
    (entry,) = importlib.metadata.entry_points(group="prowler.compliance", name="aws")
    return Path(importlib.import_module(entry.value).__path__[0])


@pytest.fixture(scope="module")
def bulk() -> dict[str, Compliance]:
    return Compliance.get_bulk("aws")


def test_the_folder_holds_the_frameworks_and_nothing_else():
    assert {path.name for path in folder().iterdir()} == {f"{name}.json" for name in CHECKS}


def test_prowler_lists_them(bulk, capsys):
    assert set(CHECKS) <= set(get_available_compliance_frameworks("aws"))
    assert set(CHECKS).isdisjoint(get_available_compliance_frameworks("gcp"))
    print_compliance_frameworks(bulk)
    shown = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    assert set(CHECKS) <= set(re.findall(r"[\w.]+", shown))


@pytest.mark.parametrize("name", CHECKS)
def test_prowler_reads_ours_and_not_another_of_that_name(bulk, name):
    ours = Compliance.parse_file(folder() / f"{name}.json")
    assert bulk[name] == ours
    assert {one.Id: one.Checks for one in ours.Requirements} == CHECKS[name]


@pytest.mark.parametrize("name", CHECKS)
def test_prowler_understands_every_attribute_as_meant(bulk, name):
    """Its model drops what it does not know and takes the first kind of attribute that fits."""
    kinds = {type(one) for each in bulk[name].Requirements for one in each.Attributes}
    assert kinds == {ATTRIBUTES[name]}
    raw = json.loads((folder() / f"{name}.json").read_text("utf-8"))
    read = json.loads(bulk[name].json(exclude_none=True))
    assert read == raw


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_of_a_framework_exists(name):
    known = set(CheckMetadata.get_bulk("aws"))
    assert {check for checks in CHECKS[name].values() for check in checks} <= known


@pytest.mark.parametrize("name", CHECKS)
def test_the_file_is_named_as_prowlers_table_looks_it_up(bulk, name):
    framework = bulk[name]
    parts = [framework.Framework.replace("-", "_"), framework.Version, framework.Provider]
    assert name == "_".join(filter(None, parts)).lower()
    assert not name.startswith(SPECIAL_WRITERS)


def test_a_findings_check_carries_its_requirements(bulk):
    ours = {"kms_cmk_not_disabled": CheckMetadata.get_bulk("aws")["kms_cmk_not_disabled"]}
    checks = update_checks_metadata_with_compliance(bulk, ours)
    carried = {
        (compliance.Framework, requirement.Id)
        for compliance in checks["kms_cmk_not_disabled"].Compliance
        for requirement in compliance.Requirements
    }
    assert carried == {
        ("KMS-Key-Lifecycle", "2.1"),
        ("AWS-Well-Architected-Framework-Cost-Pillar", "COST04-BP03"),
    }


def test_security_hub_gets_each_requirement_whole(bulk, kms, run, run_pending):
    """Prowler's ASFF cuts a framework with its requirements after 63 characters."""
    kms.key("Disabled", tags={"team": "red"})
    kms.key("PendingDeletion")
    metadata = update_checks_metadata_with_compliance(bulk, CheckMetadata.get_bulk("aws"))
    options = SimpleNamespace(bulk_checks_metadata=metadata)
    findings = [
        Finding.generate_output(Provider.get_global_provider(), report, options)
        for reports in (run(), run_pending())
        for report in reports.values()
    ]
    related = {
        record.GeneratorId.removeprefix("prowler-"): set(record.Compliance.RelatedRequirements)
        for record in ASFF(findings).data
    }
    assert related["kms_cmk_not_disabled"] >= {
        "KMS-Key-Lifecycle-1.0 2.1",
        "AWS-Well-Architected-Framework-Cost-Pillar COST04-BP03",
    }
    assert related["kms_cmk_pending_deletion_not_used"] == {"KMS-Key-Lifecycle-1.0 3.2"}


@pytest.mark.parametrize("name", CHECKS)
def test_security_hub_has_room_for_all_requirements_of_a_check(bulk, name):
    ours = bulk[name]
    title = "-".join(filter(None, (ours.Framework, ours.Version)))
    for check in {check for one in ours.Requirements for check in one.Checks}:
        met = [one.Id for one in ours.Requirements if check in one.Checks]
        assert ASFF.format_compliance({title: met})[1] == [" ".join([title, *met])]


def test_the_pillar_states_its_edition_and_its_limits(bulk):
    pillar = bulk[PILLAR]
    assert "27 June 2024" in pillar.Name
    assert "27 June 2024" in pillar.Description
    assert "other resources" in pillar.Description
    ((attribute,),) = (requirement.Attributes for requirement in pillar.Requirements)
    assert "/wellarchitected/2024-06-27/" in attribute.ImplementationGuidanceUrl


def test_weak_evidence_is_called_weak(bulk):
    (last,) = (one for one in bulk[LIFECYCLE].Requirements if one.Id == "3.2")
    assert "weak evidence" in last.Attributes[0].Comment
