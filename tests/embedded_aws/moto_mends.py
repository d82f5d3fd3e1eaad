"""Where moto 5.2.5 differs from AWS in other services than KMS, mended.

Each mend has a test that fails without it. A service's mends are applied when it is first used,
since importing the service is slow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


def apply(service: str) -> None:
    """Apply the mends of a service (signing name), once."""
    for mend in _WAITING.pop(service, ()):
        mend()


def _snapshots_carry_their_key() -> None:
    """An EBS snapshot of an encrypted volume names the volume's key."""
    from moto.ec2.models.elastic_block_store import Snapshot

    original = Snapshot.__init__

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        if self.encrypted and self.kms_key_id is None:
            self.kms_key_id = self.volume.kms_key_id

    Snapshot.__init__ = init  # type: ignore[method-assign]


def _snapshots_of_their_owners() -> None:
    """DescribeSnapshots with OwnerIds shows those owners' snapshots only."""
    from moto.core.responses import ActionResult
    from moto.ec2.responses.elastic_block_store import ElasticBlockStore

    original = ElasticBlockStore.describe_snapshots

    @functools.wraps(original)
    def describe(self: Any) -> ActionResult:
        result = original(self)
        owners = {
            self.current_account if owner == "self" else owner
            for owner in self._get_param("OwnerIds", [])
        }
        if owners:
            shown: Any = result.result
            shown["Snapshots"] = [one for one in shown["Snapshots"] if one.owner_id in owners]
        return result

    ElasticBlockStore.describe_snapshots = describe  # type: ignore[method-assign]


def _stack_of_a_resource() -> None:
    """DescribeStackResources finds the stack of a physical id, or says that there is none."""
    from moto.cloudformation.exceptions import ValidationError
    from moto.cloudformation.responses import CloudFormationResponse, StackResourceDTO
    from moto.core.responses import ActionResult

    original = CloudFormationResponse.describe_stack_resources

    @functools.wraps(original)
    def describe(self: Any) -> ActionResult:
        wanted = self._get_param("PhysicalResourceId")
        if wanted is None:
            return original(self)
        for stack in self.cloudformation_backend.stacks.values():
            resources = stack.stack_resources
            if any(getattr(one, "physical_resource_id", None) == wanted for one in resources):
                shown = [StackResourceDTO(stack, resource) for resource in resources]
                return ActionResult({"StackResources": shown})
        raise ValidationError(message=f"Stack for {wanted} does not exist")

    CloudFormationResponse.describe_stack_resources = describe  # type: ignore[method-assign]


_WAITING: dict[str, tuple[Callable[[], None], ...]] = {
    "ec2": (_snapshots_carry_their_key, _snapshots_of_their_owners),
    "cloudformation": (_stack_of_a_resource,),
}
