"""Crossplane's managed resources: the key is named by the external name, where the manifest has it.

The annotation `crossplane.io/external-name` of the providers for AWS holds a key's id ("Managed
Resources", Crossplane documentation).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import yaml

from ..models import CodeLocation
from .leads import BY_PROWLER, Lead, Nowhere
from .lookup import at, text_at
from .written import CHANGED, text_of

GROUPS: Final = frozenset({"kms.aws.upbound.io", "kms.aws.m.upbound.io", "kms.aws.crossplane.io"})
"""API groups of the providers for AWS."""

_EXTERNAL_NAME: Final = "crossplane.io/external-name"


def lead(code: CodeLocation) -> Lead | Nowhere:
    """What the manifest says about its key."""
    text = text_of(code)
    if isinstance(text, Nowhere):
        return text
    try:
        same = [one for one in _resources(text) if _address(one) == code.address]
    except (yaml.YAMLError, ValueError, RecursionError):
        return CHANGED
    if len(same) != 1:
        return CHANGED
    name = text_at(same[0], "metadata", "annotations", _EXTERNAL_NAME)
    if name is None:
        return Nowhere(
            "its manifest does not say which key it is",
            f"write the annotation {_EXTERNAL_NAME}, as kubectl shows it, or {BY_PROWLER}",
        )
    return Lead(name, text_at(same[0], "spec", "forProvider", "region"))


def _resources(text: str) -> Iterator[object]:
    for document in yaml.safe_load_all(text):
        items = at(document, "items")
        for resource in items if isinstance(items, list) else [document]:
            group, _, _ = (text_at(resource, "apiVersion") or "").partition("/")
            if group in GROUPS:
                yield resource


def _address(resource: object) -> str:
    """As Checkov writes it."""
    namespace = text_at(resource, "metadata", "namespace") or "default"
    return ".".join(
        (text_at(resource, "kind") or "", namespace, text_at(resource, "metadata", "name") or "")
    )
