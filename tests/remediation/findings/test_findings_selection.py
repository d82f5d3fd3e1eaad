"""Which findings make a key a candidate: the newest word counts, and muting is never overheard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keysweep.remediation.findings import (
    candidates,
    is_cancel_candidate,
    is_plan_candidate,
    newest_by_key,
)
from keysweep.remediation.models import CodeLocation, Finding, FindingStatus, KeyArn

KEYSWEEP = "kms_cmk_not_disabled"
BUILT_IN = "kms_cmk_are_used"
DELETED = "kms_cmk_not_deleted_unintentionally"
PENDING_USED = "kms_cmk_pending_deletion_not_used"
KEY = KeyArn("aws", "111122223333", "eu-west-1", "2f94b26d-630d-533b-be64-3de28d30146d")
OTHER = KeyArn("aws", "111122223333", "eu-west-1", "6d6d1028-464b-582e-953c-85a6f6e780e3")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def finding(
    check: str = KEYSWEEP,
    status: str = "FAIL",
    hours: float | None = 0,
    *,
    key: KeyArn | None = KEY,
    state: str | None = None,
) -> Finding:
    in_code = check.startswith("CKV")
    return Finding(
        scanner="checkov" if in_code else "prowler",
        check_id=check,
        status=FindingStatus(status),
        source="results.json",
        position="record 1",
        key_arn=key,
        key_state=state,
        time=None if hours is None or in_code else NOON + timedelta(hours=hours),
        code=CodeLocation(
            framework="terraform", file="a.tf", first_line=1, last_line=2, address="a"
        )
        if in_code
        else None,
    )


@pytest.mark.parametrize("status", ["FAIL", "PASS", "MANUAL", "MUTED"])
@pytest.mark.parametrize("check", [KEYSWEEP, BUILT_IN, "CKV_KEYSWEEP_001", "CKV_AWS_227", DELETED])
def test_only_a_failure_of_a_plan_check_makes_a_plan_candidate(check: str, status: str) -> None:
    assert is_plan_candidate(finding(check, status)) == (status == "FAIL" and check != DELETED)


@pytest.mark.parametrize("status", ["FAIL", "PASS", "MANUAL", "MUTED"])
@pytest.mark.parametrize("check", [DELETED, PENDING_USED, BUILT_IN, "CKV_KEYSWEEP_001"])
def test_only_a_failure_of_a_cancel_check_makes_a_cancel_candidate(check: str, status: str) -> None:
    expected = status == "FAIL" and check in {DELETED, PENDING_USED}
    assert is_cancel_candidate(finding(check, status, state="PendingDeletion")) == expected


@pytest.mark.parametrize("status", ["FAIL", "PASS", "MANUAL", "MUTED"])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("PendingDeletion", True),
        ("PendingReplicaDeletion", True),
        ("Disabled", False),
        ("Enabled", False),
        (None, False),
    ],
)
def test_our_check_makes_a_cancel_candidate_by_the_state_alone(
    state: str | None, expected: bool, status: str
) -> None:
    assert is_cancel_candidate(finding(KEYSWEEP, status, state=state)) == expected


@pytest.mark.parametrize(
    ("findings", "is_candidate"),
    [
        ([finding()], True),
        ([finding(), finding()], True),
        ([finding(), finding(BUILT_IN)], True),
        ([finding(), finding(KEYSWEEP, "PASS", 1)], False),
        ([finding(), finding(KEYSWEEP, "MANUAL", 1)], False),
        ([finding(), finding(KEYSWEEP, "MUTED", 1)], False),
        ([finding(KEYSWEEP, "PASS", -1), finding()], True),
        ([finding(KEYSWEEP, "MUTED", -1), finding()], True),
        ([finding(), finding(BUILT_IN, "PASS", 1)], False),
        ([finding(BUILT_IN), finding(KEYSWEEP, "PASS", 1)], False),
        ([finding(KEYSWEEP, "MUTED", -1), finding(BUILT_IN)], False),
        ([finding(KEYSWEEP, "MUTED"), finding(BUILT_IN)], False),
        ([finding(), finding(BUILT_IN, "MUTED")], True),
        ([finding(), finding(DELETED, "PASS", 1)], True),
        ([finding(hours=None), finding(KEYSWEEP, "PASS")], False),
        ([finding("CKV_KEYSWEEP_001"), finding(KEYSWEEP, "PASS", 1)], True),
        ([finding("CKV_KEYSWEEP_001", "MUTED")], False),
        ([finding(), finding(KEYSWEEP, "PASS", 1, key=OTHER)], True),
    ],
)
def test_the_newest_finding_of_a_key_decides_in_any_order(
    findings: list[Finding], is_candidate: bool
) -> None:
    for order in permutations(findings):
        assert (KEY in candidates(order, is_plan_candidate)) == is_candidate


def test_a_key_is_counted_once_with_every_finding_that_makes_it_a_candidate() -> None:
    findings = [finding(), finding(BUILT_IN), finding("CKV_KEYSWEEP_001"), finding(DELETED, "PASS")]
    assert candidates(findings, is_plan_candidate) == {KEY: tuple(findings[:3])}


def test_an_older_finding_of_ours_on_a_pending_deletion_still_makes_a_cancel_candidate() -> None:
    findings = [finding(KEYSWEEP, "PASS", state="PendingDeletion"), finding(BUILT_IN, "PASS", 1)]
    assert set(candidates(findings, is_cancel_candidate)) == {KEY}


def test_findings_without_a_key_are_left_to_iac() -> None:
    assert newest_by_key([finding("CKV_KEYSWEEP_001", key=None)]) == {}


findings = st.builds(
    finding,
    st.sampled_from([KEYSWEEP, BUILT_IN, DELETED, "CKV_KEYSWEEP_001"]),
    st.sampled_from(["FAIL", "PASS", "MANUAL", "MUTED"]),
    st.integers(0, 3) | st.none(),
    key=st.sampled_from([KEY, OTHER, None]),
)


@settings(deadline=None)
@given(st.lists(findings, max_size=8))
def test_what_counts_was_given_and_is_the_newest_of_its_check(given_: list[Finding]) -> None:
    for key, newest in newest_by_key(given_).items():
        for one in newest:
            assert one in given_
            assert one.key_arn == key
            same = [f for f in given_ if (f.key_arn, f.check_id) == (key, one.check_id)]
            assert not any(f.time and one.time and f.time > one.time for f in same)


@settings(deadline=None)
@given(st.lists(findings, max_size=8), findings)
def test_one_more_record_that_passes_or_mutes_never_makes_more_candidates(
    before: list[Finding], more: Finding
) -> None:
    if more.status is FindingStatus.FAIL:
        return
    assert set(candidates([*before, more], is_plan_candidate)) <= set(
        candidates(before, is_plan_candidate)
    )
