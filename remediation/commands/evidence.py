"""The policy that judges, and the collector that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import policy as policy_stage
from ..aws import Accounts
from ..evidence import SOURCES, Collector
from ..evidence.lake import StoreArn, lake_sources
from ..policy import Policy


def policy_to_use(
    path: Path | None, window: int | None = None, max_keys: int | None = None
) -> Policy:
    """The policy of a file, or the shipped one, with what the options set instead."""
    policy = policy_stage.load(path)
    if max_keys is not None:
        policy = policy.model_copy(update={"max_keys": max_keys})
    return policy if window is None else policy.with_window(window)


def collector_asking(
    accounts: Accounts,
    cloudtrail_lake: str | None = None,
    *,
    step: Callable[[str], None] = lambda words: None,
) -> Collector:
    """Asks the event history, or the given event data store, and tells `step` what it reads."""
    lake = {} if cloudtrail_lake is None else lake_sources(StoreArn.parse(cloudtrail_lake))

    def progress(piece: str, keys: int) -> None:
        step(f"reading {piece.replace('_', ' ')}, {keys} keys")

    return Collector(accounts, progress=progress, sources={**SOURCES, **lake})
