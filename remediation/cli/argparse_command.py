"""Commands that argparse runs, so that they work without click; here for completion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from .. import standalone
from ..parameters import Parameter


class ArgparseCommand(click.Command):
    """Complete the parameters, and pass the arguments on unparsed."""

    def __init__(
        self, name: str, parameters: Iterable[Parameter], about: str, example: str
    ) -> None:
        """`parameters`, `about` and `example` are those of argparse."""
        super().__init__(
            name,
            params=[parameter(*one) for one in parameters],
            help=f"{about}\n\nExample: {example}",
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse for completion only."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> int:
        """Run the command with the standard library only."""
        return standalone.main([str(self.name), *ctx.args])


def parameter(names: tuple[str, ...], settings: dict[str, Any], **more: Any) -> click.Parameter:
    """The click parameter for an argparse declaration; `more` is for click only."""
    choices = settings.get("choices")
    kind = click.Choice(choices) if choices else click.Path() if "metavar" in settings else None
    if not names[0].startswith("-"):
        return click.Argument(names, type=kind, required=settings.get("nargs") != "?")
    if settings.get("action") == "store_true":
        return click.Option(names, is_flag=True, help=settings["help"], **more)
    return click.Option(
        names,
        type=kind,
        metavar=settings.get("metavar"),
        help=settings.get("help"),
        default=settings.get("default"),
        is_flag=False,
        flag_value=settings.get("const"),
        **more,
    )
