"""Crossplane's managed resources: the key is named by the external name, if the manifest has it.

The annotation `crossplane.io/external-name` of the AWS providers holds a key's id ("Managed
Resources", Crossplane documentation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import yaml

from ..models import CodeLocation
from ..strict_yaml import YAML_ERRORS
from .key_names import FILE_CHANGED, SCAN_WITH_PROWLER, KeyName, Unresolved, source_text

GROUPS: Final = frozenset({"kms.aws.upbound.io", "kms.aws.m.upbound.io", "kms.aws.crossplane.io"})
"""API groups of the AWS providers."""

_EXTERNAL_NAME: Final = "crossplane.io/external-name"


def key_name(code: CodeLocation) -> KeyName | Unresolved:
    """The key that a finding's manifest names."""
    text = source_text(code)
    if isinstance(text, Unresolved):
        return text
    try:
        same = [one for one in _resources(text) if _address(one) == code.address]
    except YAML_ERRORS:
        return FILE_CHANGED
    if len(same) != 1:
        return FILE_CHANGED
    name = _text_at(same[0], "metadata", "annotations", _EXTERNAL_NAME)
    if name is None:
        return Unresolved(
            "its manifest does not name the key",
            f"add the annotation {_EXTERNAL_NAME} that kubectl shows, or {SCAN_WITH_PROWLER}",
        )
    return KeyName(name, _text_at(same[0], "spec", "forProvider", "region"))


def _resources(text: str) -> Iterator[object]:
    for document in yaml.safe_load_all(text):
        items = _at(document, "items")
        for resource in items if isinstance(items, list) else [document]:
            group, _, _ = (_text_at(resource, "apiVersion") or "").partition("/")
            if group in GROUPS:
                yield resource


def _address(resource: object) -> str:
    """The resource's address in Checkov's form."""
    namespace = _text_at(resource, "metadata", "namespace") or "default"
    return ".".join(
        (_text_at(resource, "kind") or "", namespace, _text_at(resource, "metadata", "name") or "")
    )


def _at(value: object, *names: str) -> object:
    """The value below these names, or None where the shape differs."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def _text_at(value: object, *names: str) -> str | None:
    """The same for text that is not empty."""
    found = _at(value, *names)
    return found if isinstance(found, str) and found else None
