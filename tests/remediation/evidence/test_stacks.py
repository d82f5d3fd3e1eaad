"""CloudFormation's answers about who owns a key, in every form that it has."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from dead_key import ARN, DEAD

from keysweep.remediation.evidence.declarations import SOURCE
from keysweep.remediation.models import Declarations


class Connection:
    """An account-Region with one stubbed client."""

    region = "eu-west-1"

    def __init__(self) -> None:
        self.cloudformation = boto3.client(
            "cloudformation",
            region_name=self.region,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="example",
        )
        self.stub = Stubber(self.cloudformation)
        self.stub.activate()

    def client(self, service: str) -> Any:
        return {"cloudformation": self.cloudformation}[service]

    def answers(self, *resources: dict[str, Any]) -> Declarations:
        """What the source makes of these resources of a stack."""
        self.stub.add_response(
            "describe_stack_resources",
            {"StackResources": list(resources)},
            {"PhysicalResourceId": ARN.key_id},
        )
        return self.read()

    def read(self) -> Declarations:
        assert SOURCE.read_key is not None
        found: Declarations = SOURCE.read_key(self, DEAD)
        return found


def resource(physical: str = ARN.key_id, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    return {
        "StackName": "shop",
        "LogicalResourceId": "OrdersKey" if physical in {ARN.key_id, str(ARN)} else "Other",
        "PhysicalResourceId": physical,
        "ResourceType": "AWS::KMS::Key",
        "ResourceStatus": status,
        "Timestamp": "2026-01-01T00:00:00Z",
    }


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.mark.parametrize("physical", [ARN.key_id, str(ARN)])
def test_the_owning_stack_is_named_with_the_logical_id(
    connection: Connection, physical: str
) -> None:
    found = connection.answers(resource("role-1"), resource(physical), resource("bucket-1"))
    (declaration,) = found.found
    assert (declaration.tool, declaration.owner, declaration.source) == (
        "cloudformation",
        "shop OrdersKey",
        "eu-west-1",
    )
    assert "template" in declaration.fix


@pytest.mark.parametrize("status", ["DELETE_FAILED", "DELETE_IN_PROGRESS", "UPDATE_FAILED"])
def test_a_stack_that_still_has_the_key_owns_it(connection: Connection, status: str) -> None:
    assert connection.answers(resource(status=status)).found


@pytest.mark.parametrize("status", ["DELETE_COMPLETE", "DELETE_SKIPPED"])
def test_a_stack_that_no_longer_has_the_key_does_not_own_it(
    connection: Connection, status: str
) -> None:
    assert connection.answers(resource(status=status), resource("role-1")) == Declarations()


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "DELETE_COMPLETE", "DELETE_SKIPPED"])
def test_a_stack_of_more_than_a_hundred_resources_owns_what_it_does_not_list(
    connection: Connection, status: str
) -> None:
    (declaration,) = connection.answers(*(resource(f"role-{n}", status) for n in range(100))).found
    assert declaration.owner == "shop"


def test_having_no_stack_is_an_answer(connection: Connection) -> None:
    message = f"Stack for {ARN.key_id} does not exist"
    connection.stub.add_client_error("describe_stack_resources", "ValidationError", message, 400)
    assert connection.read() == Declarations()


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ValidationError", "1 validation error detected"),
        ("AccessDenied", "User is not authorized; stack does not exist"),
        ("Throttling", "Rate exceeded"),
    ],
)
def test_any_other_error_is_no_answer(connection: Connection, code: str, message: str) -> None:
    connection.stub.add_client_error("describe_stack_resources", code, message, 400)
    with pytest.raises(ClientError):
        connection.read()


def test_an_answer_without_resources_is_no_answer(connection: Connection) -> None:
    with pytest.raises(LookupError):
        connection.answers()
