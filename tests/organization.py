"""The template of policies/organization, as tests read it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from keysweep.remediation.policy import policies_folder

FOLDER = Path(str(policies_folder())) / "organization"
TEMPLATE = FOLDER / "organization.yaml"
DOCKERFILE = FOLDER / "Dockerfile"
ENTRY_POINT = FOLDER / "task.py"

_LITERAL = re.compile(r"'([^']*)'")
_NO_VALUE = object()


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


class Deployment:
    """What CloudFormation makes of the template, for the parts that the embedded AWS runs.

    moto's CloudFormation reads no task roles and no definitions with substitutions.
    """

    def __init__(self, account: str, region: str, given: Mapping[str, str]) -> None:
        document = template()
        defaults = {
            name: one["Default"] for name, one in document["Parameters"].items() if "Default" in one
        }
        self._values: dict[str, Any] = {
            **{name: str(value) for name, value in {**defaults, **given}.items()},
            "AWS::AccountId": account,
            "AWS::Region": region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NO_VALUE,
        }
        for name, one in document["Parameters"].items():
            if "List" in one["Type"]:
                self._values[name] = self._values[name].split(",")
        self._conditions = document["Conditions"]
        self._demand_rules(document["Rules"])
        self._resources = {
            name: one
            for name, one in document["Resources"].items()
            if "Condition" not in one or self._holds(one["Condition"])
        }
        self._ecs = f"arn:aws:ecs:{region}:{account}"
        self.tasks = {
            name: self._resolved(one["Properties"])
            for name, one in self._resources.items()
            if one["Type"] == "AWS::ECS::TaskDefinition"
        }
        self.roles = {
            name: self._policies(one["Properties"])
            for name, one in self._resources.items()
            if one["Type"] == "AWS::IAM::Role"
        }
        self.machine = self._resolved(self._resources["StateMachine"]["Properties"])
        self.name = str(self._values["Name"])
        (self.image,) = {one["ContainerDefinitions"][0]["Image"] for one in self.tasks.values()}

    def definition(self) -> str:
        """The definition with its substitutions."""
        substitutions = self.machine["DefinitionSubstitutions"]
        return re.sub(
            r"\$\{(\w+)\}",
            lambda match: str(substitutions[match[1]]),
            json.dumps(self.machine["Definition"]),
        )

    def make(self, client: Callable[[str], Any]) -> str:
        """Make bucket, cluster, task definitions and state machine; the ARN of the last."""
        client("s3").create_bucket(
            Bucket=self._values["Bucket"],
            CreateBucketConfiguration={"LocationConstraint": self._values["AWS::Region"]},
        )
        ecs = client("ecs")
        ecs.create_cluster(clusterName=self.name)
        for task in self.tasks.values():
            ecs.register_task_definition(**_camel(task))
        made = client("stepfunctions").create_state_machine(
            name=self.name, definition=self.definition(), roleArn=self.machine["RoleArn"]
        )
        return str(made["stateMachineArn"])

    def _policies(self, role: Any) -> list[Any]:
        """The inline and managed policies of a role."""
        managed = self._resolved(role.get("ManagedPolicyArns", []))
        managed = [] if managed is _NO_VALUE else managed
        return [
            self._resolved(one["PolicyDocument"])
            for one in (
                *role["Policies"],
                *(self._resources[name]["Properties"] for name in managed),
            )
        ]

    def _demand_rules(self, rules: Any) -> None:
        """Raise ValueError if the parameters break a rule."""
        for name, rule in rules.items():
            if self._holds(rule["RuleCondition"]) and not all(
                self._holds(one["Assert"]) for one in rule["Assertions"]
            ):
                raise ValueError(name)

    def _holds(self, condition: Any) -> bool:
        if isinstance(condition, str):
            return self._holds(self._conditions[condition])
        ((name, given),) = condition.items()
        if name == "Condition":
            return self._holds(given)
        if name == "Fn::Equals":
            left, right = self._resolved(given)
            return bool(left == right)
        held = [self._holds(one) for one in given]
        return {"Fn::Not": not held[0], "Fn::And": all(held)}[name]

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            found = [self._resolved(one) for one in value]
            return [one for one in found if one is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        name, given = next(iter(value.items()), ("", None))
        if name == "Fn::If":
            return self._resolved(given[1 if self._holds(given[0]) else 2])
        if name == "Fn::Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda match: str(self._ref(match[1])), given)
        if name == "Ref":
            return self._ref(given)
        if name == "Fn::GetAtt":
            return self._arn(given[0])
        if name == "Fn::Join":
            return given[0].join(self._resolved(given[1]))
        resolved = {key: self._resolved(one) for key, one in value.items()}
        return {key: one for key, one in resolved.items() if one is not _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        if self._resources[name]["Type"] == "AWS::ECS::TaskDefinition":
            family = self._resolved(self._resources[name]["Properties"]["Family"])
            return f"{self._ecs}:task-definition/{family}:1"
        return name

    def _arn(self, name: str) -> str:
        if self._resources[name]["Type"] == "AWS::IAM::Role":
            return f"arn:aws:iam::{self._values['AWS::AccountId']}:role/{name}"
        return f"{self._ecs}:cluster/{self._values['Name']}" if name == "Cluster" else name


def _camel(value: Any) -> Any:
    """CloudFormation's names as those of the API, but for the options of a log driver."""
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {f"{name[0].lower()}{name[1:]}": _camel(one) for name, one in value.items()}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their arguments."""
    lines = DOCKERFILE.read_text(encoding="utf-8").splitlines()
    return [
        (line.partition(" ")[0], line.partition(" ")[2])
        for line in lines
        if line and not line.startswith("#")
    ]
