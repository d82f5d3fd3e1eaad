"""The code that the user gave to look keys up in, and what it says about findings and keys."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..aws import Accounts
from ..errors import AccountUnavailable, BadInput
from ..escape import path_text, short
from ..models import CodeLocation, Declaration, Finding, KeyArn, Unmapped
from . import ansible, crossplane, fixes
from .leads import BY_PROWLER, Nowhere
from .plans import in_plans, resource_of
from .stacks import StackKey, StackOption, read_stack
from .states import FRAMEWORKS, GivenState, by_addresses
from .templates import STACKS, by_logical_ids
from .tfstate import State, read_state

CROSSPLANE: Final = frozenset({"kubernetes", "helm", "kustomize"})
"""Checkov's frameworks that judge manifests of Crossplane."""


@dataclass(frozen=True)
class Code:
    """States and stacks that were read."""

    states: tuple[GivenState, ...] = ()
    stacks: tuple[StackKey, ...] = ()
    looked_at: bool = False
    """Whether the user gave any that owns something."""
    warnings: tuple[str, ...] = ()
    """What a person has to know about them, as sentences."""

    def trace(self, findings: Sequence[Finding], accounts: Accounts) -> Traced:
        """Lead every finding of code to its key, or say why not.

        Raises BadInput when a state is certainly not the one of its root folder, or not one of the
        account that the credentials are of.
        """
        codes = [finding.code for finding in findings if finding.code is not None]
        led: dict[CodeLocation, KeyArn | Nowhere] = {
            **by_addresses(self.states, codes),
            **by_logical_ids(self.stacks, codes),
        }
        planned = in_plans(findings)
        found: list[Finding] = []
        nowhere: dict[int, Nowhere] = {}
        for number, finding in enumerate(findings):
            if finding.code is None:
                found.append(finding)
                continue
            resource = resource_of(finding)
            if resource is not None:
                key = planned[resource]
            else:
                if finding.code not in led:
                    led[finding.code] = _followed(finding.code, accounts)
                key = led[finding.code]
            if isinstance(key, Nowhere):
                nowhere[number] = key
            arn = None if isinstance(key, Nowhere) else key
            found.append(replace(finding, key_arn=arn))
        self._refuse_other_accounts(found, accounts)
        return Traced(tuple(found), nowhere, self)

    def _refuse_other_accounts(self, findings: Iterable[Finding], accounts: Accounts) -> None:
        """A state of another account than the credentials', when none other can be entered."""
        if accounts.changes_roles:
            return
        led = {f.key_arn for f in findings if f.code is not None and f.key_arn is not None}
        for given in self.states:
            arns = sorted(k.arn for k in given.state.keys if k.arn is not None and k.arn in led)
            if not arns:
                continue
            try:
                own = accounts.own_connection(arns[0].region).account_id
            except AccountUnavailable:
                continue  # the row of each key says so
            if all(arn.account_id != own for arn in arns):
                raise BadInput(
                    f"{given.state.file}: is a state of account {arns[0].account_id}, and the "
                    f"credentials are of account {own}; give the state of {own}, credentials of "
                    f"{arns[0].account_id}, or --role-name"
                )


NOTHING: Final = Code()
"""No code was given."""


@dataclass(frozen=True)
class Traced:
    """Findings with the keys that they lead to."""

    findings: tuple[Finding, ...]
    nowhere: Mapping[int, Nowhere]
    """Why a finding of code leads to no key, by its position in `findings`."""
    code: Code
    _places: dict[KeyArn, list[CodeLocation]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places: dict[KeyArn, list[CodeLocation]] = {}
        for finding in self.findings:
            if finding.code is not None and finding.key_arn is not None:
                places.setdefault(finding.key_arn, []).append(finding.code)
        object.__setattr__(self, "_places", places)

    @property
    def unmapped(self) -> Iterable[Unmapped]:
        """The findings of code that lead to no key."""
        for number, nowhere in self.nowhere.items():
            yield Unmapped(
                finding=self.findings[number],
                reason=nowhere.reason,
                step=nowhere.step,
                candidates=nowhere.candidates,
            )

    def declared_in(self, key: KeyArn) -> tuple[Declaration, ...]:
        """Who declares the key: in all states and stacks, and in the code of the findings."""
        places = self._places.get(key, [])
        found = [*self._in_states(key, places), *self._in_stacks(key, places)]
        tools = {declaration.tool for declaration in found}
        own = [_in_its_own_words(code) for code in places]
        found += [one for one in own if one is not None and one.tool not in tools]
        return tuple(dict.fromkeys(found))

    def _in_states(self, key: KeyArn, places: Iterable[CodeLocation]) -> Iterable[Declaration]:
        blocks = [p for p in places if p.framework in FRAMEWORKS]
        for given in self.code.states:
            for owned in given.state.keys:
                if owned.is_key(key):
                    yield _at(
                        blocks,
                        Declaration(
                            tool="terraform",
                            owner=str(owned.address),
                            source=given.state.file,
                            fix=fixes.terraform(owned.address),
                        ),
                    )

    def _in_stacks(self, key: KeyArn, places: Iterable[CodeLocation]) -> Iterable[Declaration]:
        templates = [place for place in places if place.framework in STACKS]
        for owned in self.code.stacks:
            if owned.arn == key:
                yield _at(
                    templates,
                    Declaration(
                        tool="cloudformation",
                        owner=owned.owner,
                        source=key.region,
                        fix=fixes.cloudformation(),
                    ),
                )


def _at(places: Sequence[CodeLocation], declaration: Declaration) -> Declaration:
    """The declaration with the file and line where a finding of this key has them."""
    if not places:
        return declaration
    where = {"file": places[0].file, "line": places[0].first_line}
    return declaration.model_copy(update=where)


def look_at(states: Sequence[str], stacks: Sequence[str], accounts: Accounts) -> Code:
    """Read what the options `--tfstate [DIR=]FILE` and `--cfn-stack NAME[@REGION]` name.

    Raises BadInput for whatever is no whole state, and for a stack that cannot be read.
    """
    named = [StackOption.parse(text) for text in dict.fromkeys(stacks)]
    given = tuple(_given(text) for text in dict.fromkeys(states))
    read = {option: read_stack(option, accounts) for option in named}
    keys = [key for stack in read.values() for key in stack.keys]
    warnings = [warning for one in given for warning in _doubts(one.state)]
    warnings += [
        f"--cfn-stack {option.stack}: the stack owns nothing: deleted, or never created? It does "
        "not count as code; name the stack that has the resources"
        for option, stack in read.items()
        if stack.empty
    ]
    empty = [one.state.empty for one in given] + [stack.empty for stack in read.values()]
    return Code(
        given,
        tuple(dict.fromkeys(keys)),
        looked_at=not all(empty),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def _doubts(state: State) -> Iterator[str]:
    """What a state leaves open: its silence must not read as "no code owns the key"."""
    file = short(path_text(state.file))
    if state.empty:
        yield (
            f"{file}: the state owns nothing: wrong folder or workspace? It does not count as "
            "code; compare with terraform workspace list"
        )
    for key in state.keys:
        if key.arn is None and key.key_id is None:
            yield (
                f"{file}: does not say which key {short(key.address)} is; run terraform apply "
                "-refresh-only and give the state again"
            )


def _given(text: str) -> GivenState:
    folder, equals, file = text.partition("=")
    if not equals or os.path.exists(text):  # noqa: PTH110 - Path.exists raises on odd names
        return GivenState(None, read_state(Path(text)))
    if not folder or not file:
        raise BadInput(f"--tfstate {text!r}: write it as FILE, or as DIR=FILE")
    return GivenState(folder, read_state(Path(file)))


def _followed(code: CodeLocation, accounts: Accounts) -> KeyArn | Nowhere:
    """The key that a playbook or manifest names itself."""
    if code.framework == "ansible":
        lead = ansible.lead(code)
    elif code.framework in CROSSPLANE:
        lead = crossplane.lead(code)
    elif code.framework == "yaml":
        return Nowhere(
            "Pulumi's code does not say which key it is",
            f"look it up with pulumi stack export, or {BY_PROWLER}",
        )
    else:
        return Nowhere(f"nothing leads from {code.framework} to a key", BY_PROWLER)
    return lead if isinstance(lead, Nowhere) else lead.follow(accounts)


def _in_its_own_words(code: CodeLocation) -> Declaration | None:
    """What owns a key according to the code of a finding alone, without state or stack."""
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
            "owner": code.address,
            "source": code.file,
            "file": code.file,
            "line": code.first_line,
            "fix": fix,
        }
    )
