"""Each refusal of an ordinary account comes over the wire as AWS words it, in its own protocol."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.session import Session

from embedded_aws.refusals import PAGE, Row, table
from embedded_aws.testing import ACCOUNT, OTHER, Lab, outcome

HERE = "eu-west-1"
ROWS = table().rows


def region_of(row: Row) -> str:
    return HERE if row.regions == "all" else row.regions[0]


def arguments(row: Row) -> dict[str, Any]:
    """The parameters that an operation requires, of the kind that its model wants."""
    shape = Session().get_service_model(row.service).operation_model(row.operation).input_shape
    values = {"string": ACCOUNT, "list": [ACCOUNT], "structure": {}}
    return {
        name: (shape.members[name].enum or [values[shape.members[name].type_name]])[0]
        for name in (shape.required_members if shape else ())
    }


def refused(lab: Lab, row: Row, region: str) -> ClientError:
    client = lab.client(row.service, region)
    with pytest.raises(ClientError) as caught:
        getattr(client, xform_name(row.operation))(**arguments(row))
    return caught.value


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.operation}-{row.code}-{row.answered}")
def test_a_row_is_answered_with_its_code_status_and_words(lab: Lab, row: Row) -> None:
    region = region_of(row)
    refusal = {name: getattr(row, name) for name in ("service", "operation", "code", "message")}
    refusal |= {"status": row.status, "page": row.page}
    lab.aws.reset({"accounts": {ACCOUNT: {"regions": {region: {"refusals": [refusal]}}}}})
    error = refused(lab, row, region).response
    words = PAGE.decode() if row.page else row.message
    who = f"arn:aws:iam::{ACCOUNT}:user/operator"
    assert error["Error"]["Message"] == words.format(who=who, account=ACCOUNT, region=region)
    assert error["Error"]["Code"] == row.code
    assert error["ResponseMetadata"]["HTTPStatusCode"] == row.status


def test_an_account_meets_the_classes_that_it_names_alone(lab: Lab) -> None:
    regions = {"us-west-1": {}}
    lab.aws.reset(
        {
            "accounts": {
                ACCOUNT: {"regions": regions, "refused": ["absent", "unclear"]},
                OTHER: {"regions": regions},
            }
        }
    )
    macie = lab.client("macie2", "us-west-1").get_reveal_configuration
    caches = lab.client("fsx", "us-west-1").describe_file_caches
    flows = lab.client("bedrock-agent", "us-west-1").list_flows
    assert [outcome(macie), outcome(caches)] == ["AccessDeniedException", "ok"]
    assert outcome(flows) == "InternalServerErrorException"
    assert outcome(lab.client("fsx", "us-west-1", OTHER).describe_file_caches) == "ok"
    assert outcome(lab.client("bedrock-agent", "us-west-1", OTHER).list_flows) == "ok"


def test_a_service_can_be_closed_after_it_was_used(lab: Lab) -> None:
    closed = {"service": "kendra", "operation": "*", "code": "AccessDeniedException"}
    index = {"answer": "kendra.ListIndices", "with": {"IndexConfigurationSummaryItems": []}}
    lab.aws.reset(
        {"accounts": {ACCOUNT: {"regions": {HERE: {"refusals": [closed], "resources": [index]}}}}}
    )
    kendra = lab.client("kendra")
    assert outcome(kendra.list_indices) == "AccessDeniedException"
    assert outcome(kendra.describe_index, Id="0" * 36) == "AccessDeniedException"
    assert outcome(lab.client("sqs").list_queues) == "ok"


def test_a_service_control_policy_can_close_a_region(lab: Lab) -> None:
    """As Control Tower writes it: everything but global services, outside these Regions."""
    deny = {
        "Effect": "Deny",
        "NotAction": ["iam:*", "sts:*"],
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:RequestedRegion": [HERE]}},
    }
    lab.scenario(service_control_policies=[{"Statement": [deny]}])
    far = lab.client("fsx", "us-east-1")
    with pytest.raises(ClientError) as caught:
        far.describe_file_systems()
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"] == (
        f"User: arn:aws:iam::{ACCOUNT}:user/operator is not authorized to perform: "
        "fsx:DescribeFileSystems on resource: * with an explicit deny in a service control policy"
    )
    assert outcome(lab.client("kms", "us-east-1").list_keys) == "AccessDeniedException"
    assert outcome(lab.client("iam", "us-east-1").list_roles) == "ok"
    assert outcome(lab.client("fsx").describe_file_systems) == "ok"


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("kms", "list_keys", "UnrecognizedClientException"),
        ("lambda", "list_functions", "UnrecognizedClientException"),
        ("ec2", "describe_volumes", "AuthFailure"),
        ("sns", "list_topics", "InvalidClientTokenId"),
    ],
)
def test_an_opt_in_region_refuses_tokens(lab: Lab, service: str, call: str, code: str) -> None:
    regions = {HERE: {}, "me-south-1": {"refuses_tokens": True}}
    lab.aws.reset({"accounts": {ACCOUNT: {"regions": regions}}})
    assert outcome(getattr(lab.client(service, "me-south-1"), call)) == code
    assert outcome(getattr(lab.client(service), call)) == "ok"
