"""Findings in Terraform code and plans: the keys that they mean.

A finding in code maps to a key by its address in the state of its root folder. An address is unique
only within its root: two roots of a repository may both have an `aws_kms_key.main`, and these are
different keys. A finding in a plan carries the key's ARN itself, and the plan's actions.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..models import CodeLocation, Finding, KeyArn
from .key_names import SCAN_WITH_PROWLER, Unresolved
from .terraform_addresses import Address
from .terraform_states import OwnedKey, State

FRAMEWORKS: Final = frozenset({"terraform", "terraform_json"})

MOST_NAMED: Final = 20
"""Candidates that are listed."""

KEEPING: Final = frozenset({"no-op", "update", "read"})
"""A plan's actions that keep the key ("actions", JSON Output Format, Terraform documentation)."""

_SCAN_PLAN: Final = (
    "scan the plan, which names every instance: terraform plan -out FILE, "
    "terraform show -json FILE > plan.json, checkov -f plan.json"
)


@dataclass(frozen=True)
class GivenState:
    """A state, and the root folder that the user names for it."""

    folder: str | None
    """None: the folder that Checkov scanned."""
    state: State

    def exact(self, code: CodeLocation) -> Sequence[OwnedKey]:
        """The instances with exactly this address."""
        return self._by_text.get(_address(code), ())

    def instances(self, code: CodeLocation) -> Sequence[OwnedKey]:
        """All instances of the block."""
        parsed = _parsed(code)
        return () if parsed is None else self._by_block.get(parsed.block, ())

    def blocks_of(
        self, owned: OwnedKey, codes: Iterable[CodeLocation], roots: frozenset[Root]
    ) -> Sequence[CodeLocation]:
        """The blocks that declare an instance, in the root folder of this state.

        `roots` are those of all findings.
        """
        here = _matching(self.folder, roots)
        return [code for code in codes if _root_of(code) in here and _may_mean(code, owned.address)]

    @cached_property
    def _by_text(self) -> Mapping[str, Sequence[OwnedKey]]:
        """By address, also in Checkov's form, which does not escape keys of for_each."""
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


@dataclass(frozen=True, order=True)
class Root:
    """A root folder, as far as Checkov's record shows it."""

    relative: str
    """To the folder that Checkov scanned; `.` is that folder."""
    absolute: str
    """On the machine that ran Checkov; empty if unknown."""

    def __str__(self) -> str:
        return self.relative if self.relative != "." else (self.absolute or ".")


GivenRoots = Sequence[tuple[GivenState, frozenset[Root]]]
"""Each given state, with the roots that its folder may mean."""


def roots_of(codes: Iterable[CodeLocation]) -> frozenset[Root]:
    """The root folders of blocks, as far as they are known."""
    known = (_root_of(code) for code in codes if code.framework in FRAMEWORKS)
    return frozenset(root for root in known if root is not None)


def keys_of_code(
    given: Sequence[GivenState], codes: Iterable[CodeLocation]
) -> Mapping[CodeLocation, KeyArn | Unresolved]:
    """The key of each block that Checkov found, or why there is none.

    Raises BadInput for a state that owns none of its root's keys: it belongs to another root.
    """
    blocks = {code: _root_of(code) for code in codes if code.framework in FRAMEWORKS}
    roots = roots_of(blocks)
    given_roots = [(one, _matching(one.folder, roots)) for one in given]
    _reject_other_roots(given_roots, blocks)
    return {code: _key_of(code, root, given_roots) for code, root in blocks.items()}


def _key_of(code: CodeLocation, root: Root | None, given_roots: GivenRoots) -> KeyArn | Unresolved:
    if root is None:
        return Unresolved("Checkov's record does not name its module's root", _SCAN_PLAN)
    states = [given for given, roots in given_roots if root in roots]
    if not states:
        return Unresolved("no state of its root folder was given", _how_to_give_state(root))
    ambiguous = [given for given, roots in given_roots if root in roots and _several(roots)]
    if ambiguous:
        folders = tuple(
            sorted({str(r) for _, roots in given_roots if root in roots for r in roots})
        )
        return Unresolved(
            f"{ambiguous[0].state.file} may belong to several folders that Checkov scanned",
            f"give the folder's full path: --tfstate {root.absolute or root.relative}=FILE",
            folders,
        )
    exact = [(given.state, key) for given in states for key in given.exact(code)]
    if len(exact) == 1:
        return _arn(*exact[0])
    if exact:
        return Unresolved(
            "its address is in several states of its root folder",
            "give the state of one workspace only",
            tuple(f"{key.address} in {state.file}" for state, key in exact[:MOST_NAMED]),
        )
    near = [key.address for given in states for key in given.instances(code)]
    if any(_may_mean(code, address) for address in near):
        return Unresolved(
            "its address may mean any of several instances", _SCAN_PLAN, _listed(near)
        )
    files = ", ".join(given.state.file for given in states)
    others = ", only other instances of the block" if near else ""
    return Unresolved(
        f"{files} has no such address{others}",
        "apply the code, or give the state of its workspace",
        _listed(near),
    )


def _listed(addresses: Sequence[Address]) -> tuple[str, ...]:
    return tuple(str(address) for address in addresses[:MOST_NAMED])


def _may_mean(code: CodeLocation, address: Address) -> bool:
    """Whether a block's address is this instance's, or leaves out keys of it."""
    parsed = _parsed(code)
    return _address(code) == address.as_checkov_writes or (
        parsed is not None and parsed.may_be(address)
    )


def _parsed(code: CodeLocation) -> Address | None:
    try:
        return Address.parse(_address(code))
    except ValueError:
        return None


def _how_to_give_state(root: Root) -> str:
    if root.relative == ".":
        return "in that folder: terraform show -json > state.json; then add --tfstate state.json"
    folder = shlex.quote(root.relative)
    return (
        f"terraform -chdir={folder} show -json > state.json; "
        f"then add --tfstate {shlex.quote(f'{root.relative}=state.json')}"
    )


def _arn(state: State, key: OwnedKey) -> KeyArn | Unresolved:
    if key.arn is None:
        return Unresolved(
            f"{state.file} has no ARN for it", f"run terraform refresh, or {SCAN_WITH_PROWLER}"
        )
    return key.arn


def _address(code: CodeLocation) -> str:
    """Terraform's address. For JSON, Checkov 3.3.30 writes `resource.NAME`, without the type.

    CKV_AWS_227 gives no type, and checks only `aws_kms_key`.
    """
    name = code.address.removeprefix("resource.")
    if code.framework == "terraform_json" and name != code.address and "." not in name:
        return f"{code.resource_type or 'aws_kms_key'}.{name}"
    return code.address


def _reject_other_roots(
    given_roots: GivenRoots, blocks: Mapping[CodeLocation, Root | None]
) -> None:
    for given, roots in given_roots:
        here = [code for code, root in blocks.items() if root in roots]
        if not here or _several(roots) or given.state.empty:
            continue
        siblings = [other for other, theirs in given_roots if roots & theirs]
        if not any(
            other.exact(code) or other.instances(code) for code in here for other in siblings
        ):
            names = sorted({_address(code) for code in here})
            listed = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            where = ", ".join(sorted(posixpath.normpath(str(root)) for root in roots))
            raise BadInput(
                f"{given.state.file}: is not the state of {where}: it owns none of the keys that "
                f"Checkov found there ({listed}). Fix: give that root's state, or apply the code"
            )


def _root_of(code: CodeLocation) -> Root | None:
    """The root folder of a resource. None if the record does not name the root that calls it."""
    if not code.address.startswith("module."):
        relative = posixpath.normpath(posixpath.dirname(code.file.lstrip("/")))
        known = code.absolute_file is not None and posixpath.isabs(code.absolute_file)
        absolute = _folder(code.absolute_file or "") if known else ""
        return Root(relative, absolute)
    if code.root_file is None or code.absolute_file is None:
        return None
    absolute = _folder(code.root_file)
    scanned = _scanned(code.file, code.absolute_file, absolute)
    return None if scanned is None else Root(posixpath.relpath(absolute, scanned), absolute)


def _matching(folder: str | None, roots: Iterable[Root]) -> frozenset[Root]:
    """The roots that a state's folder may mean.

    A folder on this machine comes before one below what Checkov scanned. Without a folder, it is
    the scanned folder itself.
    """
    roots = frozenset(roots)
    here = posixpath.normpath(str(Path(folder or ".").absolute()))
    same = frozenset(root for root in roots if root.absolute == here)
    if posixpath.isabs(folder or ""):
        return same
    named = frozenset(r for r in roots if r.relative == posixpath.normpath(folder or "."))
    return same | frozenset(r for r in named if not r.absolute) if same else named


def _several(roots: Iterable[Root]) -> bool:
    """Whether these are certainly different folders: Checkov scanned more than one."""
    return len({root.absolute for root in roots if root.absolute}) > 1


def _folder(file: str) -> str:
    return posixpath.normpath(posixpath.dirname(file))


def _scanned(file: str, absolute_file: str, below: str) -> str | None:
    """The folder that Checkov scanned: the one below which `file` is `absolute_file`."""
    inside = file.lstrip("/")
    candidate = below
    while posixpath.normpath(posixpath.join(candidate, inside)) != posixpath.normpath(
        absolute_file
    ):
        if candidate in {"/", ""}:
            return None
        candidate = posixpath.dirname(candidate)
    return candidate


# --- plans ------------------------------------------------------------------------------------


Resource = tuple[str, str, str]
"""Results file, plan file and address."""


def planned_resource(finding: Finding) -> Resource | None:
    """The resource of a plan that a finding is about. None: the finding is not about a plan."""
    code = finding.code
    if code is None or code.framework != "terraform_plan":
        return None
    return finding.source, code.file, code.address


def keys_of_plans(findings: Iterable[Finding]) -> Mapping[Resource, KeyArn | Unresolved]:
    """The key of each resource that a plan keeps, or why there is none.

    Records of Checkov's own check have neither ARN nor actions; these come from the record of
    Keysweep's check for the same resource.
    """
    same: dict[Resource, list[Finding]] = {}
    for finding in findings:
        resource = planned_resource(finding)
        if resource is not None:
            same.setdefault(resource, []).append(finding)
    return {resource: _kept_key(records) for resource, records in same.items()}


def _kept_key(records: Sequence[Finding]) -> KeyArn | Unresolved:
    actions = {action for one in records if one.code is not None for action in one.code.actions}
    arns = {one.key_arn for one in records if one.key_arn is not None}
    if {"create", "delete"} <= actions:
        return Unresolved("the plan replaces its key", "apply that plan, then scan again")
    if "create" in actions:
        return Unresolved("the plan creates its key", "apply that plan, or discard it")
    if not actions <= KEEPING:
        return Unresolved("the plan does not keep its key", "apply that plan, then scan again")
    if len(arns) != 1:
        return Unresolved(
            "its record does not name the key",
            'scan the plan with --external-checks-dir "$(keysweep path checkov)", or '
            f"{SCAN_WITH_PROWLER}",
        )
    return arns.pop()
