"""Prowler's OCSF JSON (`*.ocsf.json`), the default of today's versions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ...models import FindingStatus
from ..format import Format, Reading
from ..lookup import JsonObject, at, text_at
from ..prowler import ProwlerRecord, epoch, read_record

_DETECTION_FINDING = 2004


def _recognises(record: JsonObject) -> bool:
    return at(record, "metadata", "product", "name") == "Prowler" and "class_uid" in record


def _read(record: JsonObject, source: str, place: str) -> Iterator[Reading]:
    if record.get("class_uid") == _DETECTION_FINDING:
        yield from read_record(_detection_finding(record), source, place)


def _detection_finding(record: JsonObject) -> ProwlerRecord:
    return ProwlerRecord(
        check_id=text_at(record, "metadata", "event_code"),
        status=_status(record),
        resource=text_at(record, "resources", 0, "uid"),
        stated=(
            ("account", text_at(record, "cloud", "account", "uid")),
            ("Region", text_at(record, "cloud", "region")),
            ("Region", text_at(record, "resources", 0, "region")),
            ("partition", text_at(record, "resources", 0, "cloud_partition")),
        ),
        time=_time(record),
        detail=text_at(record, "status_detail"),
        key_state=text_at(record, "resources", 0, "data", "metadata", "state"),
    )


def _status(record: JsonObject) -> FindingStatus | None:
    if record.get("status") == "Suppressed":
        return FindingStatus.MUTED
    try:
        return FindingStatus(str(record.get("status_code")))
    except ValueError:
        return None


def _time(record: JsonObject) -> datetime | None:
    """`time` is a true moment; `time_dt` is the scanner's local time without its zone."""
    return epoch(record.get("time"))


FORMAT = Format(name="Prowler OCSF", scanner="prowler", recognises=_recognises, read=_read)
