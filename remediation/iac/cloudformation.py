"""CloudFormation: the keys that stacks own, and the keys of resources that Checkov found.

A template's resource maps to the key that a stack owns under the same type and logical id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import Accounts, Connection
from ..aws.failures import explain
from ..errors import AccessRefused, AccountUnavailable, BadInput, TruncatedResponse
from ..models import AccountRegion, CodeLocation, KeyArn
from .key_names import Unresolved

PERMISSIONS: Final = ("cloudformation:ListStackResources",)
"""IAM actions that `--cfn-stack` needs."""

FRAMEWORKS: Final = frozenset({"cloudformation", "sam", "serverless"})
"""Checkov's frameworks whose resources belong to a stack."""

RELEASED: Final = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
"""Statuses of a resource that its stack no longer owns: deleted or retained."""

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
    """A value of `--cfn-stack [TEMPLATE=]NAME[@REGION]`."""

    stack: str
    """Name or ARN."""
    region: str | None = None
    """None: the ARN's Region, or the configured one."""
    template: str | None = None
    """The stack's template, as Checkov names the file. None: any."""

    @classmethod
    def parse(cls, text: str) -> StackOption:
        """Parse the option. Raises BadInput with an example."""
        match = _OPTION.fullmatch(text)
        if match is None or (match["arn_name"] and match["at"]):
            raise BadInput(
                f"--cfn-stack {text[:200]!r}: give the stack's name, such as shop@eu-west-1, or "
                "its ARN without a Region. To name its template too: infra/keys.yaml=shop"
            )
        return cls(match["stack"], match["at"], match["template"])


@dataclass(frozen=True)
class StackKey:
    """One key that a stack owns."""

    stack: str
    """The stack's name; for a nested stack, its own."""
    logical_id: str
    resource_type: str
    arn: KeyArn
    template: str | None
    """The template that the user named for this stack. None: any."""

    @property
    def owner(self) -> str:
        """The stack and the logical id, for people."""
        return f"{self.stack} {self.logical_id}"

    def declared_by(self, code: CodeLocation) -> bool:
        """Whether a template's resource may declare this key."""
        return code.address == f"{self.resource_type}.{self.logical_id}" and (
            self.template is None or _is_file(self.template, code)
        )


@dataclass(frozen=True)
class Stack:
    """The keys of a stack and of the stacks nested in it."""

    keys: tuple[StackKey, ...]
    empty: bool
    """It owns no resource: it was deleted, say, or never created."""


def read_stack(option: StackOption, accounts: Accounts) -> Stack:
    """Read the keys of a stack and of the stacks nested in it.

    Raises BadInput unless all can be read: a missing key would look as if no code owned it.
    """
    try:
        connection = _connect(option, accounts)
    except AccountUnavailable as error:
        raise type(error)(f"--cfn-stack {option.stack}: {error}") from error
    try:
        owned = list(_owned(connection, option.stack, option.template, set()))
    except (ClientError, BotoCoreError, TruncatedResponse) as error:
        where = f"account {connection.account_id}, {connection.region}"
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ValidationError":
            raise BadInput(
                f"--cfn-stack {option.stack}: no such stack in {where}. Fix: check its name and "
                f"Region, such as {option.stack}@eu-west-1, or give its ARN"
            ) from error
        why = explain(error, connection, PERMISSIONS)
        fix = f". Fix: allow {why.permission}" if why.permission else ""
        raise AccessRefused(f"--cfn-stack {option.stack}: {why.unreadable}{fix}") from error
    return Stack(tuple(key for key in owned if key is not None), empty=not owned)


def _connect(option: StackOption, accounts: Accounts) -> Connection:
    match = _ARN.fullmatch(option.stack)
    if match is None:
        return accounts.own_connection(option.region)
    return accounts.connect(AccountRegion(match["partition"], match["account_id"], match["region"]))


def _owned(
    connection: Connection, stack: str, template: str | None, seen: set[str]
) -> Iterator[StackKey | None]:
    """Every resource that the stacks own; None for one that is not a key."""
    seen.add(stack)
    pages = connection.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=stack):
        for resource in page["StackResourceSummaries"]:
            physical = resource.get("PhysicalResourceId", "")
            if not physical or resource["ResourceStatus"] in RELEASED:
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
    """A key's ARN. Its physical id is the key id ("AWS::KMS::Key", Ref, CloudFormation)."""
    home = f"arn:{connection.partition}:kms:{connection.region}:{connection.account_id}:key/"
    return KeyArn.parse(physical if physical.startswith("arn:") else home + physical)


def _name(stack: str) -> str:
    match = _ARN.fullmatch(stack)
    return match["name"] if match else stack


def keys_of_templates(
    stacks: Sequence[StackKey], codes: Iterable[CodeLocation]
) -> Mapping[CodeLocation, KeyArn | Unresolved]:
    """The key of each resource that Checkov found in a template, or why there is none."""
    codes = [code for code in dict.fromkeys(codes) if code.framework in FRAMEWORKS]
    files: dict[str, set[str]] = {}
    for code in codes:
        files.setdefault(code.address, set()).add(code.file)
    owned: dict[str, list[StackKey]] = {}
    for key in stacks:
        owned.setdefault(f"{key.resource_type}.{key.logical_id}", []).append(key)
    return {code: _key_of(code, owned, files[code.address]) for code in codes}


def _key_of(
    code: CodeLocation, owned: Mapping[str, Sequence[StackKey]], files: Iterable[str]
) -> KeyArn | Unresolved:
    option = f"--cfn-stack {code.file.lstrip('/')}=NAME[@REGION]"
    keys = [key for key in owned.get(code.address, ()) if key.declared_by(code)]
    if not keys:
        return Unresolved("none of the given stacks has it", "add --cfn-stack NAME[@REGION]")
    candidates = tuple(sorted({f"{key.owner}: {key.arn}" for key in keys}))
    if len({key.arn for key in keys}) > 1:
        return Unresolved("several stacks have it", f"name its stack: {option}", candidates)
    if len(set(files)) > 1 and all(key.template is None for key in keys):
        return Unresolved(
            "several templates have it, and the stack's template is unclear",
            f"name the stack's template: {option}",
            candidates,
        )
    return keys[0].arn


def _is_file(template: str, code: CodeLocation) -> bool:
    """Whether the user's path means this file: as Checkov shows it, or its absolute path."""
    if os.path.normpath(template.lstrip("/")) == os.path.normpath(code.file.lstrip("/")):
        return True
    return code.absolute_file is not None and code.absolute_file == str(Path(template).absolute())
