"""The log of AWS requests: a line for each attempt, and nothing secret in any of them."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.errors import AccountUnavailable, TruncatedResponse
from keysweep.remediation.models import KeyArn

SHOP, DATA = "111122223333", "444455556666"
ROLE = "KeysweepOperator"
QUICK = ClientSettings(quota_share=100, read_timeout=60, attempts=3)
IMPATIENT = ClientSettings(quota_share=100, read_timeout=2, attempts=3)

LINE = re.compile(
    r"(?P<operation>\S+) account=(?P<account>\S+) region=(?P<region>\S+) attempt=(?P<attempt>\d+) "
    r"status=(?P<status>\S+) ms=(?P<ms>\d+) request_id=(?P<request_id>\S+) error=(?P<error>\S+)"
)

Scenario = Callable[[Mapping[str, Any]], EmbeddedAws]
Lines = Callable[[str], list[dict[str, str]]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """The fields of each logged attempt of an operation, `service:Operation`."""
    caplog.set_level(logging.DEBUG, "keysweep")

    def of(operation: str) -> list[dict[str, str]]:
        records = [r for r in caplog.records if r.name == "keysweep.remediation.aws.request_log"]
        found = [LINE.fullmatch(record.getMessage()) for record in records]
        assert None not in found
        fields = [line.groupdict() for line in found if line is not None]
        return [line for line in fields if line["operation"] == operation]

    return of


def _one_key(aws: Scenario, **more: Any) -> tuple[EmbeddedAws, KeyArn]:
    keys = {"keys": [{"name": "k", "state": "Disabled", **more}]}
    server = aws({SHOP: {"regions": {"eu-west-1": keys}}})
    return server, KeyArn.parse(server.key_arn(SHOP, "eu-west-1", "k"))


def test_a_request_is_a_line(aws: Scenario, lines: Lines) -> None:
    _, arn = _one_key(aws)
    answer = (
        Accounts(settings=QUICK)
        .connect(arn.account_region)
        .client("kms")
        .describe_key(KeyId=str(arn))
    )
    (line,) = lines("kms:DescribeKey")
    assert int(line.pop("ms")) < 60_000
    assert line == {
        "operation": "kms:DescribeKey",
        "account": SHOP,
        "region": "eu-west-1",
        "attempt": "1",
        "status": "200",
        "request_id": answer["ResponseMetadata"]["RequestId"],
        "error": "-",
    }
    (line,) = lines("sts:GetCallerIdentity")
    assert line["account"] == "-"  # unknown before the answer


def test_an_error_answer_has_its_code(aws: Scenario, lines: Lines) -> None:
    server, arn = _one_key(aws)
    server.fault("deny", operation="DescribeKey")
    with pytest.raises(ClientError):
        Accounts(settings=QUICK).connect(arn.account_region).client("kms").describe_key(
            KeyId=str(arn)
        )
    (line,) = lines("kms:DescribeKey")
    assert (line["status"], line["error"]) == ("400", "AccessDeniedException")


def test_each_attempt_is_a_line(aws: Scenario, lines: Lines) -> None:
    server, arn = _one_key(aws)
    server.fault("throttle", operation="DescribeKey", times=1)
    server.fault("drop_before", operation="DescribeKey", times=1)
    Accounts(settings=QUICK).connect(arn.account_region).client("kms").describe_key(KeyId=str(arn))
    found = [(line["attempt"], line["status"], line["error"]) for line in lines("kms:DescribeKey")]
    assert found == [
        ("1", "400", "ThrottlingException"),
        ("2", "-", "ConnectionClosedError"),
        ("3", "200", "-"),
    ]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("drop_after", ConnectionClosedError),
        ("hang_before", ReadTimeoutError),
        ("truncate_valid_length", TruncatedResponse),
    ],
)
def test_a_lost_answer_is_a_line(
    kind: str, error: type[Exception], aws: Scenario, lines: Lines
) -> None:
    server, arn = _one_key(aws)
    server.fault(kind, operation="ScheduleKeyDeletion", seconds=60)
    settings = IMPATIENT if kind == "hang_before" else QUICK
    kms = Accounts(settings=settings).connect(arn.account_region).client("kms", writes=True)
    with pytest.raises(error):
        kms.schedule_key_deletion(KeyId=str(arn), PendingWindowInDays=7)
    server.clear_faults()
    (line,) = lines("kms:ScheduleKeyDeletion")
    assert (line["status"], line["error"]) == ("-", error.__name__)


def test_waiting_for_a_quota_is_not_the_time_of_a_request(aws: Scenario, lines: Lines) -> None:
    _, arn = _one_key(aws, state="PendingDeletion")
    kms = (
        Accounts(settings=ClientSettings(quota_share=0.1))
        .connect(arn.account_region)
        .client("kms", writes=True)
    )
    kms.cancel_key_deletion(KeyId=str(arn))  # 0.5 requests a second: the first waits two seconds
    (line,) = lines("kms:CancelKeyDeletion")
    assert int(line["ms"]) < 1500


def test_a_call_without_credentials_sends_nothing(
    aws: Scenario, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arn = _one_key(aws)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(AccountUnavailable):
        Accounts(settings=QUICK).connect(arn.account_region)
    assert lines("sts:GetCallerIdentity") == []


@pytest.mark.parametrize("kind", [None, "deny", "throttle", "drop_after", "truncate"])
def test_no_secret_is_logged(
    kind: str | None, aws: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "keysweep")
    key = {"name": "k", "state": "Disabled", "tags": {"owner": "tag-canary"}}
    server = aws(
        {
            SHOP: {"regions": {"eu-west-1": {"keys": [key]}}},
            DATA: {
                "regions": {"eu-west-1": {"keys": [key]}},
                "roles": {ROLE: {"external_id": "external-canary"}},
            },
        }
    )
    arn = KeyArn.parse(server.key_arn(DATA, "eu-west-1", "k"))
    connection = Accounts(Access(role_name=ROLE, external_id="external-canary"), QUICK).connect(
        arn.account_region
    )
    credentials = connection.session.get_credentials().get_frozen_credentials()
    kms = connection.client("kms")
    if kind is not None:
        server.fault(kind, operation="ListResourceTags", times=None)
        server.fault(kind, operation="TagResource", times=None)
    for call in (
        lambda: kms.list_resource_tags(KeyId=str(arn)),
        lambda: kms.tag_resource(KeyId=str(arn), Tags=[{"TagKey": "t", "TagValue": "tag-canary"}]),
    ):
        try:
            call()
        except (ClientError, ConnectionClosedError, TruncatedResponse):
            assert kind is not None
    server.clear_faults()
    environment = server.environment(SHOP)
    secrets = {
        "external-canary",
        "tag-canary",
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        *credentials[:3],  # key id, secret and token
    }
    assert "kms:TagResource" in caplog.text
    assert "sts:AssumeRole" in caplog.text
    assert {secret for secret in secrets if secret in caplog.text} == set()
