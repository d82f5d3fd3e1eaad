"""Which findings nominate a key, and for what. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..models import CodeLocation, Finding, FindingStatus, KeyArn
from .checks import CANCEL_CHECKS, OURS, PLAN_CHECKS


def nominates_plan(finding: Finding) -> bool:
    """Whether the finding says that the key may be retired: failed and unmuted, nothing else."""
    return finding.status is FindingStatus.FAIL and finding.check_id in PLAN_CHECKS


def nominates_cancel(finding: Finding) -> bool:
    """Whether the finding says that a deletion is pending that may have to be cancelled.

    Our own check's finding counts whatever its status when the state it saw is PendingDeletion:
    cancelling only lowers risk.
    """
    if finding.check_id == OURS:
        return finding.key_state == "PendingDeletion"
    return finding.status is FindingStatus.FAIL and finding.check_id in CANCEL_CHECKS


def newest_by_key(findings: Iterable[Finding]) -> dict[KeyArn, tuple[Finding, ...]]:
    """The findings of each key, one a check: of several about one key, the newest one counts.

    A key that stands in the code at several places has a finding for each of them.
    """
    newest: dict[tuple[KeyArn, str, CodeLocation | None], Finding] = {}
    for finding in findings:
        if finding.key_arn is None:
            continue
        place = (finding.key_arn, finding.check_id, finding.code)
        other = newest.get(place)
        if other is None or (finding.time and (other.time is None or finding.time >= other.time)):
            newest[place] = finding
    by_key: dict[KeyArn, list[Finding]] = {}
    for (key, _, _), finding in newest.items():
        by_key.setdefault(key, []).append(finding)
    return {key: tuple(found) for key, found in by_key.items()}
