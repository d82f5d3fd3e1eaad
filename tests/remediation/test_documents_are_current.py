"""The generated documents are what the declarations say today, and allow what is called."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from documents import documents as make_documents
from documents import write
from documents.iam import (
    MANAGED_POLICY_SIZE,
    ORGANISATION_POLICY_SIZE,
    iam_policies,
)
from documents.schemas import schemas as make_schemas
from keysweep.remediation.alarms import PERMISSIONS as ALARMS
from keysweep.remediation.evidence import SOURCES
from keysweep.remediation.evidence.history.athena import PERMISSIONS as HISTORY
from keysweep.remediation.iac.cloudformation import PERMISSIONS as STACKS
from keysweep.remediation.policy import Policy, policies_folder
from keysweep.remediation.rules import RULES
from keysweep.remediation.write import OPERATIONS

ROOT = Path(__file__).parents[2]
FIX = "run: .tox/dev/bin/python docs/generate ."
POLICIES = iam_policies()
documents = functools.cache(make_documents)
schemas = functools.cache(make_schemas)
READ_VERBS = ("Get", "List", "Describe", "Lookup", "BatchGet", "Search", "Select")


def test_every_file_is_current() -> None:
    missing = [path for path in documents() if not (ROOT / path).is_file()]
    assert missing == [], FIX
    for path, text in documents().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path}: {FIX}"


def test_no_file_is_left_over() -> None:
    made = set(documents())
    for folder in ("policies/iam", "policies/organizations", "policies/schemas"):
        files = {f"{folder}/{path.name}" for path in (ROOT / folder).iterdir()}
        assert files <= made, FIX


def test_writing_them_into_a_checkout_makes_them_current(tmp_path: Path) -> None:
    old = tmp_path / "policies/iam/old.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    write(tmp_path)
    for path, text in documents().items():
        assert (tmp_path / path).read_text(encoding="utf-8") == text
    assert not old.exists()


def actions(name: str) -> set[str]:
    """Everything that a document names."""
    named: set[str] = set()
    for statement in POLICIES[name]["Statement"]:
        listed = statement["Action"]
        named |= {listed} if isinstance(listed, str) else set(listed)
    return named


REFERENCES = {name for name in POLICIES if name.startswith("references-")}


def test_every_declared_permission_is_in_the_plans_documents() -> None:
    declared = {action for source in SOURCES.values() for action in source.permissions}
    allowed = actions("plan").union(*(actions(name) for name in REFERENCES))
    assert declared <= allowed <= declared | set(STACKS)


@pytest.mark.parametrize("name", ["plan", *sorted(REFERENCES)])
def test_planning_changes_nothing(name: str) -> None:
    assert {a for a in actions(name) if not a.split(":")[1].startswith(READ_VERBS)} == set()
    assert actions(name).isdisjoint(operation.permission for operation in OPERATIONS)


def test_a_query_writes_nothing_but_its_result() -> None:
    assert set(HISTORY) <= actions("history")
    writes = {a for a in actions("history") if not a.split(":")[1].startswith(READ_VERBS)}
    assert writes == {
        "athena:StartQueryExecution",
        "athena:StopQueryExecution",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:AbortMultipartUpload",
        "s3:PutObject",
    }
    (results,) = (s for s in POLICIES["history"]["Statement"] if "s3:PutObject" in s["Action"])
    assert results["Resource"].endswith("-results/*")


def test_roles_that_can_schedule_can_always_undo() -> None:
    for name in POLICIES:
        allowed = {
            action
            for statement in POLICIES[name]["Statement"]
            if statement["Effect"] == "Allow"
            for action in statement["Action"]
        }
        if "kms:ScheduleKeyDeletion" in allowed:
            assert "kms:CancelKeyDeletion" in allowed
    assert actions("apply") - actions("plan") == {
        "kms:ScheduleKeyDeletion",
        "kms:CancelKeyDeletion",
        *ALARMS,
    } - actions("plan")


def test_apply_has_no_permission_that_it_never_uses() -> None:
    assert actions("plan") - actions("apply") == {
        "kms:ListKeyRotations",  # for the price alone
        "cloudformation:ListStackResources",  # --cfn-stack
    }


def test_undoing_schedules_nothing() -> None:
    assert actions("cancel") == {
        "kms:DescribeKey",
        "kms:CancelKeyDeletion",
        "kms:EnableKey",
        "kms:TagResource",
    }


def test_every_write_is_in_a_document() -> None:
    written = {operation.permission for operation in OPERATIONS}
    assert written <= actions("apply") | actions("cancel")


def test_a_protected_key_is_refused_by_aws_too() -> None:
    (schedule,) = (
        s for s in POLICIES["apply"]["Statement"] if "kms:ScheduleKeyDeletion" in s["Action"]
    )
    tag = f"aws:ResourceTag/{Policy().protected_tag}"
    assert schedule["Condition"] == {"Null": {tag: "true"}}


def test_the_guardrail_only_denies_scheduling_by_awss_two_conditions_and_the_tag() -> None:
    statements = POLICIES["organization-guardrail"]["Statement"]
    assert {(s["Effect"], s["Action"]) for s in statements} == {("Deny", "kms:ScheduleKeyDeletion")}
    assert {key for s in statements for test in s["Condition"].values() for key in test} == {
        "kms:ScheduleKeyDeletionPendingWindowInDays",
        "kms:TrailingDaysWithoutKeyUsage",
        f"aws:ResourceTag/{Policy().protected_tag}",
    }


@pytest.mark.parametrize("name", POLICIES)
def test_aws_would_take_the_document(name: str) -> None:
    policy = POLICIES[name]
    text = json.dumps(policy)
    limit = ORGANISATION_POLICY_SIZE if "organization" in name else MANAGED_POLICY_SIZE
    assert len("".join(text.split())) <= limit
    names = [statement["Sid"] for statement in policy["Statement"]]
    assert len(set(names)) == len(names)
    assert all(sid.isalnum() and sid.isascii() for sid in names)
    for statement in policy["Statement"]:
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}


def test_no_more_than_ten_policies_for_one_role() -> None:
    """AWS attaches ten managed policies to a role by default."""
    assert len(REFERENCES) + 2 <= 10


def test_actions_of_kms_and_cloudtrail_exist() -> None:
    session = botocore.session.get_session()
    named = {action for name in POLICIES for action in actions(name)}
    for prefix in ("kms", "cloudtrail", "cloudformation", "cloudwatch", "events", "logs"):
        known = set(session.get_service_model(prefix).operation_names)
        assert {a.split(":")[1] for a in named if a.startswith(f"{prefix}:")} <= known
    assert not any("*" in action for action in named)


# --- schemas -----------------------------------------------------------------------------------


def violations(name: str, document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schemas()[name]).iter_errors(document)]


def test_each_schema_is_one() -> None:
    assert set(schemas()) >= {"journal-line", "plan", "policy"}
    for schema in schemas().values():
        Draft202012Validator.check_schema(schema)


def test_the_policys_schema_knows_the_default_file_and_explains_every_value() -> None:
    text = (policies_folder() / "retirement.yaml").read_text(encoding="utf-8")
    assert violations("policy", yaml.safe_load(text)) == []
    assert all("description" in value for value in schemas()["policy"]["properties"].values())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"version": 2},
        {"version": 1, "max_key": 3},
        {"version": 1, "pending_window_days": 5},
        {"version": 1, "min_age_days": -1},
        {"version": 1, "exceptions": [{"key": "all"}]},
        {"version": 1, "overrides": [{"regions": ["eu-west-1"], "set": {"max_keys": 3}}]},
    ],
)
def test_the_policys_schema_refuses_what_the_reader_refuses(document: dict[str, Any]) -> None:
    assert violations("policy", document)


@given(
    st.builds(
        Policy,
        pending_window_days=st.integers(7, 30),
        min_age_days=st.integers(0, 400),
        quota_share=st.sampled_from([0.1, 0.8, 1.0]),
        protected_keys=st.sampled_from([(), ("all",), ("alias/x-*",)]),
    )
)
def test_every_policy_is_valid_under_its_schema(policy: Policy) -> None:
    assert violations("policy", json.loads(policy.model_dump_json(exclude_none=True))) == []


# --- pages -------------------------------------------------------------------------------------


def test_the_rules_page_has_every_rule_once_with_its_cure() -> None:
    page = documents()["docs/rules.md"]
    for rule in RULES:
        assert page.count(f"\n## {rule.id}\n") == 1
        assert rule.sentence in page
        assert rule.clears in page


def test_the_permissions_page_has_every_document_and_write() -> None:
    page = documents()["docs/permissions.md"]
    for name in POLICIES:
        assert f"(../policies/iam/{name}.json)" in page
    for operation in OPERATIONS:
        assert f"| {operation.name} | `{operation.permission}` |" in page


def test_links_of_the_pages_lead_somewhere() -> None:
    for path in ("docs/rules.md", "docs/permissions.md"):
        page = documents()[path]
        for part in page.split("](")[1:]:
            target = part.split(")")[0]
            if target.startswith("#"):
                headings = [line for line in page.splitlines() if line.startswith("#")]
                assert f"##-{target[1:]}" in {h.lower().replace(" ", "-") for h in headings}, target
            else:
                file = target.partition("#")[0]
                assert ((ROOT / path).parent / file).exists(), target
