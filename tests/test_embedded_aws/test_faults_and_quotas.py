"""Faults on demand, and throttling."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from embedded_aws.testing import ACCOUNT, OTHER, Lab, outcome

ERRORS = {
    "deny": {
        "kms": "AccessDeniedException",
        "sts": "AccessDenied",
        "ec2": "UnauthorizedOperation",
        "s3": "AccessDenied",
        "lambda": "AccessDeniedException",
    },
    "throttle": {
        "kms": "ThrottlingException",
        "sts": "Throttling",
        "ec2": "RequestLimitExceeded",
        "s3": "SlowDown",
        "lambda": "TooManyRequestsException",
    },
    "expire": {
        "kms": "ExpiredTokenException",
        "sts": "ExpiredToken",
        "ec2": "RequestExpired",
        "s3": "ExpiredToken",
        "lambda": "ExpiredTokenException",
    },
    "error_500": {
        "kms": "KMSInternalException",
        "sts": "InternalFailure",
        "ec2": "InternalError",
        "s3": "InternalError",
        "lambda": "InternalServerErrorException",
    },
}
CALLS = {
    "kms": "list_keys",
    "sts": "get_caller_identity",
    "ec2": "describe_regions",
    "s3": "list_buckets",
    "lambda": "list_functions",
}


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("service", CALLS)
def test_an_error_speaks_the_services_own_words(lab: Lab, kind: str, service: str) -> None:
    lab.aws.fault(kind, service=service)
    call = getattr(lab.client(service), CALLS[service])
    assert outcome(call) == ERRORS[kind][service]
    assert outcome(call) == "ok"


def pending(lab: Lab, name: str = "dead") -> bool:
    return (lab.aws.key(lab.arn(name)) or {})["state"] == "PendingDeletion"


@pytest.mark.parametrize(
    ("kind", "done"),
    [
        ("deny", False),
        ("throttle", False),
        ("expire", False),
        ("error_500", False),
        ("drop_before", False),
        ("drop_after", True),
        ("hang_before", False),
        ("hang_after", True),
    ],
)
def test_a_call_that_gives_no_answer_was_done_or_not(lab: Lab, kind: str, done: bool) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    lab.aws.fault(kind, operation="ScheduleKeyDeletion", seconds=0.2)
    with pytest.raises((ClientError, BotoCoreError)):
        lab.client("kms").schedule_key_deletion(KeyId=lab.arn("dead"), PendingWindowInDays=7)
    assert pending(lab) is done


@pytest.mark.parametrize("kind", ["truncate", "truncate_unsized", "truncate_valid_length"])
def test_a_call_with_a_truncated_answer_was_done(lab: Lab, kind: str) -> None:
    lab.scenario({"name": "dead", "state": "Disabled"})
    lab.aws.fault(kind, operation="ScheduleKeyDeletion")
    try:
        answer = lab.client("kms").schedule_key_deletion(
            KeyId=lab.arn("dead"), PendingWindowInDays=7
        )
    except (ClientError, BotoCoreError):
        pass
    else:
        assert "DeletionDate" not in answer
    assert pending(lab)


def raw(lab: Lab, target: str, body: dict[str, Any]) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one KMS request without botocore and return the answer as it came."""
    request = boto3.client("kms", **lab.aws.client_arguments(ACCOUNT, "eu-west-1"))
    key = request._request_signer._credentials.access_key
    parts = urlsplit(lab.aws.endpoint)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    scope = f"{key}/20260101/eu-west-1/kms/aws4_request"
    headers = {
        "X-Amz-Target": f"TrentService.{target}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
    }
    connection.request("POST", "/", json.dumps(body), headers)
    response = connection.getresponse()
    try:
        return response, response.read()
    except http.client.IncompleteRead as cut:
        return response, cut.partial


def test_the_three_ways_to_truncate_an_answer(lab: Lab) -> None:
    lab.scenario({"name": "key"})
    whole = raw(lab, "DescribeKey", {"KeyId": lab.arn("key")})[1]
    for kind in ("truncate", "truncate_unsized", "truncate_valid_length"):
        lab.aws.fault(kind)
        response, body = raw(lab, "DescribeKey", {"KeyId": lab.arn("key")})
        assert body == whole[: len(body)]
        assert 0 < len(body) < len(whole)
        expected = {
            "truncate": str(len(whole)),
            "truncate_unsized": None,
            "truncate_valid_length": str(len(body)),
        }
        assert response.headers["Content-Length"] == expected[kind]


def test_a_fault_hits_what_it_addresses_and_nothing_else(lab: Lab) -> None:
    lab.scenario({"name": "one", "aliases": ["alias/one"]}, {"name": "two"})
    lab.aws.fault(
        "deny",
        service="kms",
        operation="DescribeKey",
        account=ACCOUNT,
        region="eu-west-1",
        key=lab.arn("one"),
        times=None,
    )
    kms = lab.client("kms")
    assert outcome(kms.describe_key, KeyId=lab.arn("one")) == "AccessDeniedException"
    assert outcome(kms.describe_key, KeyId="alias/one") == "AccessDeniedException"
    assert outcome(kms.describe_key, KeyId=lab.arn("two")) == "ok"
    assert outcome(kms.list_grants, KeyId=lab.arn("one")) == "ok"
    assert outcome(lab.client("kms", account=OTHER).list_keys) == "ok"
    assert [(one["seen"], one["hit"]) for one in lab.aws.faults()] == [(2, 2)]


def test_a_fault_lets_calls_pass_and_then_hits_so_many(lab: Lab) -> None:
    lab.aws.fault("throttle", operation="ListKeys", skip=2, times=3)
    call = lab.client("kms").list_keys
    expected = ["ok"] * 2 + ["ThrottlingException"] * 3 + ["ok"]
    assert [outcome(call) for _ in expected] == expected


def test_the_log_says_which_fault_hit(lab: Lab) -> None:
    lab.aws.clear_calls()
    lab.aws.fault("drop_after", operation="ListKeys")
    with pytest.raises(BotoCoreError):
        lab.client("kms").list_keys()
    assert [one["outcome"] for one in lab.aws.calls()] == ["fault:drop_after"]


@pytest.mark.parametrize(
    ("fault", "names"),
    [({"kind": "explode"}, "kind is"), ({"kind": "deny", "operatoin": "X"}, "no operatoin")],
)
def test_a_mistake_in_a_fault_is_an_error(lab: Lab, fault: dict[str, str], names: str) -> None:
    with pytest.raises(ValueError, match=names):
        lab.aws.fault(**fault)


def test_hanging_calls_end_when_the_faults_are_cleared(lab: Lab) -> None:
    lab.aws.fault("hang_before", operation="ListKeys", seconds=600)
    config = Config(read_timeout=0.5, retries={"total_max_attempts": 1})
    kms = boto3.client("kms", config=config, **lab.aws.client_arguments(ACCOUNT, "eu-west-1"))
    start = time.monotonic()
    with pytest.raises(BotoCoreError):
        kms.list_keys()
    lab.aws.clear_faults()
    assert outcome(lab.client("kms").list_keys) == "ok"
    assert time.monotonic() - start < 120


def burst(call: Any, times: int) -> list[str]:
    return [outcome(call) for _ in range(times)]


def test_quotas_throttle_by_operation_account_and_region(lab: Lab) -> None:
    lab.aws.quotas(True, {"kms:ListKeys": 5, "kms:ListAliases": 5})
    answers = burst(lab.client("kms").list_keys, 12)
    assert answers[:5] == ["ok"] * 5
    assert "ThrottlingException" in answers
    for other in (
        lab.client("kms").list_aliases,
        lab.client("kms", account=OTHER).list_keys,
        lab.client("kms", "us-east-1").list_keys,
    ):
        assert outcome(other) == "ok"


def test_a_throttled_call_is_http_400_and_its_bucket_fills_again(lab: Lab) -> None:
    lab.aws.quotas(True, {"kms:ListKeys": 5})
    call = lab.client("kms").list_keys
    assert "ThrottlingException" in burst(call, 30)
    [status] = {one["status"] for one in lab.aws.calls() if one["outcome"] != "ok"}
    assert status == 400
    time.sleep(0.5)
    assert outcome(call) == "ok"


def test_a_throttled_call_is_not_done(lab: Lab) -> None:
    lab.scenario({"name": "dead-{n}", "count": 40, "state": "Disabled"})
    lab.aws.quotas(True)
    kms = lab.client("kms")
    answers = [
        outcome(kms.schedule_key_deletion, KeyId=lab.arn(f"dead-{n}"), PendingWindowInDays=7)
        for n in range(1, 41)
    ]
    assert set(answers) == {"ok", "ThrottlingException"}
    scheduled = [one for one in lab.aws.keys() if one["state"] == "PendingDeletion"]
    assert len(scheduled) == answers.count("ok")


def test_without_quotas_nothing_is_throttled(lab: Lab) -> None:
    assert set(burst(lab.client("kms").list_keys, 60)) == {"ok"}
