"""Prowler's AWS Security Finding Format (`*.asff.json`), 3.16 to 5.46.

It has no MANUAL findings. Muted findings have the status WARNING (MUTED in 4.0). Security Hub adds
`Workflow` and `RecordState` to findings exported from it ("AWS Security Finding Format", AWS
Security Hub User Guide).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from ...models import FindingStatus
from ..checks import ACTED_ON
from ..format import Format, Reading, Unusable, refuse_ambiguous
from ..prowler import Moment, ProwlerRecord, findings

_STATUS: Final = {
    "FAILED": FindingStatus.FAIL,
    "PASSED": FindingStatus.PASS,
    "NOT_AVAILABLE": FindingStatus.MANUAL,
    "WARNING": FindingStatus.MUTED,
    "MUTED": FindingStatus.MUTED,
}


class _ProductFields(Struct):
    provider: Literal["Prowler"] = field(name="ProviderName")


class _Head(Struct, rename="pascal"):
    product_fields: _ProductFields
    generator_id: str

    @property
    def check_id(self) -> str:
        return self.generator_id.removeprefix("prowler-")


class _Compliance(Struct, rename="pascal"):
    status: str = ""


class _Resource(Struct, rename="pascal"):
    id: str = ""
    region: str | None = None
    partition: str | None = None


class _Workflow(Struct, rename="pascal"):
    status: str = ""


class _Record(_Head, rename="pascal"):
    compliance: _Compliance = field(default_factory=_Compliance)
    resources: list[_Resource] = []
    aws_account_id: str | None = None
    updated_at: Moment = None
    description: str = ""
    record_state: str = ""
    workflow: _Workflow = field(default_factory=_Workflow)


def _read(raw: msgspec.Raw, source: str, position: str) -> Iterator[Reading]:
    refuse_ambiguous(raw)
    record = msgspec.json.decode(raw, type=_Record)
    if len(record.resources) != 1:
        raise Unusable(f"it has {len(record.resources)} resources, where Prowler writes one")
    resource = record.resources[0]
    suppressed = record.record_state == "ARCHIVED" or record.workflow.status in {
        "SUPPRESSED",
        "RESOLVED",
    }
    yield from findings(
        ProwlerRecord(
            check_id=record.check_id,
            status=FindingStatus.MUTED if suppressed else _STATUS.get(record.compliance.status),
            resource=resource.id,
            accounts=(record.aws_account_id,),
            regions=(resource.region,),
            partitions=(resource.partition,),
            time=record.updated_at,
            detail=record.description,
        ),
        source,
        position,
    )


FORMAT: Final = Format(
    name="Prowler ASFF",
    scanner="prowler",
    head=_Head,
    concerns=lambda head: head.check_id in ACTED_ON,
    read=_read,
)
