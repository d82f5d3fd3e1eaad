"""Each way that AWS can fail to answer a call of the reference list is a gap of that call alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Accounts, ClientSettings, Connection
from keysweep.remediation.evidence.references import absence
from keysweep.remediation.evidence.references.entries import ReferenceList, reference_list
from keysweep.remediation.evidence.references.index import Index, references_to
from keysweep.remediation.evidence.references.scan import scan_account, scan_region
from keysweep.remediation.models import KeyArn

ACCOUNT, REGION = "111122223333", "eu-west-1"

ASKED = {
    ("ec2", "DescribeVolumes"),
    ("sqs", "ListQueues"),
    ("dynamodb", "ListTables"),
    ("secretsmanager", "ListSecrets"),
    ("s3", "ListBuckets"),
    ("cloudtrail", "DescribeTrails"),
}
WHOLE = reference_list()
SOME = ReferenceList(
    version=1,
    signs=WHOLE.signs,
    entries=tuple(entry for entry in WHOLE.entries if (entry.service, entry.operation) in ASKED),
)
"""Calls of each protocol, of one step and of two, and of each reach."""

RESOURCES: list[dict[str, Any]] = [
    {"type": "ebs_volume", "key": "needed"},
    {"type": "sqs_queue", "key": "needed"},
    {"type": "dynamodb_table", "key": "needed"},
    {"type": "secret", "key": "needed"},
    {"type": "s3_bucket", "key": "needed"},
]


@pytest.fixture(scope="module")
def shop(server: EmbeddedAws) -> Iterator[KeyArn]:
    """A key that five services name, and the way to its account."""
    regions = {REGION: {"keys": [{"name": "needed"}], "resources": RESOURCES}}
    server.reset({"accounts": {ACCOUNT: {"regions": regions}}})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(ACCOUNT, REGION).items():
            patch.setenv(name, value)
        yield KeyArn.parse(server.key_arn(ACCOUNT, REGION, "needed"))


@pytest.fixture
def connection(server: EmbeddedAws, shop: KeyArn) -> Iterator[Connection]:
    settings = ClientSettings(quota_share=100, read_timeout=60, attempts=2)
    yield Accounts(settings=settings).connect(shop.account_region)
    server.clear_faults()


def scanned(connection: Connection) -> list[Index]:
    return [scan_region(connection, SOME), scan_account(connection, SOME)]


def found(key: KeyArn, indexes: list[Index]) -> set[str]:
    return {ref.service for ref in references_to(key, (), indexes).found}


def test_without_a_fault_everything_is_found_and_there_is_no_gap(
    shop: KeyArn, connection: Connection
) -> None:
    indexes = scanned(connection)
    assert [index.gaps for index in indexes] == [[], []]
    assert found(shop, indexes) == {"ec2", "sqs", "dynamodb", "secretsmanager", "s3"}


@pytest.mark.parametrize(
    ("service", "operation", "permission"),
    [
        ("ec2", "DescribeVolumes", "ec2:DescribeVolumes"),
        ("sqs", "ListQueues", "sqs:ListQueues"),
        ("sqs", "GetQueueAttributes", "sqs:GetQueueAttributes"),
        ("dynamodb", "DescribeTable", "dynamodb:DescribeTable"),
        ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
        ("s3", "GetBucketEncryption", "s3:GetEncryptionConfiguration"),
    ],
)
@pytest.mark.parametrize(
    "kind", ["deny", "truncate", "truncate_valid_length", "error_500", "throttle", "drop_before"]
)
def test_a_call_that_is_not_answered_is_a_gap_and_the_others_go_on(
    server: EmbeddedAws,
    shop: KeyArn,
    connection: Connection,
    service: str,
    operation: str,
    permission: str,
    kind: str,
) -> None:
    server.fault(kind, service=service, operation=operation, times=None)
    indexes = scanned(connection)
    gaps = [gap for index in indexes for gap in index.gaps]
    assert [fault["hit"] > 0 for fault in server.faults()] == [True]
    assert {gap.service for gap in gaps} == {service}
    assert {gap.permission for gap in gaps} == {permission if kind == "deny" else None}
    assert all(gap.why.startswith(operation) for gap in gaps)
    others = {"ec2", "sqs", "dynamodb", "secretsmanager", "s3"} - {service}
    assert others <= found(shop, indexes)


def test_a_throttled_call_is_retried(
    server: EmbeddedAws, shop: KeyArn, connection: Connection
) -> None:
    server.fault("throttle", service="sqs", operation="ListQueues", times=1)
    indexes = scanned(connection)
    assert [index.gaps for index in indexes] == [[], []]
    assert "sqs" in found(shop, indexes)


def test_regions_that_cannot_be_listed_are_a_gap(
    server: EmbeddedAws, connection: Connection
) -> None:
    server.fault("deny", service="ec2", operation="DescribeRegions")
    gaps = [gap for index in scanned(connection) for gap in index.gaps]
    assert [(gap.service, gap.permission) for gap in gaps] == [
        ("cloudtrail", "ec2:DescribeRegions")
    ]


def test_the_public_list_of_services_is_read_whole_with_the_given_credentials(
    server: EmbeddedAws, shop: KeyArn
) -> None:
    connection = Accounts().connect(shop.account_region)
    path = absence.LIST_PATH.format(region=REGION)
    services = absence.service_list(connection, REGION, path)
    assert isinstance(services, absence.ServiceList)
    assert services.codes > absence.IN_EVERY_REGION | {*absence.CONTROLS}
    server.fault("deny", service="ssm", operation="GetParametersByPath", times=None)
    denied = absence.service_list(connection, REGION, path)
    server.clear_faults()
    assert isinstance(denied, absence.Doubt)
    assert denied.permission == "ssm:GetParametersByPath"
