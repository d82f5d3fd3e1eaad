"""Prowler's OCSF JSON (`*.ocsf.json`): Security Finding in 3.16, Detection Finding from 4.0 on.

Source: results of Prowler 3.16.17, 4.0.1, 4.6.2, 5.10.2 and 5.46.0.

* Check: `metadata.event_code`; in 4.0 and 4.1 a part of `finding_info.uid`; in 3.16
  `metadata.product.feature.uid`.
* Status: `status_code`, with the `status` "Suppressed" if muted; in 3.16 only `status`.
* Time: `time`, in seconds since 1970. `event_time` in 4.0 and `time` in 3.16 are local times
  without a time zone.

Compliance Findings (class 2003) repeat findings for each requirement and are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from ...escape import short
from ...models import FindingStatus
from ..checks import ACTED_ON
from ..format import Format, Notice, Reading, Unusable, refuse_ambiguous
from ..prowler import Moment, ProwlerRecord, findings

_SECURITY_FINDING: Final = 2001
_COMPLIANCE_FINDING: Final = 2003

_NEWEST_SCHEMA: Final = (1, 5)
"""OCSF of Prowler 5.46."""

_UID: Final = re.compile(r"prowler-aws-(?P<check>[^-]+)-")


class _Feature(Struct):
    uid: str = ""


class _Product(Struct):
    name: Literal["Prowler"]
    feature: _Feature = field(default_factory=_Feature)


class _Metadata(Struct):
    product: _Product
    event_code: str = ""
    version: str = ""


class _Identity(Struct):
    uid: str = ""


class _Head(Struct):
    metadata: _Metadata
    class_uid: int
    finding_info: _Identity = field(default_factory=_Identity)

    def __post_init__(self) -> None:
        if not self.check_id:
            raise ValueError("no record that Prowler wrote")

    @property
    def check_id(self) -> str:
        in_uid = _UID.match(self.finding_info.uid)
        return (
            self.metadata.event_code
            or self.metadata.product.feature.uid
            or (in_uid["check"] if in_uid else "")
        )


class _Resource(Struct):
    uid: str = ""
    region: str | None = None
    cloud_partition: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Cloud(Struct):
    account: _Identity = field(default_factory=_Identity)
    region: str | None = None


class _Record(_Head):
    status: str = ""
    status_code: str | None = None
    status_detail: str = ""
    resources: list[_Resource] = []
    cloud: _Cloud = field(default_factory=_Cloud)
    time: Moment = None
    event_time: Moment = None


class _KeyMetadata(Struct):
    state: str | None = None


class _Data(Struct):
    metadata: _KeyMetadata


def _read(raw: msgspec.Raw, source: str, position: str) -> Iterator[Reading]:
    refuse_ambiguous(raw)
    record = msgspec.json.decode(raw, type=_Record)
    if len(record.resources) != 1:
        raise Unusable(f"it has {len(record.resources)} resources, where Prowler writes one")
    if _newer(record.metadata.version):
        yield Notice(
            f"{short(source)} is in OCSF {short(record.metadata.version)}, newer than this version "
            "of Keysweep supports; it is read as the newest supported version"
        )
    resource = record.resources[0]
    yield from findings(
        ProwlerRecord(
            check_id=record.check_id,
            status=_status(record),
            resource=resource.uid,
            accounts=(record.cloud.account.uid,),
            regions=(resource.region, record.cloud.region),
            partitions=(resource.cloud_partition,),
            time=record.event_time if record.time is None else record.time,
            detail=record.status_detail,
            key_state=_state(resource.data),
        ),
        source,
        position,
    )


def _newer(version: str) -> bool:
    known = re.match(r"(\d{1,6})\.(\d{1,6})", version)
    return known is not None and (int(known[1]), int(known[2])) > _NEWEST_SCHEMA


def _status(record: _Record) -> FindingStatus | None:
    if record.class_uid == _SECURITY_FINDING:
        return {
            "Failure": FindingStatus.FAIL,
            "Success": FindingStatus.PASS,
            "Unknown": FindingStatus.MANUAL,
            "Other": FindingStatus.MUTED,
        }.get(record.status)
    if record.status == "Suppressed":
        return FindingStatus.MUTED
    return {
        "FAIL": FindingStatus.FAIL,
        "PASS": FindingStatus.PASS,
        "MANUAL": FindingStatus.MANUAL,
    }.get(record.status_code or "")


def _state(data: msgspec.Raw) -> str | None:
    """State of the key at the time of the scan; in results of Prowler 5.10 and later."""
    try:
        return msgspec.json.decode(data, type=_Data).metadata.state
    except msgspec.DecodeError:
        return None


FORMAT: Final = Format(
    name="Prowler OCSF",
    scanner="prowler",
    head=_Head,
    concerns=lambda head: head.class_uid != _COMPLIANCE_FINDING and head.check_id in ACTED_ON,
    read=_read,
)
