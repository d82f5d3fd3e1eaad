"""The template of policies/organization, as tests read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from keysweep.remediation.policy import policies_folder

FOLDER = Path(str(policies_folder())) / "organization"
TEMPLATE = FOLDER / "organization.yaml"
DOCKERFILE = FOLDER / "Dockerfile"
ENTRY_POINT = FOLDER / "task.py"

_LITERAL = re.compile(r"'([^']*)'")


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their full ones."""


def _function(loader: yaml.Loader, name: str, node: yaml.Node) -> Any:
    full = name if name in {"Ref", "Condition"} else f"Fn::{name}"
    if isinstance(node, yaml.SequenceNode):
        return {full: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    value = loader.construct_scalar(node)
    return {full: value.split(".", 1) if name == "GetAtt" else value}


_Loader.add_multi_constructor("!", _function)  # type: ignore[no-untyped-call]


def template() -> Any:
    """The template with full functions."""
    return yaml.load(TEMPLATE.read_text(encoding="utf-8"), _Loader)


def states(machine: Any) -> dict[str, Any]:
    """All states of a state machine, those of its Map too, by name."""
    found: dict[str, Any] = dict(machine["States"])
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            found |= states(state["ItemProcessor"])
    return found


def commands() -> dict[str, list[str]]:
    """The words of each task's command, by state; `{}` for what is filled in."""
    machine = template()["Resources"]["StateMachine"]["Properties"]["Definition"]
    return {
        name: _LITERAL.findall(
            state["Parameters"]["Overrides"]["ContainerOverrides"][0]["Command.$"]
        )
        for name, state in states(machine).items()
        if "Overrides" in state.get("Parameters", {})
    }


def deployable() -> str:
    """The template as JSON with the definition as one string, which is all that moto reads.

    CloudFormation replaces `${name}` in the definition by DefinitionSubstitutions as Fn::Sub does.
    """
    document = template()
    properties = document["Resources"]["StateMachine"]["Properties"]
    text = json.dumps(_without_sub(properties.pop("Definition")))
    properties["DefinitionString"] = {"Fn::Sub": [text, properties.pop("DefinitionSubstitutions")]}
    return json.dumps(document)


def _without_sub(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_sub(one) for one in value]
    if isinstance(value, dict):
        if set(value) == {"Fn::Sub"}:
            return value["Fn::Sub"]
        return {name: _without_sub(one) for name, one in value.items()}
    return value


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments."""
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    return [
        (line.partition(" ")[0], line.partition(" ")[2])
        for line in lines
        if line and not line.startswith("#")
    ]
