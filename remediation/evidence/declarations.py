"""Who declares a key: the CloudFormation stack that owns it, and the states that the user gave.

CloudFormation is asked about every key. Terraform cannot be asked: its states come by option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from botocore.exceptions import ClientError

from ..aws import Place
from ..models import Cost, Declaration, Declarations, Evidence, KeyArn
from . import Source

LET_GO: Final = frozenset({"DELETE_COMPLETE", "DELETE_SKIPPED"})
"""Statuses of a resource that its stack does not own any more: deleted, or retained."""

DeclaredIn = Callable[[KeyArn], Iterable[Declaration]]
"""Who declares a key, in code that was read before: states and stacks that the user named."""


def with_code(declared_in: DeclaredIn) -> Source:
    """The source that looks into this code too."""

    def read(place: Place, evidence: Evidence) -> Declarations:
        asked = _read(place, evidence).found
        given = tuple(d for d in declared_in(evidence.key_arn) if d not in asked)
        return Declarations(found=(*given, *asked))

    return replace(SOURCE, read_key=read)


def _read(place: Place, evidence: Evidence) -> Declarations:
    key_id = evidence.key_arn.key_id
    cloudformation = place.client("cloudformation")
    try:
        answer = cloudformation.describe_stack_resources(PhysicalResourceId=key_id)
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "ValidationError" and "does not exist" in said.get("Message", ""):
            return Declarations()
        raise
    # The answer has the first hundred resources of the stack, not the key alone.
    resources = answer["StackResources"]
    if not resources:
        raise LookupError("neither a stack nor a ValidationError")
    own = [r for r in resources if r.get("PhysicalResourceId") in {key_id, str(evidence.key_arn)}]
    if all(resource["ResourceStatus"] in LET_GO for resource in own or resources):
        return Declarations()
    stack = resources[0]["StackName"]
    return Declarations(
        found=(
            Declaration(
                tool="cloudformation",
                owner=f"{stack} {own[0]['LogicalResourceId']}" if own else stack,
                source=place.region,
                fix="remove it from the template, with DeletionPolicy Retain, and update the stack",
            ),
        )
    )


SOURCE = Source(
    "declarations",
    Cost.KEY_CALL,
    ("cloudformation:DescribeStackResources",),
    read_key=_read,
)
