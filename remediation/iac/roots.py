"""Which root folder of Terraform a finding is of, and which state is that folder's.

An address means something within its root alone: two roots of one repository may both have an
`aws_kms_key.main`, and they are different keys.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..models import CodeLocation


@dataclass(frozen=True, order=True)
class Root:
    """A root folder, as far as Checkov's record says it."""

    shown: str
    """Relative to the folder that Checkov scanned; `.` is that folder."""
    absolute: str
    """On the machine that ran Checkov; empty where it is not known."""

    def __str__(self) -> str:
        return self.shown if self.shown != "." else (self.absolute or ".")


def root_of(code: CodeLocation) -> Root | None:
    """The root folder of a resource; None when the record does not say which root calls it."""
    if not code.address.startswith("module."):
        shown = posixpath.normpath(posixpath.dirname(code.file.lstrip("/")))
        known = code.absolute_file is not None and posixpath.isabs(code.absolute_file)
        absolute = _folder(code.absolute_file or "") if known else ""
        return Root(shown, absolute)
    if code.root_file is None or code.absolute_file is None:
        return None
    absolute = _folder(code.root_file)
    scanned = _scanned(code.file, code.absolute_file, absolute)
    return None if scanned is None else Root(posixpath.relpath(absolute, scanned), absolute)


def chosen(folder: str | None, roots: Iterable[Root]) -> frozenset[Root]:
    """The roots that a state's folder names; see `several`.

    A folder on this machine comes first, then one below what Checkov scanned. Without a name it is
    the scanned folder itself.
    """
    roots = frozenset(roots)
    here = posixpath.normpath(str(Path(folder or ".").absolute()))
    there = frozenset(root for root in roots if root.absolute == here)
    if posixpath.isabs(folder or ""):
        return there
    named = frozenset(r for r in roots if r.shown == posixpath.normpath(folder or "."))
    return there | frozenset(r for r in named if not r.absolute) if there else named


def several(roots: Iterable[Root]) -> bool:
    """Whether these are certainly different folders: Checkov was given more than one to scan."""
    return len({root.absolute for root in roots if root.absolute}) > 1


def _folder(file: str) -> str:
    return posixpath.normpath(posixpath.dirname(file))


def _scanned(file: str, absolute_file: str, below: str) -> str | None:
    """The folder that Checkov scanned: below it, `file` is `absolute_file`."""
    inside = file.lstrip("/")
    candidate = below
    while posixpath.normpath(posixpath.join(candidate, inside)) != posixpath.normpath(
        absolute_file
    ):
        if candidate in {"/", ""}:
            return None
        candidate = posixpath.dirname(candidate)
    return candidate
