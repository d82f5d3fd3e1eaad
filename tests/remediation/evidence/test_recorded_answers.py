"""The sources of evidence on KMS answers that are made from recorded facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from keysweep.remediation.evidence import SOURCES
from keysweep.remediation.evidence.description import describe
from keysweep.remediation.models import Evidence, KeyArn, KeyDescription, LastUse
from recorded_answers import answers, make

ARN = KeyArn.parse("arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-0000-0000-000000000000")
KMS = answers("kms")
KINDS = KMS["DescribeKey"]["kinds"]
METADATA = {
    "AWSAccountId": "111122223333",
    "Arn": str(ARN),
    "KeyId": ARN.key_id,
    "KeyManager": "CUSTOMER",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "KeyState": "Disabled",
    "Origin": "AWS_KMS",
    "KeySpec": "SYMMETRIC_DEFAULT",
    "MultiRegionKeyType": "PRIMARY",
}


@pytest.fixture
def read(stubbed: Callable[..., Any]) -> Callable[..., Any]:
    """Read a piece from answers with these fields; `wanted` are values that AWS would give."""

    def reading(piece: str, *, full: bool, absent: frozenset[str] = frozenset(), **wanted: Any):
        connection: Any = None

        def answer(operation: str, _request: dict[str, Any]) -> dict[str, Any]:
            model = connection.client("kms").meta.service_model
            made: dict[str, Any] = make(
                model.operation_model(operation).output_shape,
                KMS[operation]["fields"],
                full=full or operation == "DescribeKey",
                absent={"NextMarker", *absent},
                wanted={**METADATA, **wanted},
            )
            return made

        connection = stubbed(answer)
        evidence = Evidence(key_arn=ARN)
        if piece != "description":
            found = describe(connection, ARN)
            evidence = evidence.model_copy(update={"description": found})
        source = SOURCES[piece]
        if source.read_key is not None:
            return source.read_key(connection, evidence)
        assert source.read_account_region is not None
        return source.read_account_region(connection, [evidence])[ARN]

    return reading


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind['KeyState']}-{kind['KeySpec']}")
def test_a_key_of_each_recorded_kind_is_described(read: Any, kind: dict[str, Any]) -> None:
    has = {*KMS["DescribeKey"]["every"], *kind["always"]}
    top = {
        path.removeprefix("KeyMetadata.")
        for path in KMS["DescribeKey"]["fields"]
        if path.count(".") == 1
    }
    wanted = {name: kind[name] for name in ("KeyState", "Origin", "KeySpec")}
    found = read("description", full=True, absent=frozenset(top - has), **wanted)
    assert isinstance(found, KeyDescription)
    assert (found.key_state, found.origin, found.key_spec) == tuple(wanted.values())
    assert (found.multi_region_type is not None) == kind["MultiRegion"]


def test_the_other_pieces_are_read_from_all_fields(read: Any) -> None:
    assert read("aliases", full=True, TargetKeyId=ARN.key_id)[0].startswith("alias/")
    assert read("grants", full=True) == ()
    assert read("key_policy", full=True).problem is None
    assert len(read("tags", full=True)) == 1
    assert read("rotations", full=True) == 1
    assert isinstance(read("last_use", full=True), LastUse)


def test_an_alias_without_a_target_or_dates_belongs_to_no_key(read: Any) -> None:
    assert read("aliases", full=False) == ()
