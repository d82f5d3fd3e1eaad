"""Ansible's tasks of the KMS key module: the key is named by `key_id`, or by `alias` and `region`.

Names of parameters and their aliases: "amazon.aws.kms_key", Ansible's collection for AWS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from ..models import CodeLocation
from .leads import BY_PROWLER, Lead, Nowhere
from .written import CHANGED, text_of

MODULES: Final = ("amazon.aws.kms_key", "community.aws.aws_kms", "kms_key", "aws_kms")

_REGION: Final = ("region", "aws_region", "ec2_region")
_OTHER_ACCOUNT: Final = frozenset(
    {
        *("profile", "aws_profile", "access_key", "aws_access_key", "aws_access_key_id"),
        *("ec2_access_key", "session_token", "endpoint_url", "aws_endpoint_url", "ec2_url"),
    }
)
"""Parameters with which the task may be about another account than the credentials here."""


def lead(code: CodeLocation) -> Lead | Nowhere:
    """What the task says about its key."""
    text = text_of(code)
    if isinstance(text, Nowhere):
        return text
    try:
        tasks = [task for task in _tasks(text) if _is_at(task, code.first_line)]
    except (yaml.YAMLError, RecursionError):
        return CHANGED
    if len(tasks) != 1:
        return CHANGED
    name = _texts(tasks[0]).get("name")
    if name is not None and not code.address.endswith(f".{name}"):
        return CHANGED
    return _lead(_parameters(tasks[0]))


def _lead(parameters: Mapping[str, str]) -> Lead | Nowhere:
    named = parameters.get("key_id") or parameters.get("alias")
    region = next((parameters[name] for name in _REGION if name in parameters), None)
    if named is None:
        return Nowhere("its task names neither key_id nor alias", BY_PROWLER)
    if any("{{" in word or "{%" in word for word in (named, region or "")):
        return Nowhere("its task names the key by a template", BY_PROWLER)
    if named.startswith("arn:"):
        return Lead(named, None)
    if _OTHER_ACCOUNT & parameters.keys():
        return Nowhere(
            "its task brings credentials of its own, so the key's account is not known",
            f"give the key's ARN as key_id, or {BY_PROWLER}",
        )
    if "key_id" not in parameters and not named.startswith("alias/"):
        named = f"alias/{named}"  # as the module does
    return Lead(named, region)


def _tasks(text: str) -> Iterator[yaml.MappingNode]:
    """Every mapping with a KMS key module, wherever it stands; each node once."""
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
    """The names with plain values; templates, lists and tagged secrets have none."""
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
