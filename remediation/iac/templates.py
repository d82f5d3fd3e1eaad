"""From the logical ids that Checkov finds in templates to keys, by the stacks made from them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ..models import CodeLocation, KeyArn
from .leads import Nowhere
from .stacks import StackKey

STACKS: Final = frozenset({"cloudformation", "sam", "serverless"})
"""Checkov's frameworks whose resources are a stack's."""


def by_logical_ids(
    stacks: Sequence[StackKey], codes: Iterable[CodeLocation]
) -> Mapping[CodeLocation, KeyArn | Nowhere]:
    """The key of each resource that Checkov found in a template, or why there is none."""
    codes = [code for code in dict.fromkeys(codes) if code.framework in STACKS]
    files: dict[str, set[str]] = {}
    for code in codes:
        files.setdefault(code.address, set()).add(code.file)
    owned: dict[str, list[StackKey]] = {}
    for key in stacks:
        owned.setdefault(f"{key.resource_type}.{key.logical_id}", []).append(key)
    return {code: _one(code, owned, files[code.address]) for code in codes}


def _one(
    code: CodeLocation, owned: Mapping[str, Sequence[StackKey]], files: Iterable[str]
) -> KeyArn | Nowhere:
    option = f"--cfn-stack {code.file.lstrip('/')}=NAME[@REGION]"
    keys = [
        key
        for key in owned.get(code.address, ())
        if key.template is None or _is_file(key.template, code)
    ]
    if not keys:
        return Nowhere("no stack that has it was given", "add --cfn-stack NAME[@REGION]")
    candidates = tuple(sorted({f"{key.owner}: {key.arn}" for key in keys}))
    if len({key.arn for key in keys}) > 1:
        return Nowhere("several stacks have it", f"give one alone: {option}", candidates)
    if len(set(files)) > 1 and all(key.template is None for key in keys):
        return Nowhere(
            "several templates have it, and the stack may be made from any",
            f"say which is which: {option}",
            candidates,
        )
    return keys[0].arn


def _is_file(template: str, code: CodeLocation) -> bool:
    """Whether the user means this file: as Checkov shows it, or where it lies."""
    if os.path.normpath(template.lstrip("/")) == os.path.normpath(code.file.lstrip("/")):
        return True
    return code.absolute_file is not None and code.absolute_file == str(Path(template).absolute())
