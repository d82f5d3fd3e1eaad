"""The StackSet's template: what it installs is what the declarations say, and AWS would take it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import boto3
import pytest
import yaml
from cfn_lint import demand_clean

from documents.iam import MANAGED_POLICY_SIZE, iam_policies
from documents.member_roles import POLICIES_OF_A_ROLE, ROLES, TEMPLATE_SIZE
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.policy import policies_folder

SHOP = "111122223333"
FILE = Path(str(policies_folder())) / "stacksets" / "member-roles.yaml"
TEXT = FILE.read_text(encoding="utf-8")
TEMPLATE: Any = yaml.safe_load(TEXT)
RESOURCES = TEMPLATE["Resources"]
GIVEN = {"ToolAccountId": SHOP, "ExternalId": "keysweep-7f3a", "OrganizationId": "o-exampleorgid"}
DOCUMENTS = iam_policies()
REFERENCES = {name for name in DOCUMENTS if name.startswith("references-")}
WANTED = {
    "KeysweepPlan": {"plan", *REFERENCES},
    "KeysweepApply": {"apply", *REFERENCES},
    "KeysweepGuard": {"guard", *REFERENCES},
    "KeysweepCancel": {"cancel"},
}


def roles() -> dict[str, Any]:
    return {
        name: one["Properties"]
        for name, one in RESOURCES.items()
        if one["Type"] == "AWS::IAM::Role"
    }


NEWER_ACTIONS = """
getsystemtableconfiguration listagentinsightstores getaccountdataretentionstorage
getprojectdataretentionstorage listprojects getdatacatalogexportconfiguration describesnapshot
listsnapshots describefirewallpolicyv2 listfirewallpoliciesv2 describeinferencerouter
listinferencerouters getblueprint getproject listblueprints
"""
"""Operations of this year whose IAM actions cfn-lint's copy of AWS's list lacks."""


@pytest.mark.sample
def test_cloudformation_would_take_the_template() -> None:
    demand_clean(FILE, NEWER_ACTIONS.split())
    assert len(TEXT.encode()) <= TEMPLATE_SIZE
    assert "&id" not in TEXT, "CloudFormation knows no anchors of YAML"


def test_it_is_within_iams_limits() -> None:
    policies = {n: r for n, r in RESOURCES.items() if r["Type"] == "AWS::IAM::ManagedPolicy"}
    assert {r["Type"] for r in RESOURCES.values()} == {"AWS::IAM::ManagedPolicy", "AWS::IAM::Role"}
    for name, policy in policies.items():
        document = json.dumps(policy["Properties"]["PolicyDocument"], separators=(",", ":"))
        assert len(document) <= MANAGED_POLICY_SIZE, name
    for name, role in roles().items():
        assert len(role["ManagedPolicyArns"]) <= POLICIES_OF_A_ROLE, name
        assert len(role["Description"]) <= 1000


@pytest.mark.parametrize("role", ROLES)
def test_only_the_tools_account_of_the_organization_gets_in(role: str) -> None:
    (statement,) = roles()[role]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {
        "AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${ToolAccountId}:root"}
    }
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {
        "StringEquals": {
            "sts:ExternalId": {"Ref": "ExternalId"},
            "aws:PrincipalOrgID": {"Ref": "OrganizationId"},
        }
    }


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("ToolAccountId", ["", "*", "11112222333", "arn:aws:iam::111122223333:root"]),
        ("ExternalId", ["", "x", "with space"]),
        ("OrganizationId", ["", "*", "o-", "o-exampleorgid/ou-1"]),
    ],
)
def test_a_parameter_that_would_open_the_roles_is_refused(name: str, refused: list[str]) -> None:
    parameter = TEMPLATE["Parameters"][name]
    assert "Default" not in parameter
    assert re.fullmatch(parameter["AllowedPattern"], GIVEN[name])
    assert [one for one in refused if re.fullmatch(parameter["AllowedPattern"], one)] == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_has_the_documents_of_its_task_and_nothing_else(role: str) -> None:
    attached = [RESOURCES[one["Ref"]]["Properties"] for one in roles()[role]["ManagedPolicyArns"]]
    assert {policy["Description"] for policy in attached} == {
        f"policies/iam/{name}.json of Keysweep" for name in WANTED[role]
    }
    assert "Policies" not in roles()[role]


def test_deployed_it_makes_these_roles_and_documents() -> None:
    """moto attaches no managed policies to a stack's roles: what is attached is tested above."""
    with EmbeddedAws({"accounts": {SHOP: {"regions": ["us-east-1"]}}}) as aws:

        def client(service: str) -> Any:
            return boto3.client(service, **aws.client_arguments(SHOP, "us-east-1"))

        client("cloudformation").create_stack(
            StackName="keysweep-roles",
            TemplateBody=TEXT,
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in GIVEN.items()],
        )
        iam = client("iam")
        made = iam.list_roles()["Roles"]
        assert {role["RoleName"] for role in made} == set(WANTED)
        for role in made:
            (statement,) = _document(role["AssumeRolePolicyDocument"])["Statement"]
            assert statement["Principal"] == {"AWS": f"arn:aws:iam::{SHOP}:root"}
            assert statement["Condition"]["StringEquals"] == {
                "sts:ExternalId": GIVEN["ExternalId"],
                "aws:PrincipalOrgID": GIVEN["OrganizationId"],
            }
        found = {}
        for policy in iam.list_policies(Scope="Local")["Policies"]:
            version = iam.get_policy_version(
                PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"]
            )
            described = iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["Description"]
            found[described] = _document(version["PolicyVersion"]["Document"])
        assert found == {
            f"policies/iam/{name}.json of Keysweep": DOCUMENTS[name]
            for name in set().union(*WANTED.values())
        }


def _document(given: Any) -> Any:
    return json.loads(unquote(given)) if isinstance(given, str) else given


def test_its_policies_are_of_the_partition_it_is_deployed_to() -> None:
    assert "arn:aws:" not in TEXT
