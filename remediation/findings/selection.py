"""Which findings nominate a key, and for what. Pure; nothing here is a basis for acting."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from ..models import PENDING_DELETION, Finding, FindingStatus, KeyArn
from .checks import BUILT_IN, CANCEL_CHECKS, KEYSWEEP, PLAN_CHECKS

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


def is_plan_candidate(finding: Finding) -> bool:
    """Whether the finding says that the key may be retired: failed and unmuted, nothing else."""
    return finding.status is FindingStatus.FAIL and finding.check_id in PLAN_CHECKS


def is_cancel_candidate(finding: Finding) -> bool:
    """Whether the finding says that a deletion is pending which may have to be cancelled.

    Our own check's finding counts whatever its status when the state that it saw is a pending
    deletion: cancelling only lowers risk.
    """
    if finding.check_id == KEYSWEEP:
        return finding.key_state in PENDING_DELETION
    return finding.status is FindingStatus.FAIL and finding.check_id in CANCEL_CHECKS


def newest_by_key(findings: Iterable[Finding]) -> dict[KeyArn, tuple[Finding, ...]]:
    """The findings that still count, by key, in the order given; those without a key are left out.

    * Of several records of a check about one key the newest counts, whatever it says: a key that
      was enabled since passes in the newer one. Of records of the same moment, all count that
      differ: a run's OCSF and ASFF say the same once, and code says it at each of its places.
    * `kms_cmk_not_disabled` and Prowler's `kms_cmk_are_used` ask the same of a key: a failure of
      one does not count when the other spoke later; nor when ours is muted: somebody decided.
    """
    asked: dict[tuple[KeyArn, str], list[Finding]] = {}
    for finding in findings:
        if finding.key_arn is not None:
            question = KEYSWEEP if finding.check_id == BUILT_IN else finding.check_id
            asked.setdefault((finding.key_arn, question), []).append(finding)
    by_key: dict[KeyArn, tuple[Finding, ...]] = {}
    for (key, _), answers in asked.items():
        by_key[key] = (*by_key.get(key, ()), *_newest(answers))
    return by_key


def candidates(
    findings: Iterable[Finding], nominates: Callable[[Finding], bool]
) -> dict[KeyArn, tuple[Finding, ...]]:
    """The keys that the findings nominate, each with the findings that do."""
    return {
        key: chosen
        for key, newest in newest_by_key(findings).items()
        if (chosen := tuple(finding for finding in newest if nominates(finding)))
    }


def _newest(answers: list[Finding]) -> list[Finding]:
    newest = [
        finding
        for check in dict.fromkeys(finding.check_id for finding in answers)
        for finding in _of_latest([answer for answer in answers if answer.check_id == check])
    ]
    latest = max(map(_time, newest))
    our_word = {finding.status for finding in newest if finding.check_id == KEYSWEEP}
    return [
        finding
        for finding in newest
        if finding.status is not FindingStatus.FAIL
        or (_time(finding) == latest and FindingStatus.MUTED not in our_word)
    ]


def _of_latest(findings: list[Finding]) -> list[Finding]:
    latest = max(map(_time, findings))
    newest = (finding for finding in findings if _time(finding) == latest)
    return list({(finding.status, finding.code): finding for finding in newest}.values())


def _time(finding: Finding) -> datetime:
    return finding.time or _BEFORE_ALL
