"""The CloudFormation stack that declares a key.

Keysweep asks CloudFormation about every key that no given state or stack declares. Terraform has no
such call.
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from ..aws import Connection
from ..iac import fixes
from ..iac.cloudformation import RELEASED
from ..models import Cost, Declaration, Declarations, Evidence
from .source import Source


def _read(connection: Connection, evidence: Evidence) -> Declarations:
    key_id = evidence.key_arn.key_id
    cloudformation = connection.client("cloudformation")
    try:
        answer = cloudformation.describe_stack_resources(PhysicalResourceId=key_id)
    except ClientError as error:
        refusal = error.response["Error"]
        if refusal["Code"] == "ValidationError" and "does not exist" in refusal.get("Message", ""):
            return Declarations()
        raise
    # The answer has the first hundred resources of the stack, not only the key. Without the key's
    # own row, nothing shows that the stack no longer manages it.
    resources = answer["StackResources"]
    if not resources:
        raise LookupError("neither a stack nor a ValidationError")
    own = [r for r in resources if r.get("PhysicalResourceId") in {key_id, str(evidence.key_arn)}]
    if own and all(resource["ResourceStatus"] in RELEASED for resource in own):
        return Declarations()
    stack = resources[0]["StackName"]
    return Declarations(
        found=(
            Declaration(
                tool="cloudformation",
                owner=f"{stack} {own[0]['LogicalResourceId']}" if own else stack,
                source=connection.region,
                fix=fixes.cloudformation(),
            ),
        )
    )


SOURCE = Source(
    "declarations",
    Cost.STACK,
    ("cloudformation:DescribeStackResources",),
    read_key=_read,
)
