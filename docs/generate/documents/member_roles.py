"""A CloudFormation template of the roles that Keysweep assumes in the accounts of an organization.

Made of the same IAM documents that people attach by hand; meant for a StackSet with service-managed
permissions ("Create CloudFormation StackSets with service-managed permissions", AWS CloudFormation
User Guide), which installs it in every account of an organizational unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keysweep.remediation.policy import Policy

TEMPLATE_SIZE: Final = 51_200
"""Most bytes of a template that comes with the request ("CloudFormation quotas")."""

POLICIES_OF_A_ROLE: Final = 10
"""Managed policies that a role may have by default ("IAM and AWS STS quotas")."""

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "KeysweepPlan": ("plan", "references"),
    "KeysweepApply": ("apply", "references"),
    "KeysweepGuard": ("guard", "references"),
    "KeysweepCancel": ("cancel",),
}
"""The names for `--role-name`, and the documents that each role has."""

_ABOUT: Final = {
    "KeysweepPlan": "Judges KMS keys; changes nothing",
    "KeysweepApply": "Schedules the deletion of the keys of a reviewed plan, and undoes it",
    "KeysweepGuard": "Watches keys pending deletion, and rescues those that are wanted",
    "KeysweepCancel": "Cancels deletions, and shows what is pending",
}

Json = dict[str, Any]


def template(policies: Mapping[str, Json]) -> Json:
    """The template; `policies` are the IAM documents by their names."""
    parts = {
        name: [one for one in policies if one == name or one.startswith(f"{name}-")]
        for name in dict.fromkeys(part for parts in ROLES.values() for part in parts)
    }
    resources: Json = {}
    for name in (one for names in parts.values() for one in names):
        resources[_logical(name)] = {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {
                "Description": f"policies/iam/{name}.json of Keysweep",
                "PolicyDocument": policies[name],
            },
        }
    for role, wanted in ROLES.items():
        resources[role] = {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": role,
                "Description": _ABOUT[role],
                "AssumeRolePolicyDocument": _trust(),
                "ManagedPolicyArns": [
                    {"Ref": _logical(name)} for part in wanted for name in parts[part]
                ],
                "Tags": [{"Key": "Application", "Value": "keysweep"}],
            },
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Roles that Keysweep assumes in this account; "
        f"keys tagged {Policy().protected_tag} are never scheduled by them",
        "Parameters": _parameters(),
        "Resources": resources,
    }


def _parameters() -> Json:
    return {
        "ToolAccountId": {
            "Type": "String",
            "AllowedPattern": "[0-9]{12}",
            "Description": "Account in which keysweep runs, and whose IAM policies say who of it "
            "may assume which of the roles",
        },
        "ExternalId": {
            "Type": "String",
            "AllowedPattern": r"[\w+=,.@:/-]{2,1224}",
            "Description": "What keysweep passes with --external-id",
        },
        "OrganizationId": {
            "Type": "String",
            "AllowedPattern": "o-[a-z0-9]{10,32}",
            "Description": "The organization to which whoever assumes a role must belong",
        },
    }


def _trust() -> Json:
    """The tool's account, in the same organization, and with the external id."""
    account = {"Fn::Sub": "arn:${AWS::Partition}:iam::${ToolAccountId}:root"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "FromTheToolsAccount",
                "Effect": "Allow",
                "Principal": {"AWS": account},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {
                        "sts:ExternalId": {"Ref": "ExternalId"},
                        "aws:PrincipalOrgID": {"Ref": "OrganizationId"},
                    }
                },
            }
        ],
    }


def _logical(name: str) -> str:
    """A logical id, which may have letters and digits alone."""
    return "".join(part.capitalize() for part in name.split("-")) + "Policy"
