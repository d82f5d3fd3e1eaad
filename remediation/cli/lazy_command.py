"""Commands of which the list of commands knows name and summary; the rest is imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ..errors import InvariantError


class LazyCommand(click.Command):
    """Stands in a group for `NAME` of the module `NAME` beside this one.

    click makes a command's context before anything else is asked of it, to run it, to show its help
    and to complete its options; so that is where the real one takes over.
    """

    def __init__(self, name: str, summary: str) -> None:
        """`summary` is what the list of commands says."""
        super().__init__(name, short_help=summary)

    def load(self) -> click.Command:
        """The command itself."""
        command = getattr(import_module(f".{self.name}", __package__), str(self.name))
        if not isinstance(command, click.Command):
            raise InvariantError(f"{self.name} is no command")
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
