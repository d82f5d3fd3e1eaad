"""What counts as a change between the reviewed evidence and what apply reads again."""

from __future__ import annotations

from datetime import timedelta

from dead_key import NOW, changed, decision_on, evaluated, gap_of, plan_item, policy

from keysweep.remediation.models import CoverageGap, Outcome, PlanItem, References
from keysweep.remediation.plan_diff import compare
from keysweep.remediation.policy import Policy
from keysweep.remediation.reread import changed_row

GAP = gap_of("s3", "eu-west-1", "GetBucketPolicy was denied for 3 of 10")
USED = frozenset({"description", "references"})
LAST_DAY = (NOW + timedelta(days=1)).date()


def item(gap: CoverageGap, by: Policy) -> PlanItem:
    evidence = changed(references=References(gaps=(gap,)))
    return plan_item(exceptions=evaluated(evidence, by).exceptions, evidence=evidence)


def outcome(reviewed: PlanItem, now: CoverageGap, by: Policy, days: int = 0) -> Outcome | None:
    evidence = changed(references=References(gaps=(now,)))
    row = changed_row(USED, reviewed, evidence, by, NOW + timedelta(days=days))
    return None if row is None else row.outcome


def test_the_same_answer_with_other_counts_is_no_change() -> None:
    by = policy(coverage_exceptions=[decision_on(GAP)])
    recounted = GAP.model_copy(update={"why": "GetBucketPolicy was denied for 4 of 11"})
    assert outcome(item(GAP, by), recounted, by) is None


def test_an_exception_does_not_apply_to_another_answer() -> None:
    by = policy(coverage_exceptions=[decision_on(GAP)])
    for other in ({"code": "SlowDown"}, {"message": "No."}, {"region": "us-east-1"}):
        assert outcome(item(GAP, by), GAP.model_copy(update=other), by) is Outcome.FAILED


def test_an_exception_counts_on_its_last_day_and_not_after_it() -> None:
    by = policy(coverage_exceptions=[{**decision_on(GAP), "until": LAST_DAY}])
    assert outcome(item(GAP, by), GAP, by, days=1) is None
    assert outcome(item(GAP, by), GAP, by, days=2) is Outcome.CHANGED


def test_an_exception_that_the_plan_does_not_show_schedules_nothing() -> None:
    later = {**decision_on(GAP), "approved_by": "another team"}
    by = policy(coverage_exceptions=[{**decision_on(GAP), "until": LAST_DAY}, later])
    reviewed = item(GAP, by)
    assert [one.approved_by for one in reviewed.exceptions] == ["security"]
    assert outcome(reviewed, GAP, by, days=1) is None
    assert outcome(reviewed, GAP, by, days=2) is Outcome.CHANGED


def test_a_key_that_rests_on_another_exception_differs_from_the_earlier_plan() -> None:
    by = policy(coverage_exceptions=[decision_on(GAP)])
    longer = policy(coverage_exceptions=[{**decision_on(GAP), "until": LAST_DAY}])
    free = item(GAP, by).model_copy(update={"exceptions": ()})
    for before, now, differs in (
        (item(GAP, by), item(GAP, by), False),
        (free, item(GAP, by), True),
        (item(GAP, by), item(GAP, longer), True),
        (item(GAP, by), free, True),
    ):
        found = compare("sha256:x", NOW, [before], [now])
        assert bool(found.changed) is differs
