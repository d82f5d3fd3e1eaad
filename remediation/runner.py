"""Process many keys concurrently: account-Regions side by side, one row for every key.

An error with a key becomes the row of that key. A run that is to stop starts no further key
and finishes those in flight.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from .aws.concurrency import ACCOUNT_REGIONS, keys_at_a_time
from .errors import RUN_AGAIN
from .journal import JournalFailed
from .models import AccountRegion, KeyArn

_log: Final = logging.getLogger(__name__)


class HasKey(Protocol):
    """Anything that belongs to one key."""

    @property
    def key_arn(self) -> KeyArn: ...


class Stop:
    """Request to end a run early. Thread-safe; the first reason counts."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self.message = ""
        """Why the run ends early, and how to fix it."""

    def request(self, reason: str, fix: str = RUN_AGAIN) -> None:
        """Start no further key, for this reason."""
        if not self._requested.is_set():
            self.message = f"{reason}. Fix: {fix}"
            self._requested.set()

    @property
    def requested(self) -> bool:
        """Whether no further key may be started."""
        return self._requested.is_set()


class Stopped(Exception):
    """The run stopped before this key was changed."""


Item = TypeVar("Item", bound=HasKey)
Row = TypeVar("Row")


def each_key(
    items: Sequence[Item],
    work: Callable[[Item], Row],
    failed: Callable[[KeyArn, str], Row],
    *,
    stop: Stop | None = None,
    done: Callable[[Row], None] = lambda row: None,
) -> tuple[Row, ...]:
    """The row of every item, in their order.

    `failed` makes the row of a key that could not be processed; `done` is called with each row,
    from any thread. A journal that cannot be written stops the run.
    """
    stop = stop or Stop()
    arns = [item.key_arn for item in items]
    by_account_region: dict[AccountRegion, list[int]] = {}
    for number, arn in enumerate(arns):
        by_account_region.setdefault(arn.account_region, []).append(number)
    rows: dict[int, Row] = {}

    def one(number: int) -> None:
        rows[number] = row = _row(arns[number], lambda: work(items[number]), failed, stop)
        done(row)

    at_a_time = keys_at_a_time(len(by_account_region))

    def one_account_region(numbers: Sequence[int]) -> None:
        with ThreadPoolExecutor(min(at_a_time, len(numbers))) as keys:
            list(keys.map(one, numbers))

    with ThreadPoolExecutor(ACCOUNT_REGIONS) as account_regions:
        list(account_regions.map(one_account_region, by_account_region.values()))
    return tuple(rows[number] for number in range(len(arns)))


def _row(
    arn: KeyArn, work: Callable[[], Row], failed: Callable[[KeyArn, str], Row], stop: Stop
) -> Row:
    if stop.requested:
        return failed(arn, _not_started(stop.message))
    try:
        return work()
    except Stopped:
        return failed(arn, _not_started(stop.message))
    except JournalFailed as error:
        stop.request(str(error), error.fix)
        return failed(arn, _not_started(f"{error}. Fix: {error.fix}"))
    except Exception as error:  # noqa: BLE001 - the other keys continue, and the journal has this one
        _log.error("unexpected error with %s", arn, exc_info=True)
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return failed(arn, f"Internal error ({cause}). Fix: report it, then {RUN_AGAIN}")


def _not_started(message: str) -> str:
    return f"Not started: {message}"
