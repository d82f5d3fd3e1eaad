"""From the addresses that Checkov finds in Terraform's code to keys, by the roots' states."""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ..errors import BadInput
from ..models import CodeLocation, KeyArn
from .addresses import Address
from .leads import BY_PROWLER, Nowhere
from .roots import Root, chosen, root_of, several
from .tfstate import OwnedKey, State

FRAMEWORKS: Final = frozenset({"terraform", "terraform_json"})

MOST_NAMED: Final = 20
"""Addresses in one sentence or list."""

_PLAN: Final = (
    "scan the plan, which names every instance: terraform plan -out FILE, "
    "terraform show -json FILE > plan.json, checkov -f plan.json"
)


@dataclass(frozen=True)
class GivenState:
    """A state, and the root folder that the user says it is of."""

    folder: str | None
    """None: the folder that Checkov scanned."""
    state: State

    def exact(self, code: CodeLocation) -> Sequence[OwnedKey]:
        """The instances with the very address."""
        return self._by_text.get(_address(code), ())

    def instances(self, code: CodeLocation) -> Sequence[OwnedKey]:
        """The instances of the block, when the address does not say which one."""
        try:
            return self._by_block.get(Address.parse(_address(code)).block, ())
        except ValueError:
            return ()

    @cached_property
    def _by_text(self) -> Mapping[str, Sequence[OwnedKey]]:
        """By address, also as Checkov writes it: it does not escape the keys of for_each."""
        found: dict[str, list[OwnedKey]] = {}
        for key in self._current:
            for text in {str(key.address), key.address.as_checkov_writes}:
                found.setdefault(text, []).append(key)
        return found

    @cached_property
    def _by_block(self) -> Mapping[Address, Sequence[OwnedKey]]:
        found: dict[Address, list[OwnedKey]] = {}
        for key in self._current:
            found.setdefault(key.address.block, []).append(key)
        return found

    @property
    def _current(self) -> Iterable[OwnedKey]:
        return (key for key in self.state.keys if not key.deposed)


def by_addresses(
    given: Sequence[GivenState], codes: Iterable[CodeLocation]
) -> Mapping[CodeLocation, KeyArn | Nowhere]:
    """The key of each block that Checkov found, or why there is none.

    Raises BadInput for a state that owns nothing of its root: it is another root's.
    """
    blocks = {code: root_of(code) for code in codes if code.framework in FRAMEWORKS}
    roots = frozenset(root for root in blocks.values() if root is not None)
    ties = [(one, chosen(one.folder, roots)) for one in given]
    _refuse_strangers(ties, blocks)
    return {code: _one(code, root, ties) for code, root in blocks.items()}


Ties = Sequence[tuple[GivenState, frozenset[Root]]]


def _one(code: CodeLocation, root: Root | None, ties: Ties) -> KeyArn | Nowhere:
    if root is None:
        return Nowhere("Checkov's record does not say which root calls its module", _PLAN)
    states = [given for given, roots in ties if root in roots]
    if not states:
        return Nowhere("no state of its root folder was given", _give_state(root))
    vague = [given for given, roots in ties if root in roots and several(roots)]
    if vague:
        folders = tuple(sorted({str(r) for _, roots in ties if root in roots for r in roots}))
        return Nowhere(
            f"{vague[0].state.file} may be of several folders that Checkov scanned",
            f"name the folder in full: --tfstate {root.absolute or root.shown}=FILE",
            folders,
        )
    exact = [(given.state, key) for given in states for key in given.exact(code)]
    if len(exact) == 1:
        return _arn(*exact[0])
    if exact:
        return Nowhere(
            "its address is in several states of its root folder",
            "give the state of one workspace",
            tuple(f"{key.address} in {state.file}" for state, key in exact[:MOST_NAMED]),
        )
    near = [key for given in states for key in given.instances(code)]
    if near:
        return Nowhere(
            "its address may be any of several instances",
            _PLAN,
            tuple(str(key.address) for key in near[:MOST_NAMED]),
        )
    files = ", ".join(given.state.file for given in states)
    return Nowhere(
        f"{files} has no such address", "apply the code, or give the state of its workspace"
    )


def _give_state(root: Root) -> str:
    if root.shown == ".":
        return "in that folder: terraform show -json > state.json; then add --tfstate state.json"
    folder = shlex.quote(root.shown)
    return (
        f"terraform -chdir={folder} show -json > state.json; "
        f"then add --tfstate {shlex.quote(f'{root.shown}=state.json')}"
    )


def _arn(state: State, key: OwnedKey) -> KeyArn | Nowhere:
    if key.arn is None:
        return Nowhere(f"{state.file} has no ARN for it", f"terraform refresh, or {BY_PROWLER}")
    return key.arn


def _address(code: CodeLocation) -> str:
    """Terraform's address. In JSON, Checkov 3.3.30 writes `resource.NAME`, without the type.

    CKV_AWS_227, which says no type, covers `aws_kms_key` alone.
    """
    name = code.address.removeprefix("resource.")
    if code.framework == "terraform_json" and name != code.address and "." not in name:
        return f"{code.resource_type or 'aws_kms_key'}.{name}"
    return code.address


def _refuse_strangers(ties: Ties, blocks: Mapping[CodeLocation, Root | None]) -> None:
    for given, roots in ties:
        here = [code for code, root in blocks.items() if root in roots]
        if not here or several(roots) or given.state.empty:
            continue
        siblings = [other for other, theirs in ties if roots & theirs]
        if not any(
            other.exact(code) or other.instances(code) for code in here for other in siblings
        ):
            names = sorted({_address(code) for code in here})
            told = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            where = ", ".join(sorted(posixpath.normpath(str(root)) for root in roots))
            raise BadInput(
                f"{given.state.file}: is not a state of {where}: it owns none of the keys that "
                f"Checkov found there ({told}); give that root's state, or apply the code first"
            )
