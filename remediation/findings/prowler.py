"""What all of Prowler's formats have in common: one check, one resource, one status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from ..models import Finding, FindingStatus, KeyArn, UnusableRecord
from .checks import ACTED_ON
from .format import Notice, Reading
from .shown import shown


@dataclass(frozen=True)
class ProwlerRecord:
    """The fields of one record, as far as its format has them."""

    check_id: str | None
    status: FindingStatus | None
    resource: str | None
    """What Prowler gives as the ARN of the resource."""
    stated: tuple[tuple[str, str | None], ...]
    """`account`, `Region` and `partition` as stated beside the ARN, which alone is believed."""
    time: datetime | None
    detail: str | None
    """Prowler's sentence about the resource (status_extended)."""
    key_state: str | None = None


def read_record(record: ProwlerRecord, source: str, place: str) -> Iterator[Reading]:
    """The finding of a record; nothing for the checks that Keysweep does not act on."""
    if record.check_id not in ACTED_ON:
        return
    try:
        if record.status is None:
            raise ValueError("its status is none that Prowler writes")
        key = _key(record)
    except ValueError as error:
        if record.status is FindingStatus.MANUAL and record.resource != "":
            yield Notice(_unlistable(record))
            return
        yield UnusableRecord(source=source, place=place, problem=f"{record.check_id}: {error}")
        return
    yield Finding(
        scanner="prowler",
        check_id=record.check_id,
        status=record.status,
        source=source,
        place=place,
        key_arn=key,
        key_state=record.key_state,
        time=record.time,
    )


def _key(record: ProwlerRecord) -> KeyArn:
    key = KeyArn.parse(record.resource)
    of_arn = {"account": key.account_id, "Region": key.region, "partition": key.partition}
    for name, value in record.stated:
        if value is not None and value != of_arn[name]:
            raise ValueError(f"it states the {name} {shown(value)}, and its ARN is {key}")
    return key


def _unlistable(record: ProwlerRecord) -> str:
    where = ", ".join(f"{name} {shown(value)}" for name, value in record.stated if value)
    return f"{record.check_id} could not look everywhere ({where}): {shown(record.detail or '')}"


def epoch(value: object) -> datetime | None:
    """A moment from seconds since 1970 (OCSF's own milliseconds are told by their size)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value / 1000 if abs(value) > 1e11 else value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
