"""Code and stacks that declare a key."""

from __future__ import annotations

from typing import Literal

from .base import Model


class Declaration(Model):
    """Infrastructure code or a stack that declares the key."""

    tool: Literal["terraform", "cloudformation", "ansible", "crossplane"]
    """Tool of the code or stack; it determines the content of `owner` and `source`."""
    owner: str
    """Resource address, or stack name and logical ID."""
    source: str
    """State file, Region of the stack, or code."""
    file: str | None = None
    """File of the declaration, as Checkov reports it, if a finding names it. For a Terraform
    module, the file of its call."""
    line: int | None = None
    """First line of the declaration in that file, or None if no finding names it."""
    fix: str
    """What to do there before the key is deleted."""

    @property
    def position(self) -> str:
        """File and line, as far as they are known."""
        return str(self.file) if not self.line else f"{self.file}:{self.line}"


class Declarations(Model):
    """Declarations of the key in the code and stacks that were read."""

    found: tuple[Declaration, ...] = ()
    """Empty: none found in the code that was given."""
