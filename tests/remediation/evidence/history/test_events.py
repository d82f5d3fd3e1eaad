"""CloudTrail's records: which key an event is about, who acted, and whether it counts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from dead_key import ACCOUNT, ARN, DEAD, PRIMARY, REPLICA, changed

from keysweep.remediation.evidence.history.events import STATE_CHANGES, USES, parse

WHEN = datetime(2026, 10, 1, tzinfo=UTC)
ALIAS_ARN = f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/old-shop"


def record(name: str = "Decrypt", listed: tuple[str, ...] = (), **detail: Any) -> dict[str, Any]:
    return {
        "EventName": name,
        "EventTime": WHEN,
        "Username": "ann",
        "Resources": [{"ResourceName": r, "ResourceType": "AWS::KMS::Key"} for r in listed],
        "CloudTrailEvent": json.dumps(detail),
    }


ABOUT = {
    "resource of the listing": record(listed=(str(ARN),)),
    "resource of the event": record(resources=[{"ARN": str(ARN)}]),
    "request by ARN": record(requestParameters={"keyId": str(ARN)}),
    "request by id": record(requestParameters={"keyId": ARN.key_id}),
    "request by alias": record(requestParameters={"keyId": "alias/old-shop"}),
    "request by the alias's ARN": record(requestParameters={"keyId": ALIAS_ARN}),
    "re-encrypted from": record("ReEncrypt", requestParameters={"sourceKeyId": str(ARN)}),
    "re-encrypted to": record("ReEncrypt", requestParameters={"destinationKeyId": ARN.key_id}),
    "answer": record("DisableKey", responseElements={"keyId": str(ARN)}),
    "new key": record("CreateKey", responseElements={"keyMetadata": {"arn": str(ARN)}}),
    "error's message": record(errorMessage=f"{ARN} is disabled."),
    "error's message by alias": record(errorMessage=f"{ALIAS_ARN} is pending deletion."),
}


@pytest.mark.parametrize("where", ABOUT)
def test_an_event_is_about_the_key_that_it_names_anywhere(where: str) -> None:
    assert parse(ABOUT[where]).about(DEAD)


OTHER = "arn:aws:kms:eu-west-1:111122223333:key/99999999-9999-9999-9999-999999999999"
NOT_ABOUT = {
    "another key": record(listed=(OTHER,), requestParameters={"keyId": OTHER}),
    "no key": record(),
    "nothing in it": record(requestParameters=None, responseElements=None, resources=()),
    "another alias": record(requestParameters={"keyId": "alias/old-shop-2"}),
    "an id within a text": record(requestParameters={"keyId": f"x{ARN.key_id}"}),
    "a new key that is nothing": record("CreateKey", responseElements={"keyMetadata": None}),
}


@pytest.mark.parametrize("where", NOT_ABOUT)
def test_an_event_is_not_about_another_key(where: str) -> None:
    assert not parse(NOT_ABOUT[where]).about(DEAD)


def test_a_replica_is_not_its_primary() -> None:
    """They share the bare id; the event of one Region is about the key of that Region."""
    primary, replica = changed(key_arn=PRIMARY), changed(key_arn=REPLICA)
    event = parse(record("DisableKey", listed=(str(PRIMARY),)))
    assert event.about(primary)
    assert not event.about(replica)


def test_aliases_that_could_not_be_read_match_nothing() -> None:
    unread = changed(aliases=None)
    assert not parse(ABOUT["request by alias"]).about(unread)
    assert parse(ABOUT["request by id"]).about(unread)


@pytest.mark.parametrize(
    ("identity", "who"),
    [
        ({"arn": "arn:aws:iam::111122223333:user/ann"}, "arn:aws:iam::111122223333:user/ann"),
        ({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com"),
        ({}, "ann"),
        (None, "ann"),
    ],
)
def test_who_acted(identity: dict[str, str] | None, who: str) -> None:
    assert parse(record(userIdentity=identity)).who == who


def test_an_error_is_kept_for_people() -> None:
    event = parse(record(errorCode="DisabledException", errorMessage=f"{ARN} is disabled."))
    attempt = event.attempt()
    assert (attempt.event, attempt.error, attempt.time) == ("Decrypt", "DisabledException", WHEN)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"'])
def test_a_record_that_is_no_object_is_an_error_and_not_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse({**record(), "CloudTrailEvent": text})


def test_uses_are_the_operations_that_aws_tracks_and_two_more() -> None:
    kms = botocore.session.get_session().get_service_model("kms")
    answer = kms.operation_model("GetKeyLastUsage").output_shape
    tracked = set(answer.members["KeyLastUsage"].members["Operation"].enum)
    assert set(USES) == tracked | {"CreateGrant", "GetPublicKey"}


def test_every_name_is_an_operation_of_kms() -> None:
    kms = botocore.session.get_session().get_service_model("kms")
    assert {*STATE_CHANGES, *USES} <= set(kms.operation_names)
    assert not set(STATE_CHANGES) & set(USES)
