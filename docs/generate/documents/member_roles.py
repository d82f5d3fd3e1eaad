"""CloudFormation template of the roles that Keysweep assumes in the accounts of an organization.

It contains the IAM policies of `policies/iam`. A StackSet with service-managed permissions deploys
it to every account of an organizational unit ("Create CloudFormation StackSets with service-managed
permissions", AWS CloudFormation User Guide).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keysweep.remediation.policy import Policy

TEMPLATE_SIZE: Final = 51_200
"""Maximum bytes of a template in a request ("CloudFormation quotas")."""

POLICIES_OF_A_ROLE: Final = 10
"""Maximum managed policies of a role, by default ("IAM and AWS STS quotas")."""

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "KeysweepPlan": ("plan", "references"),
    "KeysweepApply": ("apply", "references"),
    "KeysweepGuard": ("guard", "references"),
    "KeysweepCancel": ("cancel",),
}
"""Role names (for `--role-name`), and the IAM policies of each role."""

_ABOUT: Final = {
    "KeysweepPlan": "Evaluates KMS keys; read-only",
    "KeysweepApply": "Schedules and cancels the deletion of keys in a reviewed plan",
    "KeysweepGuard": "Watches keys pending deletion, and restores those in use",
    "KeysweepCancel": "Cancels deletions, and lists keys pending deletion",
}

Json = dict[str, Any]


def template(policies: Mapping[str, Json]) -> Json:
    """Return the template. `policies` are the IAM policies by name."""
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
                "PolicyDocument": _of_this_partition(policies[name]),
            },
        }
    for role, needed in ROLES.items():
        resources[role] = {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": role,
                "Description": _ABOUT[role],
                "AssumeRolePolicyDocument": _trust(),
                "ManagedPolicyArns": [
                    {"Ref": _logical(name)} for part in needed for name in parts[part]
                ],
                "Tags": [{"Key": "Application", "Value": "keysweep"}],
            },
        }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Roles that Keysweep assumes in this account; "
        f"they never schedule keys tagged {Policy().protected_tag}",
        "Parameters": _parameters(),
        "Resources": resources,
    }


def _of_this_partition(value: Any) -> Any:
    """A policy whose ARNs are of the partition to which the template is deployed."""
    if isinstance(value, dict):
        return {name: _of_this_partition(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_of_this_partition(one) for one in value]
    if isinstance(value, str) and value.startswith("arn:aws:"):
        return {"Fn::Sub": value.replace("arn:aws:", "arn:${AWS::Partition}:", 1)}
    return value


def _parameters() -> Json:
    return {
        "ToolAccountId": {
            "Type": "String",
            "AllowedPattern": "[0-9]{12}",
            "Description": "Account in which Keysweep runs; its IAM policies control who may "
            "assume each role",
        },
        "ExternalId": {
            "Type": "String",
            "AllowedPattern": r"[\w+=,.@:/-]{2,1224}",
            "Description": "External ID that Keysweep passes (--external-id)",
        },
        "OrganizationId": {
            "Type": "String",
            "AllowedPattern": "o-[a-z0-9]{10,32}",
            "Description": "Organization that callers must belong to",
        },
    }


def _trust() -> Json:
    """Trust the tool's account, in the same organization and with the external ID."""
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
    """Logical ID, which allows only letters and digits."""
    return "".join(part.capitalize() for part in name.split("-")) + "Policy"
