"""What to do in each tool before a key may go, for people.

The tool that owns the key does it best: it then knows that the key is gone. Whoever wants Keysweep
to do it takes the key out of the tool's hands first.
"""

from __future__ import annotations

import shlex

from .addresses import Address


def terraform(address: Address) -> str:
    """For Terraform and OpenTofu: destroy through the code, or let go.

    A `removed` block takes addresses without keys only ("removed block", Terraform documentation).
    """
    block = address.block
    if block == address:
        return (
            f"remove the block {block} from the code and apply, so that Terraform itself schedules "
            f"the deletion; or hand the key over: put removed {{ from = {block} lifecycle "
            "{ destroy = false } } in its place (Terraform 1.7), apply, and plan again"
        )
    return (
        f"take {address} out of its count or for_each and apply, so that Terraform itself "
        "schedules the deletion; or hand the key over: take it out, do not apply, run "
        f"terraform state rm {shlex.quote(str(address))}, and plan again"
    )


def terraform_text(address: str) -> str:
    """The same of an address as a scanner writes it."""
    try:
        return terraform(Address.parse(address))
    except ValueError:
        return (
            f"remove {address} from the code and apply, so that Terraform itself schedules the "
            "deletion, and plan again"
        )


def cloudformation() -> str:
    """For a stack, however its template was made."""
    return (
        "remove the resource from the template and update the stack, so that CloudFormation "
        "itself schedules the deletion; or hand the key over: first update the stack with "
        "DeletionPolicy: Retain on it, then remove it, and plan again"
    )


def ansible() -> str:
    """For a task of the KMS key module: `present` cancels a deletion that is pending."""
    return (
        "set state: absent in the task and run it, so that Ansible itself schedules the deletion; "
        "or hand the key over: remove the task, and plan again"
    )


def crossplane() -> str:
    """For a managed resource of a provider for AWS."""
    return (
        "delete the managed resource, so that Crossplane itself schedules the deletion; or hand "
        "the key over: delete it with deletionPolicy: Orphan (or managementPolicies without "
        "Delete), and plan again"
    )
