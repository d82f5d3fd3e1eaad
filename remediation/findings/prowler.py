"""What Prowler's formats share: one check, one resource, one status, one time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..escape import MESSAGE_LENGTH, printable, short
from ..models import Finding, FindingStatus, KeyArn
from .format import Notice, Reading, Unusable

Moment = int | float | str | None
"""Seconds since 1970 as a number or in digits (`--unix-timestamp`), or a time in ISO 8601."""

_MILLISECONDS: Final = 1e11
"""OCSF's own unit is the millisecond; Prowler writes seconds. No scan ran after the year 5138."""


@dataclass(frozen=True)
class ProwlerRecord:
    """The fields of one record, as far as its format has them."""

    check_id: str
    status: FindingStatus | None
    """None: unknown to this version of Keysweep."""
    resource: str
    """The resource's ARN."""
    accounts: tuple[str | None, ...]
    """Account, Region and partition as stated beside the ARN, which alone is believed."""
    regions: tuple[str | None, ...]
    partitions: tuple[str | None, ...]
    time: Moment
    detail: str
    """Prowler's sentence about the resource (`status_extended`)."""
    key_state: str | None = None


def findings(record: ProwlerRecord, source: str, position: str) -> Iterator[Reading]:
    """Read a record of a check that Keysweep acts on."""
    if record.status is None:
        raise Unusable("unknown Prowler status")
    try:
        key = KeyArn.parse(record.resource)
    except ValueError as error:
        if record.status is FindingStatus.MANUAL:
            yield Notice(_not_looked_at(record))
            return
        if record.status is FindingStatus.MUTED:
            return
        raise Unusable(str(error)) from error
    _compare("account", key.account_id, record.accounts, key)
    _compare("Region", key.region, record.regions, key)
    _compare("partition", key.partition, record.partitions, key)
    time, certain = _moment(record.time)
    if not certain:
        yield Notice(f"{short(source)} gives times without their zone; they are read as UTC")
    yield Finding(
        scanner="prowler",
        check_id=record.check_id,
        status=record.status,
        source=source,
        position=position,
        key_arn=key,
        key_state=record.key_state or None,
        time=time,
    )


def _compare(name: str, of_arn: str, stated: tuple[str | None, ...], key: KeyArn) -> None:
    for value in stated:
        if value and value != of_arn:
            raise Unusable(f"it states the {name} {short(value)}, and its ARN is {key}")


def _not_looked_at(record: ProwlerRecord) -> str:
    """Warning about a Region that could not be listed, which does not mean "no keys"."""
    account = next((account for account in record.accounts if account), "unknown")
    detail = printable(record.detail, MESSAGE_LENGTH)
    return f"account {short(account)}, {record.check_id}: {detail}"


def _moment(value: Moment) -> tuple[datetime, bool]:
    """The time of a record, and whether its zone is known."""
    try:
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            time = datetime.fromisoformat(value)
            return (
                (time.astimezone(UTC), True) if time.tzinfo else (time.replace(tzinfo=UTC), False)
            )
        if value is not None:
            seconds = float(value)
            if abs(seconds) > _MILLISECONDS:
                seconds /= 1000
            return datetime.fromtimestamp(seconds, UTC), True
    except (ValueError, OverflowError, OSError):
        pass
    if value is None:
        raise Unusable("it has no time, so its age is unknown. Fix: scan again")
    raise Unusable(f"its time {short(value)} is not a valid time")
