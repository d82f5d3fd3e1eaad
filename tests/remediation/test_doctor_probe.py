"""Which key of an account-Region the doctor tries its calls with, and what it says without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from dead_key import ACCOUNT, ARN, DEAD, NOW

from keysweep.remediation.doctor import probe
from keysweep.remediation.doctor.findings import examination
from keysweep.remediation.evidence.references.index import Index
from keysweep.remediation.models import Evidence, KeyArn, KeyDescription, NotFound, Unreadable
from keysweep.remediation.policy import Policy

OTHERS = [KeyArn("aws", ACCOUNT, ARN.region, f"{n:08}-12ab-34cd-56ef-1234567890ab") for n in (1, 2)]
DENIED = Unreadable(unreadable="denied", operation="DescribeKey", code="AccessDeniedException")
AWS_MANAGED = DEAD.description.model_copy(update={"key_manager": "AWS"})  # type: ignore[union-attr]
TAGS_DENIED = Unreadable(unreadable="x", operation="ListResourceTags", code="AccessDenied")
Seen = KeyDescription | NotFound | Unreadable


@dataclass
class _Account:
    """An account-Region with these keys, instead of the collector and its connection."""

    keys: Mapping[KeyArn, Any]
    refused: bool = False
    account_id: str = ACCOUNT
    region: str = ARN.region
    partition: str = "aws"
    jobs: int = 1
    sources: Mapping[str, Any] = field(
        default_factory=lambda: {
            "description": SimpleNamespace(permissions=("kms:DescribeKey",)),
            "tags": SimpleNamespace(permissions=("kms:ListResourceTags",)),
        }
    )

    @property
    def accounts(self) -> Any:
        return SimpleNamespace(connect=lambda _where: self)

    @property
    def account_region(self) -> Any:
        return ARN.account_region

    @property
    def clock(self) -> Any:
        return SimpleNamespace(now=lambda: NOW)

    def client(self, _service: str) -> Any:
        def list_keys(**_: object) -> dict[str, list[dict[str, str]]]:
            if self.refused:
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListKeys")
            return {"Keys": [{"KeyArn": str(arn)} for arn in self.keys]}

        return SimpleNamespace(list_keys=list_keys)

    def read_one(self, evidence: Evidence, pieces: Iterable[str]) -> Evidence:
        values = {"description": self.keys.get(evidence.key_arn, NotFound()), "tags": TAGS_DENIED}
        return evidence.model_copy(update={piece: values[piece] for piece in pieces})


def examined(
    monkeypatch: pytest.MonkeyPatch, keys: Mapping[KeyArn, Seen], given: KeyArn | None, **how: bool
) -> tuple[set[str], bool]:
    """Operations that could not be read, and whether they would hold keys."""
    for name in ("scan_region", "scan_account"):
        monkeypatch.setattr(probe, name, lambda *_args, **_options: Index())
    account: Any = _Account(keys, **how)
    rows = probe.Probe(account, Policy()).run({ARN.account_region: given})
    found = examination(rows, Policy(), NOW)
    return {row.operation for one in rows for row in one.rows}, found.holds_keys


def test_a_key_of_the_results_that_is_gone_is_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys: dict[KeyArn, Seen] = {OTHERS[0]: AWS_MANAGED, OTHERS[1]: DEAD.description}  # type: ignore[dict-item]
    assert examined(monkeypatch, keys, ARN) == ({"ListResourceTags"}, True)


def test_a_denied_description_does_not_mean_that_the_key_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert examined(monkeypatch, {ARN: DENIED}, None) == ({"DescribeKey"}, True)
    one_of_two: dict[KeyArn, Seen] = {OTHERS[0]: DENIED, ARN: DEAD.description}  # type: ignore[dict-item]
    assert examined(monkeypatch, one_of_two, None) == ({"ListResourceTags"}, True)


def test_a_refused_list_does_not_mean_that_there_are_no_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert examined(monkeypatch, {}, None, refused=True) == ({"ListKeys"}, True)


def test_without_a_key_there_is_nothing_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined(monkeypatch, {}, None) == (set(), False)
