"""Stacks of CloudFormation: which KMS keys they own, and under which logical id."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import AccountRegion, Accounts, Connection
from ..aws.failures import explain
from ..errors import AccountUnavailable, BadInput, CutAnswer
from ..models import KeyArn

PERMISSIONS: Final = ("cloudformation:ListStackResources",)
"""IAM actions that `--cfn-stack` needs."""

LET_GO: Final = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
"""Statuses of a resource that its stack does not own any more: deleted, or retained."""

RESOURCE_TYPES: Final = frozenset({"AWS::KMS::Key", "AWS::KMS::ReplicaKey"})

_NESTED: Final = "AWS::CloudFormation::Stack"
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):cloudformation:(?P<region>[a-z0-9-]+):(?P<account_id>[0-9]{12})"
    r":stack/(?P<name>[a-zA-Z][a-zA-Z0-9-]*)/[0-9a-f-]+",
    re.ASCII,
)
_OPTION: Final = re.compile(
    rf"(?:(?P<template>.+)=)?(?P<stack>{_ARN.pattern.replace('?P<', '?P<arn_')}"
    r"|[a-zA-Z][a-zA-Z0-9-]{0,127})(?:@(?P<at>[a-z]{2,}(?:-[a-z]+)+-[0-9]+))?",
    re.ASCII,
)


@dataclass(frozen=True)
class StackOption:
    """What `--cfn-stack [TEMPLATE=]NAME[@REGION]` names."""

    stack: str
    """Name or ARN."""
    region: str | None = None
    """None: that of the ARN, or the configured one."""
    template: str | None = None
    """The template that the stack was made from, as Checkov names the file; None: any."""

    @classmethod
    def parse(cls, text: str) -> StackOption:
        """Read the option; raises BadInput with the form that it has."""
        match = _OPTION.fullmatch(text)
        if match is None or (match["arn_name"] and match["at"]):
            raise BadInput(
                f"--cfn-stack {text[:200]!r}: give the stack's name, as in shop@eu-west-1, or its "
                "ARN without a Region; with the template's file in front if need be, as in "
                "infra/keys.yaml=shop"
            )
        return cls(match["stack"], match["at"], match["template"])


@dataclass(frozen=True)
class StackKey:
    """One key that a stack owns."""

    stack: str
    """The stack's name; a nested stack's own."""
    logical_id: str
    resource_type: str
    arn: KeyArn
    template: str | None
    """The template that this stack was said to be made from; None: any."""

    @property
    def owner(self) -> str:
        """As people name it: the stack and the logical id."""
        return f"{self.stack} {self.logical_id}"


@dataclass(frozen=True)
class Stack:
    """What a stack owns, with those nested in it."""

    keys: tuple[StackKey, ...]
    empty: bool
    """It owns nothing at all: deleted, say, or never created."""


def read_stack(option: StackOption, accounts: Accounts) -> Stack:
    """What a stack and those nested in it own.

    Raises BadInput when the stack cannot be read as a whole: its keys would pass for nobody's.
    """
    try:
        connection = _place(option, accounts)
    except AccountUnavailable as error:
        raise BadInput(f"--cfn-stack {option.stack}: {error}") from error
    try:
        owned = list(_owned(connection, option.stack, option.template, set()))
    except (ClientError, BotoCoreError, CutAnswer) as error:
        where = f"account {connection.account_id}, {connection.region}"
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationError":
            raise BadInput(
                f"--cfn-stack {option.stack}: there is no such stack in {where}; name its Region "
                f"as in {option.stack}@eu-west-1, or give its ARN"
            ) from error
        why = explain(error, connection, PERMISSIONS)
        cure = f"; allow {why.permission}" if why.permission else ""
        raise BadInput(f"--cfn-stack {option.stack}: {why.unreadable}{cure}") from error
    return Stack(tuple(key for key in owned if key is not None), empty=not owned)


def _place(option: StackOption, accounts: Accounts) -> Connection:
    match = _ARN.fullmatch(option.stack)
    if match is None:
        return accounts.own_connection(option.region)
    return accounts.connect(AccountRegion(match["partition"], match["account_id"], match["region"]))


def _owned(
    connection: Connection, stack: str, template: str | None, seen: set[str]
) -> Iterator[StackKey | None]:
    """Everything that the stacks own; None for what is no key."""
    seen.add(stack)
    pages = connection.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            physical = resource.get("PhysicalResourceId", "")
            if not physical or resource["ResourceStatus"] in LET_GO:
                continue
            if resource["ResourceType"] == _NESTED:
                if physical not in seen:
                    yield from _owned(connection, physical, None, seen)
            elif resource["ResourceType"] in RESOURCE_TYPES:
                yield StackKey(
                    _name(stack),
                    resource["LogicalResourceId"],
                    resource["ResourceType"],
                    _key_arn(connection, physical),
                    template,
                )
            else:
                yield None


def _key_arn(connection: Connection, physical: str) -> KeyArn:
    """The physical id of a key is its key id ("AWS::KMS::Key", Ref, CloudFormation)."""
    home = f"arn:{connection.partition}:kms:{connection.region}:{connection.account_id}:key/"
    return KeyArn.parse(physical if physical.startswith("arn:") else home + physical)


def _name(stack: str) -> str:
    match = _ARN.fullmatch(stack)
    return match["name"] if match else stack
