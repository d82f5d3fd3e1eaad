"""The profile `ordinary`: its accounts are what they claim, and AWS's hosts exist as in DNS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import EndpointConnectionError

from embedded_aws import names, network, ordinary
from embedded_aws.ordinary import TRUTH, Truth
from embedded_aws.process import EmbeddedAws
from embedded_aws.refusals import table
from embedded_aws.testing import Lab, outcome
from keysweep.remediation.evidence.references.entries import reference_list

LATER = [one for one in TRUTH if one.refused is not None]


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(ordinary.scenario()) as running:
        yield running


def client(service: str, region: str, account: str = ordinary.QUIET) -> Any:
    """A client of AWS's own host."""
    key, secret = names.access_key(account)
    make: Any = boto3.client
    return make(
        service,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_every_row_is_a_call_that_keysweep_makes() -> None:
    made = reference_list().operations()
    assert {f"{row.service}:{row.operation}" for row in table().rows} <= made


def test_every_class_of_refusal_is_met_in_the_profile() -> None:
    met = {
        row.answered
        for row in table().rows
        for region in ordinary.REFUSING_REGIONS
        if row.seen_in(region)
    }
    assert met == set(ordinary.CLASSES)


def test_each_key_is_disabled_and_has_one_truth(aws: EmbeddedAws) -> None:
    disabled = {(key["account"], key["region"], key["name"]) for key in aws.keys(state="Disabled")}
    assert disabled == {(one.account, one.region, one.name) for one in TRUTH}
    assert len(disabled) == len(TRUTH)


@pytest.mark.parametrize("truth", LATER, ids=lambda truth: truth.name)
def test_what_an_account_used_before_it_was_barred_exists_and_is_not_shown(
    aws: EmbeddedAws, truth: Truth
) -> None:
    assert truth.needed_by
    service, operation = truth.refused or ("", "")
    row = ordinary.row_of(service, operation)
    lab = Lab(aws)
    call = getattr(lab.client(service, truth.region, truth.account), xform_name(operation))
    arguments = {"attribute": "ALL"} if operation == "GetSettings" else {}
    assert outcome(call, **arguments) == row.code
    elsewhere = lab.client(service, truth.region, ordinary.OPT_IN)
    assert outcome(getattr(elsewhere, xform_name(operation)), **arguments) == "ok"


def test_a_host_without_a_record_is_not_found_and_all_others_answer(aws: EmbeddedAws) -> None:
    with network.leading_to(aws.endpoint):
        with pytest.raises(socket.gaierror) as caught:
            socket.getaddrinfo("qbusiness.eu-west-3.api.aws", 443)
        assert caught.value.errno == socket.EAI_NONAME
        assert socket.getaddrinfo("qbusiness.eu-west-1.api.aws", 443)
        with pytest.raises(EndpointConnectionError):
            client("qbusiness", "eu-west-3").list_applications()
        assert client("qbusiness", "eu-west-1").list_applications()["applications"] == []
        assert client("sts", "eu-west-1").get_caller_identity()["Account"] == ordinary.QUIET


def test_a_bucket_whose_name_is_in_the_host_is_found(aws: EmbeddedAws) -> None:
    with network.leading_to(aws.endpoint):
        s3 = client("s3", "us-east-1")
        s3.create_bucket(Bucket="reports-2026")
        s3.put_object(Bucket="reports-2026", Key="a/b", Body=b"text")
        assert s3.get_object(Bucket="reports-2026", Key="a/b")["Body"].read() == b"text"


def test_the_public_list_of_a_region_comes_from_parameter_store(aws: EmbeddedAws) -> None:
    path = "/aws/service/global-infrastructure/regions/{}/services"
    with network.leading_to(aws.endpoint):
        pages = client("ssm", "us-east-1").get_paginator("get_parameters_by_path")
        listed = {
            region: {
                one["Name"].rsplit("/", 1)[1]
                for page in pages.paginate(Path=path.format(region))
                for one in page["Parameters"]
            }
            for region in ("eu-west-1", "eu-west-3")
        }
    assert {region: "qbusiness" in codes for region, codes in listed.items()} == {
        "eu-west-1": True,
        "eu-west-3": False,
    }
    assert all({"kms", "ec2", "dynamodb"} <= codes for codes in listed.values())


def test_public_parameters_are_not_among_those_of_the_account(aws: EmbeddedAws) -> None:
    path = "/aws/service/global-infrastructure/regions/eu-west-3/services"
    with network.leading_to(aws.endpoint):
        ssm = client("ssm", "us-east-1")
        ssm.put_parameter(Name="/shop/name", Value="x", Type="String")
        assert ssm.get_parameters_by_path(Path=path)["Parameters"]
        described = ssm.describe_parameters()
    assert [one["Name"] for one in described["Parameters"]] == ["/shop/name"]


def test_an_operator_of_real_hosts_has_neither_endpoint_nor_proxy(aws: EmbeddedAws) -> None:
    own = {**aws.environment(ordinary.QUIET), "HTTPS_PROXY": "http://proxy.example.com"}
    left = network.without_endpoint(own)
    assert {"AWS_ENDPOINT_URL", "HTTPS_PROXY", "no_proxy"}.isdisjoint(left)
    assert left["AWS_ACCESS_KEY_ID"] == own["AWS_ACCESS_KEY_ID"]
