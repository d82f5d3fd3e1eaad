"""The states and stacks that the user gives, and what they say about findings and keys."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..aws import Accounts
from ..errors import AccountUnavailable, BadInput, InvariantError
from ..escape import path_text, short
from ..models import CodeLocation, Declaration, Finding, FindingStatus, KeyArn, Unmapped
from . import ansible, cloudformation, crossplane, fixes, terraform_findings
from .cloudformation import StackKey, StackOption, keys_of_templates, read_stack
from .key_names import SCAN_WITH_PROWLER, Unresolved
from .terraform_findings import (
    GivenState,
    Root,
    keys_of_code,
    keys_of_plans,
    planned_resource,
    roots_of,
)
from .terraform_states import State, read_state

CROSSPLANE: Final = frozenset({"kubernetes", "helm", "kustomize"})
"""Checkov's frameworks that check Crossplane's manifests."""


_KEYSWEEP: Final = "CKV_KEYSWEEP_"
"""Start of the ids of Keysweep's own checks, which say more of a block than CKV_AWS_227."""


@dataclass(frozen=True)
class Code:
    """The states and stacks that were read."""

    states: tuple[GivenState, ...] = ()
    stacks: tuple[StackKey, ...] = ()
    owns_resources: bool = False
    """Whether any of them owns a resource."""
    warnings: tuple[str, ...] = ()
    """For people."""

    def map_findings(self, findings: Sequence[Finding], accounts: Accounts) -> MappedFindings:
        """Find the key of every finding in code, or the reason why there is none.

        Raises BadInput for a state that is certainly of another root folder or account.
        """
        codes = [finding.code for finding in findings if finding.code is not None]
        keys: dict[CodeLocation, KeyArn | Unresolved] = {
            **keys_of_code(self.states, codes),
            **keys_of_templates(self.stacks, codes),
        }
        planned = keys_of_plans(findings)
        mapped: list[Finding] = []
        unresolved: dict[int, Unresolved] = {}
        for number, finding in enumerate(findings):
            if finding.code is None:
                mapped.append(finding)
                continue
            resource = planned_resource(finding)
            if resource is not None:
                key = planned[resource]
            else:
                if finding.code not in keys:
                    keys[finding.code] = _named_key(finding.code, accounts)
                key = keys[finding.code]
            if isinstance(key, Unresolved):
                unresolved[number] = key
            arn = None if isinstance(key, Unresolved) else key
            mapped.append(replace(finding, key_arn=arn))
        self._reject_other_accounts(mapped, accounts)
        return MappedFindings(tuple(mapped), unresolved, self)

    def _reject_other_accounts(self, findings: Iterable[Finding], accounts: Accounts) -> None:
        """Raise BadInput for a state of an account that the credentials cannot enter."""
        if accounts.changes_roles:
            return
        mapped = {f.key_arn for f in findings if f.code is not None and f.key_arn is not None}
        for given in self.states:
            arns = sorted(k.arn for k in given.state.keys if k.arn is not None and k.arn in mapped)
            if not arns:
                continue
            try:
                own = accounts.own_connection(arns[0].region).account_id
            except AccountUnavailable:
                continue  # each key's row reports it
            if all(arn.account_id != own for arn in arns):
                raise BadInput(
                    f"{given.state.file}: is a state of account {arns[0].account_id}, but the "
                    f"credentials belong to account {own}. Fix: give the state of {own}, use "
                    f"credentials of {arns[0].account_id}, or add --role-name"
                )


NO_CODE: Final = Code()
"""The user gave no code."""


@dataclass(frozen=True)
class MappedFindings:
    """Findings with their keys."""

    findings: tuple[Finding, ...]
    unresolved: Mapping[int, Unresolved]
    """Why a finding in code has no key, by its index in `findings`."""
    code: Code
    _locations: dict[KeyArn, list[CodeLocation]] = field(init=False, repr=False)
    _roots: frozenset[Root] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        locations: dict[KeyArn, list[CodeLocation]] = {}
        for finding in self.findings:
            if finding.code is not None and finding.key_arn is not None:
                locations.setdefault(finding.key_arn, []).append(finding.code)
        object.__setattr__(self, "_locations", locations)
        codes = (finding.code for finding in self.findings if finding.code is not None)
        object.__setattr__(self, "_roots", roots_of(codes))

    @property
    def unmapped(self) -> Iterable[Unmapped]:
        """The findings in code that have no key: one for each block, whatever checks found it.

        A failed finding comes before others, and one of Keysweep's check before CKV_AWS_227's.
        """
        chosen: dict[tuple[str, ...], int] = {}
        for number in sorted(self.unresolved, key=self._priority):
            chosen.setdefault(_block(self.findings[number]), number)
        for number in sorted(chosen.values()):
            why = self.unresolved[number]
            yield Unmapped(
                finding=self.findings[number],
                reason=why.reason,
                step=why.step,
                candidates=why.candidates,
            )

    def _priority(self, number: int) -> tuple[bool, bool, int]:
        finding = self.findings[number]
        return (
            finding.status is not FindingStatus.FAIL,
            not finding.check_id.startswith(_KEYSWEEP),
            number,
        )

    def declared_in(self, key: KeyArn) -> tuple[Declaration, ...]:
        """What declares the key: states, stacks, and the code of its findings."""
        locations = self._locations.get(key, [])
        found = [*self._in_states(key, locations), *self._in_stacks(key, locations)]
        tools = {declaration.tool for declaration in found}
        own = [_declared_by(code) for code in locations]
        found += [one for one in own if one is not None and one.tool not in tools]
        return tuple(dict.fromkeys(found))

    def _in_states(self, key: KeyArn, locations: Iterable[CodeLocation]) -> Iterable[Declaration]:
        codes = [p for p in locations if p.framework in terraform_findings.FRAMEWORKS]
        for given in self.code.states:
            for owned in given.state.keys:
                if owned.is_key(key):
                    yield _at(
                        given.blocks_of(owned, codes, self._roots),
                        Declaration(
                            tool="terraform",
                            owner=str(owned.address),
                            source=given.state.file,
                            fix=fixes.terraform(owned.address),
                        ),
                    )

    def _in_stacks(self, key: KeyArn, locations: Iterable[CodeLocation]) -> Iterable[Declaration]:
        templates = [p for p in locations if p.framework in cloudformation.FRAMEWORKS]
        for owned in self.code.stacks:
            if owned.arn == key:
                yield _at(
                    [code for code in templates if owned.declared_by(code)],
                    Declaration(
                        tool="cloudformation",
                        owner=owned.owner,
                        source=key.region,
                        fix=fixes.cloudformation(),
                    ),
                )


def _block(finding: Finding) -> tuple[str, ...]:
    """What distinguishes a declaration in code from others."""
    code = finding.code
    if code is None:
        raise InvariantError("a finding without code has no block")
    return (finding.source, code.framework, code.file, code.absolute_file or "", code.address)


def _at(locations: Sequence[CodeLocation], declaration: Declaration) -> Declaration:
    """The declaration, with file and line of a finding of it if there is one."""
    if not locations:
        return declaration
    file, line = locations[0].to_change
    return declaration.model_copy(update={"file": file, "line": line})


def read_code(states: Sequence[str], stacks: Sequence[str], accounts: Accounts) -> Code:
    """Read the values of `--tfstate [DIR=]FILE` and `--cfn-stack NAME[@REGION]`.

    Raises BadInput for a state that is not complete, and for a stack that cannot be read.
    """
    named = [StackOption.parse(text) for text in dict.fromkeys(stacks)]
    given = tuple(_given(text) for text in dict.fromkeys(states))
    read = {option: read_stack(option, accounts) for option in named}
    keys = [key for stack in read.values() for key in stack.keys]
    warnings = [warning for one in given for warning in _warnings(one.state)]
    warnings += [
        f"--cfn-stack {option.stack}: the stack owns nothing and is ignored. It may be deleted, or "
        "never created. Fix: name the stack that has the resources"
        for option, stack in read.items()
        if stack.empty
    ]
    empty = [one.state.empty for one in given] + [stack.empty for stack in read.values()]
    return Code(
        given,
        tuple(dict.fromkeys(keys)),
        owns_resources=not all(empty),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _warnings(state: State) -> Iterator[str]:
    """Warn of gaps in a state: without a warning, it would look as if no code owned a key."""
    file = short(path_text(state.file))
    if state.empty:
        yield (
            f"{file}: the state owns nothing and is ignored. It may be from the wrong folder "
            "or workspace. Fix: see terraform workspace list"
        )
    for key in state.keys:
        if key.arn is None and key.key_id is None:
            yield (
                f"{file}: does not name the key of {short(key.address)}. Fix: run terraform apply "
                "-refresh-only, and give the state again"
            )


def _given(text: str) -> GivenState:
    folder, equals, file = text.partition("=")
    if not equals or os.path.exists(text):  # noqa: PTH110 - Path.exists raises for some names
        return GivenState(None, read_state(Path(text)))
    if not folder or not file:
        raise BadInput(f"--tfstate {text!r}: expected FILE or DIR=FILE")
    return GivenState(folder, read_state(Path(file)))


def _named_key(code: CodeLocation, accounts: Accounts) -> KeyArn | Unresolved:
    """The key that a playbook or manifest names."""
    if code.framework == "ansible":
        name = ansible.key_name(code)
    elif code.framework in CROSSPLANE:
        name = crossplane.key_name(code)
    elif code.framework == "yaml":
        return Unresolved(
            "Pulumi's code does not name its key",
            f"find it with pulumi stack export, or {SCAN_WITH_PROWLER}",
        )
    else:
        return Unresolved(f"{code.framework} code does not name its key", SCAN_WITH_PROWLER)
    return name if isinstance(name, Unresolved) else name.resolve(accounts)


def _declared_by(code: CodeLocation) -> Declaration | None:
    """What owns a key according to a finding's code alone, without a state or stack."""
    if code.framework == "terraform_plan":
        tool, fix = "terraform", fixes.terraform_text(code.address)
    elif code.framework == "ansible":
        tool, fix = "ansible", fixes.ansible()
    elif code.framework in CROSSPLANE:
        tool, fix = "crossplane", fixes.crossplane()
    else:
        return None
    return Declaration.model_validate(
        {
            "tool": tool,
            # An expression instead of a name: a task that Checkov has no name for.
            "owner": code.position if code.address.startswith("[]") else code.address,
            "source": code.file,
            "file": code.file,
            "line": code.first_line or None,
            "fix": fix,
        }
    )
