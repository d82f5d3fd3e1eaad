"""Prowler's native JSON of version 3 (`-M json`), removed in 4.0. Source: results of 3.16.17.

`AssessmentStartTime` is the scanner's local time, without a time zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct, field

from ...models import FindingStatus
from ..checks import ACTED_ON
from ..format import Format, Reading, refuse_ambiguous
from ..prowler import Moment, ProwlerRecord, findings

_STATUS: Final = {
    "FAIL": FindingStatus.FAIL,
    "PASS": FindingStatus.PASS,
    "INFO": FindingStatus.MANUAL,
    "MANUAL": FindingStatus.MANUAL,
    "WARNING": FindingStatus.MUTED,
}


class _Head(Struct, rename="pascal"):
    check_id: str = field(name="CheckID")
    finding_unique_id: str
    status_extended: str
    status: str


class _Record(_Head, rename="pascal"):
    resource_arn: str = ""
    account_id: str | None = None
    region: str | None = None
    assessment_start_time: Moment = None


def _read(raw: msgspec.Raw, source: str, position: str) -> Iterator[Reading]:
    refuse_ambiguous(raw)
    record = msgspec.json.decode(raw, type=_Record)
    yield from findings(
        ProwlerRecord(
            check_id=record.check_id,
            status=_STATUS.get(record.status),
            resource=record.resource_arn,
            accounts=(record.account_id,),
            regions=(record.region,),
            partitions=(),
            time=record.assessment_start_time,
            detail=record.status_extended,
        ),
        source,
        position,
    )


FORMAT: Final = Format(
    name="Prowler JSON",
    scanner="prowler",
    head=_Head,
    concerns=lambda head: head.check_id in ACTED_ON,
    read=_read,
)
