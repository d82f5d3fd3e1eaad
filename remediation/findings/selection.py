"""Which findings make a key a candidate. Pure; a candidate is still evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from ..models import PENDING_DELETION, Finding, FindingStatus, KeyArn
from .checks import BUILT_IN, CANCEL_CHECKS, KEYSWEEP, PLAN_CHECKS

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


def is_plan_candidate(finding: Finding) -> bool:
    """Whether the finding makes the key a candidate for deletion: failed and not muted."""
    return finding.status is FindingStatus.FAIL and finding.check_id in PLAN_CHECKS


def is_cancel_candidate(finding: Finding) -> bool:
    """Whether the finding makes the key a candidate for cancelling its deletion.

    A finding of Keysweep's check counts, whatever its status, if it saw a pending deletion, because
    cancelling only lowers risk.
    """
    if finding.check_id == KEYSWEEP:
        return finding.key_state in PENDING_DELETION
    return finding.status is FindingStatus.FAIL and finding.check_id in CANCEL_CHECKS


def newest_by_key(findings: Iterable[Finding]) -> dict[KeyArn, tuple[Finding, ...]]:
    """The findings that count, by key, in the given order. Findings without a key are left out.

    * Of a check's records of one key, the newest counts, whatever its status: a key that was
      enabled since passes in it. Of records of the same time, all that differ count: OCSF and ASFF
      of a run count once, and findings in code count once for each location.
    * `kms_cmk_not_disabled` and Prowler's `kms_cmk_are_used` check the same. A failure of one does
      not count if the other has a newer record, or if `kms_cmk_not_disabled` is muted.
    """
    by_check: dict[tuple[KeyArn, str], list[Finding]] = {}
    for finding in findings:
        if finding.key_arn is not None:
            check = KEYSWEEP if finding.check_id == BUILT_IN else finding.check_id
            by_check.setdefault((finding.key_arn, check), []).append(finding)
    by_key: dict[KeyArn, tuple[Finding, ...]] = {}
    for (key, _), records in by_check.items():
        by_key[key] = (*by_key.get(key, ()), *_newest(records))
    return by_key


def candidates(
    findings: Iterable[Finding], is_candidate: Callable[[Finding], bool]
) -> dict[KeyArn, tuple[Finding, ...]]:
    """The candidate keys, each with the findings that make it one."""
    return {
        key: chosen
        for key, newest in newest_by_key(findings).items()
        if (chosen := tuple(finding for finding in newest if is_candidate(finding)))
    }


def _newest(records: list[Finding]) -> list[Finding]:
    newest = [
        finding
        for check in dict.fromkeys(finding.check_id for finding in records)
        for finding in _of_latest([record for record in records if record.check_id == check])
    ]
    latest = max(map(_time, newest))
    keysweeps = {finding.status for finding in newest if finding.check_id == KEYSWEEP}
    return [
        finding
        for finding in newest
        if finding.status is not FindingStatus.FAIL
        or (_time(finding) == latest and FindingStatus.MUTED not in keysweeps)
    ]


def _of_latest(findings: list[Finding]) -> list[Finding]:
    latest = max(map(_time, findings))
    newest = (finding for finding in findings if _time(finding) == latest)
    return list({(finding.status, finding.code): finding for finding in newest}.values())


def _time(finding: Finding) -> datetime:
    return finding.time or _BEFORE_ALL
