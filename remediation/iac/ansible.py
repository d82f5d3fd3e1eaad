"""Ansible's tasks of the KMS key module, which name a key by `key_id`, or by `alias` and `region`.

Parameters and their aliases: "amazon.aws.kms_key", Ansible's collection for AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from ..models import CodeLocation
from ..strict_yaml import YAML_ERRORS
from .key_names import FILE_CHANGED, SCAN_WITH_PROWLER, KeyName, Unresolved, source_text

MODULES: Final = ("amazon.aws.kms_key", "community.aws.aws_kms", "kms_key", "aws_kms")

_REGION: Final = ("region", "aws_region", "ec2_region")
_OTHER_ACCOUNT: Final = frozenset(
    {
        *("profile", "aws_profile", "access_key", "aws_access_key", "aws_access_key_id"),
        *("ec2_access_key", "session_token", "endpoint_url", "aws_endpoint_url", "ec2_url"),
    }
)
"""Parameters that may put the task's key into another account than that of the credentials."""


def key_name(code: CodeLocation) -> KeyName | Unresolved:
    """The key that a finding's task names."""
    text = source_text(code)
    if isinstance(text, Unresolved):
        return text
    try:
        tasks = [task for task in _tasks(text) if _is_at(task, code.first_line)]
    except YAML_ERRORS:
        return FILE_CHANGED
    if len(tasks) != 1:
        return FILE_CHANGED
    name = _texts(tasks[0]).get("name")
    named = any(f".{module}." in code.address for module in MODULES)
    # Checkov 3.3.30 has no name for a task in a section that its own checks do not visit.
    if named and name is not None and not code.address.endswith(f".{name}"):
        return FILE_CHANGED
    return _named(_parameters(tasks[0]))


def _named(parameters: Mapping[str, str]) -> KeyName | Unresolved:
    named = parameters.get("key_id") or parameters.get("alias")
    region = next((parameters[name] for name in _REGION if name in parameters), None)
    if named is None:
        return Unresolved("its task names neither key_id nor alias", SCAN_WITH_PROWLER)
    if any("{{" in word or "{%" in word for word in (named, region or "")):
        return Unresolved("its task uses a template for the key", SCAN_WITH_PROWLER)
    if named.startswith("arn:"):
        return KeyName(named, None)
    if _OTHER_ACCOUNT & parameters.keys():
        return Unresolved(
            "its task has its own credentials, so the key's account is unclear",
            f"set key_id to the key's ARN, or {SCAN_WITH_PROWLER}",
        )
    if "key_id" not in parameters and not named.startswith("alias/"):
        named = f"alias/{named}"  # as the module does
    return KeyName(named, region)


def _tasks(text: str) -> Iterator[yaml.MappingNode]:
    """Every mapping that has a KMS key module, at any depth; each node once."""
    todo: list[yaml.Node] = list(yaml.compose_all(text, yaml.SafeLoader))
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            todo.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            todo.extend(value for _, value in node.value)
            if any(_module(key) for key, _ in node.value):
                yield node


def _module(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value in MODULES


def _is_at(node: yaml.Node, line: int) -> bool:
    """Whether the node covers a line, counted from 1."""
    return bool(node.start_mark.line < line <= node.end_mark.line)


def _parameters(task: yaml.MappingNode) -> dict[str, str]:
    written = next(value for key, value in task.value if _module(key))
    more = next(
        (v for k, v in task.value if isinstance(k, yaml.ScalarNode) and k.value == "args"), None
    )
    return {**_texts(more), **_texts(written)}


def _texts(node: yaml.Node | None) -> dict[str, str]:
    """The names with plain values. Templates, lists and tagged secrets are left out."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {
        key.value: value.value
        for key, value in node.value
        if isinstance(key, yaml.ScalarNode)
        and isinstance(value, yaml.ScalarNode)
        and value.tag.startswith("tag:yaml.org,2002:")
        and value.tag != "tag:yaml.org,2002:null"
    }
