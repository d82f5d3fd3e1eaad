"""Commands that are imported on use; the list of commands needs their names and summaries."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ..errors import InvariantError


class LazyCommand(click.Command):
    """A placeholder for the attribute `NAME` of the module `NAME` in this package.

    click makes a command's context before it runs, shows help or completes options, so the real
    command takes over there.
    """

    def __init__(self, name: str, summary: str) -> None:
        """`summary` is the text in the list of commands."""
        super().__init__(name, short_help=summary)

    def load(self) -> click.Command:
        """The command itself."""
        command = getattr(import_module(f".{self.name}", __package__), str(self.name))
        if not isinstance(command, click.Command):
            raise InvariantError(f"{self.name} is not a command")
        return command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the real command."""
        return self.load().make_context(info_name, args, parent, **extra)
