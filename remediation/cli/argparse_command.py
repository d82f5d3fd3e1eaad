"""Commands that must work without click: here it learns their parameters, and no more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from .. import standalone
from ..parameters import Parameter


class ArgparseCommand(click.Command):
    """Completes what argparse will parse, and hands everything over as it was typed."""

    def __init__(
        self, name: str, parameters: Iterable[Parameter], about: str, example: str
    ) -> None:
        """`parameters`, and the words of its help, are those that argparse gets."""
        super().__init__(
            name,
            params=[parameter(*one) for one in parameters],
            help=f"{about}\n\nExample: {example}",
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Only completion needs anything parsed here."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> int:
        """Let it be answered where no library is needed."""
        return standalone.main([str(self.name), *ctx.args])


def parameter(names: tuple[str, ...], settings: dict[str, Any], **more: Any) -> click.Parameter:
    """The argument or option that argparse would make of this; `more` is for click alone."""
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
