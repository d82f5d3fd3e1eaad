"""Sentences for people, on standard error."""

from __future__ import annotations

import click

from ..report.neutral import plain


def say(sentence: str) -> None:
    """Tell a person one sentence, whatever stands in the names that it holds."""
    click.echo(f"keysweep: {plain(sentence)}", err=True)
