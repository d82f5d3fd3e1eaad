"""Prowler check: KMS keys pending deletion that something still tries to use.

| customer managed key that is PendingDeletion or PendingReplicaDeletion | status |
|---|---|
| CloudTrail shows an attempt to use it since its deletion was scheduled | FAIL, naming it |
| CloudTrail shows no attempt | PASS, with the date since when: weak evidence, not proof |
| its events could not be read, or do not show which came first, attempt or scheduling | MANUAL |
| DescribeKey failed, or its answer is incomplete | MANUAL, naming the error |

An attempt is a cryptographic operation, CreateGrant, or GetPublicKey of an asymmetric key, allowed
or refused, in the event history of the key's own account and Region. Other keys have no finding and
cost no lookup.
"""

from __future__ import annotations

from prowler.lib.check.models import Check, Check_Report_AWS
from prowler.providers.common.provider import Provider

from ..kms_cmk_not_disabled.lib.kms_reading import KmsReading, report
from .lib.event_history import Attempt, PendingKey, read_histories

PENDING = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


class kms_cmk_pending_deletion_not_used(Check):  # noqa: N801  Prowler requires the check's name
    """Fail every key pending deletion that something tries to use; never raises."""

    def execute(self) -> list[Check_Report_AWS]:
        """Return one finding per key and one per Region that could not be listed."""
        reading = KmsReading(Provider.get_global_provider(), tagged_states=PENDING)
        pending = [PendingKey(**vars(key)) for key in reading.keys if key.state in PENDING]
        unknown = [PendingKey(**vars(key)) for key in reading.keys if not key.state]
        if pending:
            read_histories(reading.session, pending)
        subject = "keys pending deletion"
        return report(self.metadata(), pending + unknown, evaluate, reading.unlisted, subject)


def evaluate(key: PendingKey) -> tuple[str, str]:
    """Return the status and the sentence for a key."""
    if not key.state:
        return "MANUAL", (
            f"KMS key {key.id} could not be described ({key.error_code}), so it is unknown whether "
            "it is pending deletion."
        )
    name, end = f"KMS CMK {key.id} is {key.state}", _end(key)
    if key.attempt:
        attempt = Attempt(**key.attempt)
        use = f"{attempt.event} at {attempt.time}" + (f" by {attempt.who}" if attempt.who else "")
        use += f" ({attempt.error})" if attempt.error else ""
        if attempt.certain:
            return "FAIL", (
                f"{name}, but CloudTrail shows an attempt to use it since its deletion was "
                f"scheduled: {use}. {end} Cancel the deletion until the attempt is explained."
            )
        return "MANUAL", (
            f"{name}, and CloudTrail shows {use}, but not when the deletion was scheduled, so the "
            f"attempt may have come before it. {end}"
        )
    if not key.seen_since:
        return "MANUAL", (
            f"{name}, but its events in CloudTrail could not be read ({key.error_code}), so "
            f"attempts to use it are unknown. {end}"
        )
    return "PASS", (
        f"{name}, and CloudTrail shows no attempt to use it since {key.seen_since[:10]}, which is "
        f"weak evidence. {end}"
    )


def _end(key: PendingKey) -> str:
    if key.state == "PendingReplicaDeletion":
        return "Its waiting period starts when its last replica key is deleted."
    return f"AWS deletes it after {key.deletion_date[:10] or 'an unknown date'}."
