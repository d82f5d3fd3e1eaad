"""Write Prowler's OCSF results of any size, from the records of a real run."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from .environments import ROOT

FIXTURE: Final = ROOT / "tests/fixtures/results/prowler-5.46.0.ocsf.json"

OURS: Final = "kms_cmk_not_disabled"

OTHERS: Final = (
    "cloudtrail_multi_region_enabled",
    "ec2_ebs_volume_encryption",
    "iam_user_mfa_enabled_console_access",
    "rds_instance_storage_encrypted",
    "s3_bucket_default_encryption",
    "vpc_flow_logs_enabled",
)
"""Checks of Prowler that Keysweep does not act on."""

BLOCK: Final = 1000
"""One of this many records is of Keysweep's check, about as in a scan with all checks."""


def write(path: Path, size: int) -> int:
    """Write a document of about `size` bytes. Returns the number of Keysweep's findings."""
    between, records = _records(FIXTURE.read_text(encoding="utf-8"))
    disabled = next(r for r in records if f'"{OURS}"' in r and '"FAIL"' in r)
    key_id = json.loads(disabled)["resources"][0]["uid"].rpartition("/")[2]
    others = islice(zip(cycle(records), cycle(OTHERS), strict=False), BLOCK - 1)
    rest = between.join(_of_another_check(record, check) for record, check in others)
    written, ours = 0, 0
    with path.open("w", encoding="utf-8") as file:
        written += file.write("[")
        while written < size or not ours:
            ours += 1
            mine = disabled.replace(key_id, str(uuid.UUID(int=ours)))
            lead = between if ours > 1 else ""
            written += file.write(f"{lead}{mine}{between}{rest}")
        file.write("]")
    return ours


def _records(text: str) -> tuple[str, list[str]]:
    """The text between two records, and each record as it was written."""
    found = list(_spans(text))
    return text[found[0][1] : found[1][0]], [text[start:end] for start, end in found]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    decoder = json.JSONDecoder()
    end = 0
    while (start := text.find("{", end)) >= 0:
        _, end = decoder.raw_decode(text, start)
        yield start, end


def _of_another_check(record: str, check: str) -> str:
    return record.replace(json.loads(record)["metadata"]["event_code"], check)
