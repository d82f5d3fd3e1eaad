"""A short history for each mutant that shows it: what the search of test_mutants.py looks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model.machine import CALM, Fault, Histories, Options
from model.reference import DAY

PATIENT = Options("patient")
A = "a.jsonl"


def _change_and_fault(state: Histories) -> None:
    state.plan_change_apply_unread(0, "keep", "deny", A)


def _enabled(state: Histories) -> None:
    state.plan_change_apply(PATIENT, 0, "enable", 0, 0.0, A, CALM)


def _edited(state: Histories) -> None:
    state.plan(0, PATIENT, CALM)
    state.edit_plan(0, "window")


def _tagged(state: Histories) -> None:
    state.plan_change_apply(PATIENT, 0, "keep", 0, 0.0, A, CALM)


def _expired(state: Histories) -> None:
    state.plan(0, PATIENT, CALM)
    state.pass_time(8 * DAY)
    state.apply(0, A, CALM)


def _applied(state: Histories) -> None:
    state.plan(0, PATIENT, CALM)
    state.apply(0, A, CALM)


def _dropped(state: Histories) -> None:
    state.plan(0, PATIENT, CALM)
    state.apply(0, A, (Fault("drop_after", "ScheduleKeyDeletion", 0, 0, True),))
    state.undo((A,), False, False)


def _truncated(state: Histories) -> None:
    state.change_plan_apply(PATIENT, 0, "secret", "truncate_valid_length", A)


def _rescheduled(state: Histories) -> None:
    _applied(state)
    state.others_do(0, "reschedule")
    state.undo((A,), False, False)


def _waves(state: Histories) -> None:
    state.plan(0, Options("patient", max_keys=1), CALM)


def _declared(state: Histories) -> None:
    state.plan(0, Options("patient", declared=1), CALM)


def _used_just_before(state: Histories) -> None:
    state.use_apply_guard(0, A)


def _left_alone(state: Histories) -> None:
    _applied(state)
    state.pass_time(4 * DAY)
    state.status((A,), CALM)


WITNESSES: Mapping[str, Callable[[Histories], None]] = {
    "1-unreadable-evidence-is-taken-from-the-plan": _change_and_fault,
    "2-no-description-before-the-call": _enabled,
    "3-any-digest": _edited,
    "3-nothing-changed": _tagged,
    "3-plans-never-expire": _expired,
    "4-another-waiting-period": _applied,
    "5-no-intent": _applied,
    "5-writes-are-retried": _dropped,
    "5-a-lost-call-is-refused": _dropped,
    "6-truncated-answers-pass": _truncated,
    "7-every-deletion-is-ours": _rescheduled,
    "8-one-error-ends-the-run": _dropped,
    "9-no-limit": _waves,
    "10-code-does-not-count": _declared,
    "11-no-limits-in-reports": _waves,
    "12-attempts-from-the-call-on": _used_just_before,
    "12-every-key-is-watched": _left_alone,
}
