"""Work on many keys: places side by side, a few keys of each at a time, and one row for every key.

Whatever goes wrong with a key is that key's row: rule 8 of docs/safety.md. A run that is asked to
stop begins no further key, and lets those in flight end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from .aws.width import PLACES, keys_at_a_time
from .journal import AGAIN, JournalFailed
from .models import KeyArn

_log: Final = logging.getLogger(__name__)


class HasKey(Protocol):
    """Anything about one key."""

    @property
    def key_arn(self) -> KeyArn: ...


class Stop:
    """Asks a run to end early. Thread-safe; the first reason is the one that is told."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.reason = ""

    def ask(self, reason: str) -> None:
        """Begin nothing more, for this reason, a clause for people."""
        if not self._asked.is_set():
            self.reason = reason
            self._asked.set()

    @property
    def asked(self) -> bool:
        """Whether nothing more may be begun."""
        return self._asked.is_set()


class Stopped(Exception):
    """The run was asked to stop before anything was done about this key."""


Item = TypeVar("Item", bound=HasKey)
Row = TypeVar("Row")


def each_key(
    items: Sequence[Item],
    work: Callable[[Item], Row],
    trouble: Callable[[KeyArn, str], Row],
    *,
    stop: Stop | None = None,
    done: Callable[[Row], None] = lambda row: None,
) -> tuple[Row, ...]:
    """The row of every item, in their order.

    `trouble` makes the row of a key that could not be worked on; `done` is told of each row, from
    any thread. A journal that fails stops the run.
    """
    stop = stop or Stop()
    by_place: dict[tuple[str, str], list[int]] = {}
    for number, item in enumerate(items):
        by_place.setdefault(item.key_arn.account_region, []).append(number)
    rows: dict[int, Row] = {}

    def one(number: int) -> None:
        rows[number] = row = _row(items[number], work, trouble, stop)
        done(row)

    width = keys_at_a_time(len(by_place))

    def one_place(numbers: Sequence[int]) -> None:
        with ThreadPoolExecutor(min(width, len(numbers))) as keys:
            list(keys.map(one, numbers))

    with ThreadPoolExecutor(PLACES) as connections:
        list(connections.map(one_place, by_place.values()))
    return tuple(rows[number] for number in range(len(items)))


def _row(
    item: Item, work: Callable[[Item], Row], trouble: Callable[[KeyArn, str], Row], stop: Stop
) -> Row:
    arn = item.key_arn
    if stop.asked:
        return trouble(arn, f"not begun: {stop.reason}; {AGAIN}")
    try:
        return work(item)
    except Stopped:
        return trouble(arn, f"not begun: {stop.reason}; {AGAIN}")
    except JournalFailed as error:
        stop.ask(str(error))
        return trouble(arn, f"not begun: {error}")
    except Exception as error:  # noqa: BLE001 - the other keys go on, and the journal has this one
        _log.error("unexpected error with %s", arn, exc_info=True)
        odd = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return trouble(arn, f"an error of keysweep itself ({odd}); please report it, then {AGAIN}")
