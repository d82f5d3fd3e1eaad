"""All deletions in journals, including cancelled ones, for audits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..models import AppliedException, KeyArn, Outcome
from .lines import IntentLine, OutcomeLine, RebuildLine, RunLine
from .locations import Location
from .reader import as_run, lines

_SCHEDULE: Final = "ScheduleKeyDeletion"
_CANCEL: Final = "CancelKeyDeletion"


@dataclass(slots=True)
class Deletion:
    """One request to delete a key, and its outcome."""

    intent: IntentLine
    run: RunLine | None
    """The run that requested it. None: the first line of the run is missing."""
    outcome: OutcomeLine | None = None
    """None: the run was interrupted."""
    cancelled: OutcomeLine | None = None
    cancelled_in: RunLine | None = None
    """The run that cancelled it."""
    rebuilt: bool = False
    """Whether it comes from CloudTrail's events, because the journal was lost."""

    @property
    def exceptions(self) -> tuple[AppliedException, ...]:
        """The exceptions without which the key would have been on hold."""
        known = () if self.run is None else self.run.exceptions or ()
        named = self.intent.exceptions or ()
        return tuple(known[one] for one in named if 0 <= one < len(known))

    @property
    def stands(self) -> bool:
        """Whether it may still be pending, according to the journals."""
        begun = self.outcome is None or self.outcome.outcome is Outcome.SCHEDULED
        return begun and self.cancelled is None


def deletions(paths: Iterable[Location]) -> tuple[Deletion, ...]:
    """The deletions of all keys, oldest first. Raises BadInput as `read` does."""
    runs: dict[str, RunLine] = {}
    found: dict[str, Deletion] = {}
    of_key: dict[KeyArn, list[Deletion]] = {}
    for line in lines(paths):
        if isinstance(line, RunLine):
            runs[line.run] = line
        elif isinstance(line, RebuildLine):
            for key in line.keys:
                run, intent, outcome = as_run(line, key)
                found[intent.id] = Deletion(intent, run, outcome, rebuilt=True)
                of_key.setdefault(key.key_arn, []).append(found[intent.id])
        elif isinstance(line, IntentLine) and line.operation == _SCHEDULE:
            found[line.id] = Deletion(line, runs.get(line.run))
            of_key.setdefault(line.key_arn, []).append(found[line.id])
        elif isinstance(line, OutcomeLine) and line.id in found:
            found[line.id].outcome = line
        elif isinstance(line, OutcomeLine) and _cancels(line):
            for one in of_key.get(line.key_arn, ()):
                if one.stands:
                    one.cancelled, one.cancelled_in = line, runs.get(line.run)
    return tuple(found.values())


def _cancels(line: OutcomeLine) -> bool:
    return line.operation == _CANCEL and line.outcome is Outcome.CANCELLED
