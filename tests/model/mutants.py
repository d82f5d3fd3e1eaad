"""Each safety rule of docs/safety.md switched off, one named function at a time.

Rule 13 (invariants raise) is no behavior of a history; test_invariants.py has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from keysweep.remediation import apply as apply_stage
from keysweep.remediation import lifecycle, planfile, planner, reread, runner
from keysweep.remediation import status as status_stage
from keysweep.remediation import write as write_stage
from keysweep.remediation.aws import ClientSettings, response_integrity
from keysweep.remediation.evidence.collector import Collector
from keysweep.remediation.journal import IntentLine, Journal, KeyRecord
from keysweep.remediation.models import Unreadable
from keysweep.remediation.rules import RULES, evaluate

Patch = pytest.MonkeyPatch


def _believe_the_plan(patch: Patch) -> None:
    whole = Collector._read_group

    def read(self: Collector, piece: str, group: Any) -> Any:
        again = whole(self, piece, group)
        return [
            before
            if isinstance(getattr(now, piece), Unreadable) and getattr(before, piece) is not None
            else now
            for before, now in zip(group, again, strict=True)
        ]

    patch.setattr(Collector, "_read_group", read)


def _no_second_look(patch: Patch) -> None:
    whole = apply_stage._Scheduling._read_again

    def read(self: Any, used: Any, expensive: Any) -> Any:
        again = whole(self, used, expensive)
        return again.model_copy(update={"description": self.item.evidence.description})

    patch.setattr(apply_stage._Scheduling, "_read_again", read)


def _any_digest(patch: Patch) -> None:
    patch.setattr(planfile, "digest_of", lambda plan, **_: plan.digest)


def _nothing_changed(patch: Patch) -> None:
    patch.setattr(apply_stage, "changed_row", lambda *_: None)


def _plans_for_ever(patch: Patch) -> None:
    patch.setattr(apply_stage, "_has_expired", lambda plan, now: False)


def _short_window(patch: Patch) -> None:
    def write(connection: Any, journal: Any, change: Any, seen: Any) -> Any:
        if change.operation is write_stage.SCHEDULE:
            parameters = {"PendingWindowInDays": 9}
            change = replace(change, parameters=parameters, pending_window_days=9)
        return write_stage.write(connection, journal, change, seen)

    patch.setattr(apply_stage, "write", write)


def _no_intent(patch: Patch) -> None:
    whole = Journal._write
    patch.setattr(
        Journal,
        "_write",
        lambda self, line: None if isinstance(line, IntentLine) else whole(self, line),
    )


def _retries(patch: Patch) -> None:
    whole = ClientSettings.config
    patch.setattr(ClientSettings, "config", lambda self, *, writes: whole(self, writes=False))


def _lost_is_refused(patch: Patch) -> None:
    patch.setattr(write_stage, "_refused", lambda failure: True)


def _truncated_is_whole(patch: Patch) -> None:
    for check in ("_check_length", "_check_json", "_check_xml"):
        patch.setattr(response_integrity, check, lambda *_: None)


def _every_deletion_is_ours(patch: Patch) -> None:
    patch.setattr(lifecycle, "_stands", lambda *_: True)


def _one_error_ends_all(patch: Patch) -> None:
    def fail(connection: Any, journal: Any, intent: Any, operation: Any, **also: Any) -> Any:
        raise also.get("failure") or RuntimeError(intent.id)

    patch.setattr(write_stage, "reconcile", fail)
    patch.setattr(runner, "_row", lambda arn, work, failed, stop: work())


def _no_waves(patch: Patch) -> None:
    patch.setattr(planner, "first_wave", lambda items, most: items)


def _no_code(patch: Patch) -> None:
    rules = tuple(rule for rule in RULES if rule.id != "declared-in-code")
    for stage in (planner, reread):
        patch.setattr(stage, "evaluate", partial(evaluate, rules=rules))


def _no_limits(patch: Patch) -> None:
    patch.setattr(planner, "LIMITS", ())


def _from_the_call_on(patch: Patch) -> None:
    def since(self: KeyRecord) -> Any:
        return self.scheduled and self.scheduled.time

    patch.setattr(KeyRecord, "watch_use_from", property(since))


def _never_unwatched(patch: Patch) -> None:
    patch.setattr(status_stage, "is_unwatched", lambda record, now: False)


MUTANTS: Mapping[str, Callable[[Patch], None]] = {
    "1-unreadable-evidence-is-taken-from-the-plan": _believe_the_plan,
    "2-no-description-before-the-call": _no_second_look,
    "3-any-digest": _any_digest,
    "3-nothing-changed": _nothing_changed,
    "3-plans-never-expire": _plans_for_ever,
    "4-another-waiting-period": _short_window,
    "5-no-intent": _no_intent,
    "5-writes-are-retried": _retries,
    "5-a-lost-call-is-refused": _lost_is_refused,
    "6-truncated-answers-pass": _truncated_is_whole,
    "7-every-deletion-is-ours": _every_deletion_is_ours,
    "8-one-error-ends-the-run": _one_error_ends_all,
    "9-no-limit": _no_waves,
    "10-code-does-not-count": _no_code,
    "11-no-limits-in-reports": _no_limits,
    "12-attempts-from-the-call-on": _from_the_call_on,
    "12-every-key-is-watched": _never_unwatched,
}
