"""LookupEvents over the calls made and the scenario's past."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from embedded_aws.testing import ACCOUNT, OTHER, Lab, outcome

DAY = 86_400


def lookup(lab: Lab, key: str | None = None, value: str = "", **more: Any) -> list[dict[str, Any]]:
    """Return all events, through all pages."""
    trail, found = lab.client("cloudtrail"), []
    if key:
        more["LookupAttributes"] = [{"AttributeKey": key, "AttributeValue": value}]
    while True:
        answer = trail.lookup_events(**more)
        assert len(answer["Events"]) <= 50
        found += answer["Events"]
        if "NextToken" not in answer:
            return found
        more["NextToken"] = answer["NextToken"]


def test_calls_are_recorded_with_caller_key_and_error(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    arn = lab.arn("dead")
    outcome(lab.client("kms").encrypt, KeyId=arn, Plaintext=b"secret")
    [event] = lookup(lab, "EventName", "Encrypt")
    assert event["EventSource"] == "kms.amazonaws.com"
    assert event["Username"] == "operator"
    assert event["Resources"] == [{"ResourceType": "AWS::KMS::Key", "ResourceName": arn}]
    record = json.loads(event["CloudTrailEvent"])
    assert record["errorCode"] == "DisabledException"
    assert record["errorMessage"] == f"{arn} is disabled."
    assert record["requestParameters"] == {"keyId": arn}
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{ACCOUNT}:user/operator"
    assert record["resources"] == [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}]
    assert (record["awsRegion"], record["recipientAccountId"]) == ("eu-west-1", ACCOUNT)
    assert (record["eventID"], record["eventName"]) == (event["EventId"], "Encrypt")


def test_events_show_when_the_delay_has_passed(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    lab.aws.delay_trail(minutes=15)
    lab.client("kms").describe_key(KeyId=lab.arn("key"))
    assert lookup(lab, "EventName", "DescribeKey") == []
    lab.aws.advance(seconds=14 * 60)
    assert lookup(lab, "EventName", "DescribeKey") == []
    lab.aws.advance(seconds=60)
    assert len(lookup(lab, "EventName", "DescribeKey")) == 1


def test_secrets_are_not_recorded(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    lab.client("kms").encrypt(KeyId=lab.arn("key"), Plaintext=b"secret")
    [event] = lookup(lab, "EventName", "Encrypt")
    assert "laintext" not in event["CloudTrailEvent"]


def test_every_kind_of_outcome_is_recorded(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "PendingDeletion"}, {"name": "live"})
    kms = lab.client("kms")
    outcome(kms.encrypt, KeyId=lab.arn("dead"), Plaintext=b"x")
    kms.encrypt(KeyId=lab.arn("live"), Plaintext=b"x")
    lab.aws.fault("deny", operation="Encrypt")
    outcome(kms.encrypt, KeyId=lab.arn("live"), Plaintext=b"x")
    events = [json.loads(one["CloudTrailEvent"]) for one in lookup(lab, "EventName", "Encrypt")]
    assert [one.get("errorCode") for one in events] == [
        "AccessDenied",
        None,
        "KMSInvalidStateException",
    ]
    assert events[2]["errorMessage"].endswith(" is pending deletion.")


def test_a_dropped_request_leaves_no_event_and_a_dropped_answer_does(lab: Lab) -> None:
    for kind, expected in (("drop_before", 0), ("drop_after", 1)):
        lab.scenario()
        lab.aws.fault(kind, operation="ListKeys")
        with pytest.raises(Exception, match="Connection"):
            lab.client("kms").list_keys()
        assert len(lookup(lab, "EventName", "ListKeys")) == expected


def test_the_use_of_a_shared_key_is_in_both_accounts_trails(lab: Lab) -> None:
    policy = {
        "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
        ]
    }
    lab.scenario({"name": "shared", "policy": policy})
    lab.client("kms", account=OTHER).encrypt(KeyId=lab.arn("shared"), Plaintext=b"x")
    for account in (ACCOUNT, OTHER):
        events = lab.client("cloudtrail", account=account).lookup_events()["Events"]
        [event] = [one for one in events if one["EventName"] == "Encrypt"]
        record = json.loads(event["CloudTrailEvent"])
        assert record["recipientAccountId"] == account
        assert record["userIdentity"]["accountId"] == OTHER


def test_the_scenarios_past_is_there_and_ends_after_90_days(lab: Lab) -> None:
    lab.scenario(
        {"name": "old", "state": "Disabled", "disabled_days_ago": 89, "created_days_ago": 200},
        {"name": "older", "state": "Disabled", "disabled_days_ago": 91, "created_days_ago": 200},
        {"name": "saved", "state": "Disabled", "restored_days_ago": 12, "disabled_by": "Janitor"},
        {
            "name": "tried",
            "state": "Disabled",
            "events": [
                {
                    "name": "Decrypt",
                    "days_ago": 3,
                    "error": "DisabledException",
                    "by": "app",
                    "count": 2,
                },
                {
                    "name": "Decrypt",
                    "days_ago": 2,
                    "error": "DisabledException",
                    "with_resources": False,
                },
            ],
        },
    )

    def names(name: str) -> list[str]:
        return [one["EventName"] for one in lookup(lab, "ResourceName", lab.arn(name))]

    assert names("old") == ["DisableKey"]
    assert names("older") == []
    assert names("saved") == ["CancelKeyDeletion"]
    assert names("tried") == ["Decrypt", "Decrypt"]
    attempts = [json.loads(one["CloudTrailEvent"]) for one in lookup(lab, "EventName", "Decrypt")]
    assert [one["userIdentity"]["type"] for one in attempts] == [
        "IAMUser",
        "AssumedRole",
        "AssumedRole",
    ]
    assert attempts[0]["errorMessage"] == f"{lab.arn('tried')} is disabled."
    lab.aws.advance(days=2)
    assert names("old") == []


def test_events_come_newest_first_by_50_although_others_arrive_between_pages(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    kms, trail = lab.client("kms"), lab.client("cloudtrail")
    for _ in range(120):
        kms.describe_key(KeyId=lab.arn("key"))
    wanted = {"AttributeKey": "ResourceName", "AttributeValue": lab.arn("key")}
    first = trail.lookup_events(LookupAttributes=[wanted])
    kms.describe_key(KeyId=lab.arn("key"))
    second = trail.lookup_events(LookupAttributes=[wanted], NextToken=first["NextToken"])
    third = trail.lookup_events(LookupAttributes=[wanted], NextToken=second["NextToken"])
    assert "NextToken" not in third
    events = first["Events"] + second["Events"] + third["Events"]
    assert [len(one["Events"]) for one in (first, second, third)] == [50, 50, 20]
    assert len({one["EventId"] for one in events}) == 120
    times = [one["EventTime"] for one in events]
    assert times == sorted(times, reverse=True)


def test_the_time_range_narrows(lab: Lab) -> None:
    lab.scenario(
        {"name": "key", "events": [{"name": "Decrypt", "days_ago": d} for d in (5, 15, 25)]}
    )
    now = lab.aws.now()

    def ago(days: float) -> datetime:
        return datetime.fromtimestamp(now - days * DAY, UTC)

    assert len(lookup(lab, "EventName", "Decrypt", StartTime=ago(20))) == 2
    assert len(lookup(lab, "EventName", "Decrypt", StartTime=ago(20), EndTime=ago(10))) == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (
            {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "x"}] * 2},
            "InvalidLookupAttributesException",
        ),
        ({"NextToken": "nonsense"}, "InvalidNextTokenException"),
        ({"StartTime": 2000, "EndTime": 1000}, "InvalidTimeRangeException"),
    ],
)
def test_a_wrong_lookup_is_refused(lab: Lab, arguments: dict[str, Any], code: str) -> None:
    assert outcome(lab.client("cloudtrail").lookup_events, **arguments) == code


def test_a_token_of_another_lookup_is_refused(lab: Lab) -> None:
    kms, trail = lab.client("kms"), lab.client("cloudtrail")
    for _ in range(60):
        kms.list_keys()
    token = trail.lookup_events()["NextToken"]
    other = [{"AttributeKey": "EventName", "AttributeValue": "ListKeys"}]
    code = outcome(trail.lookup_events, LookupAttributes=other, NextToken=token)
    assert code == "InvalidNextTokenException"


def test_regions_and_accounts_have_trails_of_their_own(lab: Lab) -> None:
    lab.client("kms", "us-east-1").list_keys()
    assert lookup(lab, "EventName", "ListKeys") == []
    other = lab.client("cloudtrail", account=OTHER).lookup_events()["Events"]
    assert other == []


def test_the_deletion_itself_is_an_event(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "PendingDeletion", "window_days": 7})
    arn = lab.arn("dead")
    lab.aws.advance(days=8)
    [event] = lookup(lab, "EventName", "DeleteKey")
    assert event["Resources"][0]["ResourceName"] == arn
