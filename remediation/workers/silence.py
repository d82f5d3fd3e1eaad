"""Notice workers that send nothing, such as a stopped process: the run waits for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..wording import first_few

SECONDS: Final = 30.0
"""How often a worker shows that it runs, and how often the parent looks."""

LOOKS: Final = 10
"""Number of looks without a message after which a worker counts as silent.

Looks are counted, not time, because the parent may have been stopped or suspended, too.
"""


class Silence:
    """How long one worker has been silent."""

    def __init__(self) -> None:
        self._received = 0
        self._looks = 0

    def begins(self, received: int, *, busy: bool) -> bool:
        """Look once; whether the worker counts as silent now. True once in each silence.

        `received` is the number of messages from the worker so far. A worker without a task is not
        waited for.
        """
        self._looks = self._looks + 1 if busy and received == self._received else 0
        self._received = received
        return self._looks == LOOKS


def message(process: int, tasks: Iterable[str]) -> str:
    """What is waited for, and what to do."""
    minutes = LOOKS * SECONDS / 60
    return (
        f"Process {process} has sent nothing for {minutes:.0f} minutes, and the run waits for it: "
        f"{first_few(sorted(tasks), 5)}. Fix: if it was stopped, run kill -CONT {process}. To go "
        f"on without what it reads, run kill -KILL {process}"
    )
