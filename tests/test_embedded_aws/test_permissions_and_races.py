"""IAM policies of callers, lagging answers, and another principal that acts between two calls."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from embedded_aws.testing import ACCOUNT, Lab, outcome


def allow(*actions: str, **more: object) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def as_role(lab: Lab, role: str) -> boto3.session.Session:
    credentials = lab.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="test"
    )["Credentials"]
    return boto3.session.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name="eu-west-1",
    )


def test_a_role_may_do_what_its_policies_say_in_every_service(lab: Lab) -> None:
    documents = [
        allow("ec2:DescribeVolumes", "s3:ListAllMyBuckets", "cloudtrail:LookupEvents"),
        allow("tag:GetResources", "kms:DescribeKey"),
    ]
    lab.scenario({"name": "key"}, roles={"Reader": {"policies": documents}})
    session = as_role(lab, "Reader")

    def client(service: str) -> Any:
        made: Any = session.client
        return made(service, endpoint_url=lab.aws.endpoint)

    assert outcome(client("ec2").describe_volumes) == "ok"
    assert outcome(client("ec2").describe_snapshots) == "UnauthorizedOperation"
    assert outcome(client("s3").list_buckets) == "ok"
    assert outcome(client("sqs").list_queues) in ("AccessDenied", "AccessDeniedException")
    assert outcome(client("cloudtrail").lookup_events) == "ok"
    assert outcome(client("resourcegroupstaggingapi").get_resources) == "ok"
    assert outcome(client("lambda").list_functions) == "AccessDeniedException"
    assert outcome(client("kms").describe_key, KeyId=lab.arn("key")) == "ok"
    assert outcome(client("kms").list_aliases) == "AccessDeniedException"
    assert outcome(client("sts").get_caller_identity) == "ok"


def test_the_resource_of_a_statement_narrows_kms(lab: Lab) -> None:
    documents = [allow("kms:DescribeKey", Resource=f"arn:aws:kms:us-east-1:{ACCOUNT}:key/*")]
    lab.scenario({"name": "key"}, roles={"Reader": {"policies": documents}})
    made: Any = as_role(lab, "Reader").client
    kms = made("kms", endpoint_url=lab.aws.endpoint)
    assert outcome(kms.describe_key, KeyId=lab.arn("key")) == "AccessDeniedException"


def test_a_condition_on_a_tag_narrows_kms(lab: Lab) -> None:
    condition = {"StringEquals": {"aws:ResourceTag/Team": "blue"}}
    documents = [allow("kms:DisableKey", Condition=condition)]
    lab.scenario(
        {"name": "blue", "tags": {"Team": "blue"}},
        {"name": "red", "tags": {"Team": "red"}},
        roles={"Blue": {"policies": documents}},
    )
    made: Any = as_role(lab, "Blue").client
    kms = made("kms", endpoint_url=lab.aws.endpoint)
    assert outcome(kms.disable_key, KeyId=lab.arn("blue")) == "ok"
    assert outcome(kms.disable_key, KeyId=lab.arn("red")) == "AccessDeniedException"


def test_a_service_control_policy_denies_the_operator_too(lab: Lab) -> None:
    deny = {"Statement": [{"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}]}
    lab.scenario(service_control_policies=[deny])
    assert outcome(lab.client("ec2").describe_volumes) == "UnauthorizedOperation"
    assert outcome(lab.client("s3").list_buckets) == "ok"


def state(lab: Lab, name: str) -> str:
    shown = lab.client("kms").describe_key(KeyId=lab.arn(name))["KeyMetadata"]
    return str(shown["KeyState"])


def test_describe_key_may_lag_behind_the_last_change(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    lab.client("kms").schedule_key_deletion(KeyId=lab.arn("dead"), PendingWindowInDays=7)
    lab.aws.fault("stale", operation="DescribeKey", times=2)
    assert [state(lab, "dead") for _ in range(3)] == ["Disabled", "Disabled", "PendingDeletion"]


def test_a_resource_changes_right_after_a_read(lab: Lab) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"}, {"name": "other", "state": "Disabled"})
    arn = lab.arn("dead")
    lab.aws.fault("meddle", operation="DescribeKey", key=arn, then={"operation": "EnableKey"})
    assert state(lab, "other") == "Disabled"
    assert [state(lab, "dead") for _ in range(2)] == ["Disabled", "Enabled"]
    assert state(lab, "other") == "Disabled"


@pytest.mark.parametrize(
    ("then", "seen"),
    [
        ({"operation": "TagResource", "Tags": [{"TagKey": "a", "TagValue": "b"}]}, "tags"),
        ({"operation": "CreateAlias", "AliasName": "alias/new"}, "aliases"),
        (
            {"operation": "CreateGrant", "GranteePrincipal": "app", "Operations": ["Decrypt"]},
            "grants",
        ),
    ],
)
def test_meddling_changes_what_a_key_has(lab: Lab, then: dict[str, Any], seen: str) -> None:
    lab.scenario({"name": "key"})
    arn = lab.arn("key")
    before = (lab.aws.key(arn) or {})[seen]
    target = {"TargetKeyId": arn} if then["operation"] == "CreateAlias" else {}
    lab.aws.fault("meddle", operation="DescribeKey", then={**then, **target})
    assert state(lab, "key") == "Enabled"
    assert (lab.aws.key(arn) or {})[seen] != before


@pytest.mark.parametrize(
    "fault", [{"kind": "meddle"}, {"kind": "deny", "then": {"operation": "X"}}]
)
def test_meddling_says_what_it_does(lab: Lab, fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="takes `then`"):
        lab.aws.fault(**fault)


def test_events_of_refused_calls_may_hide_their_key(lab: Lab) -> None:
    region = {"keys": [{"name": "dead", "state": "Disabled"}]}
    accounts = {ACCOUNT: {"regions": {"eu-west-1": region}}}
    lab.aws.reset({"failed_events_carry_resources": False, "accounts": accounts})
    arn = lab.arn("dead")
    assert outcome(lab.client("kms").encrypt, KeyId=arn, Plaintext=b"x") == "DisabledException"
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "Encrypt"}]
    [event] = lab.client("cloudtrail").lookup_events(LookupAttributes=wanted)["Events"]
    assert event["Resources"] == []
    assert arn in json.loads(event["CloudTrailEvent"])["errorMessage"]


def test_the_truth_is_chosen_by_fields(lab: Lab) -> None:
    lab.scenario({"name": "one", "state": "Disabled"}, {"name": "two"})
    assert [one["name"] for one in lab.aws.keys(state="Disabled")] == ["one"]
    assert [one["name"] for one in lab.aws.keys(region="eu-west-1", name="two")] == ["two"]
    assert lab.aws.keys(account="999999999999") == []
    with pytest.raises(ValueError, match="color"):
        lab.aws.keys(color="blue")


def test_a_state_that_does_not_exist_cannot_be_set(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    with pytest.raises(ValueError, match="no state Dead"):
        lab.aws.set_state(lab.arn("key"), "Dead")
