"""What to do in each tool before its key may be deleted.

The owning tool deletes a key best, because it then knows that the key is gone. For Keysweep to
delete it, the tool must first stop managing the key.
"""

from __future__ import annotations

import shlex

from .terraform_addresses import Address


def terraform(address: Address) -> str:
    """For Terraform and OpenTofu.

    A `removed` block takes only addresses without keys ("removed block", Terraform documentation),
    and a module may be published by others, so only its call can change.
    """
    block = address.block
    if address.modules:
        call = ".".join(f"module.{module.name}" for module in address.modules)
        return (
            f"change the call of {call} so that it makes no {address}, and apply, and Terraform "
            "schedules the deletion; or stop managing the key: change the call, do not apply, run "
            f"terraform state rm {shlex.quote(str(address))}, and plan again"
        )
    if block == address:
        return (
            f"remove the block {block} from the code and apply, and Terraform schedules the "
            f"deletion; or stop managing the key: replace the block by removed {{ from = {block} "
            "lifecycle { destroy = false } } (Terraform 1.7), apply, and plan again"
        )
    return (
        f"remove {address} from its count or for_each and apply, and Terraform schedules the "
        "deletion; or stop managing the key: remove it, do not apply, run "
        f"terraform state rm {shlex.quote(str(address))}, and plan again"
    )


def terraform_text(address: str) -> str:
    """The same for an address in a scanner's form."""
    try:
        return terraform(Address.parse(address))
    except ValueError:
        return (
            f"remove {address} from the code and apply, and Terraform schedules the deletion; "
            "then plan again"
        )


def cloudformation() -> str:
    """For a stack, whatever generated its template."""
    return (
        "remove the resource from the template and update the stack, and CloudFormation schedules "
        "the deletion; or stop managing the key: update the stack with DeletionPolicy: Retain on "
        "the resource, then remove it, and plan again"
    )


def ansible() -> str:
    """For a task of the KMS key module. (`present` would cancel a pending deletion.)"""
    return (
        "set state: absent in the task and run it, and Ansible schedules the deletion; or stop "
        "managing the key: remove the task, and plan again"
    )


def crossplane() -> str:
    """For a managed resource of an AWS provider."""
    return (
        "delete the managed resource, and Crossplane schedules the deletion; or stop managing the "
        "key: delete the resource with deletionPolicy: Orphan (or managementPolicies without "
        "Delete), and plan again"
    )
