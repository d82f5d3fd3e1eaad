"""What tests share of botocore stays as botocore has it on disk."""

from __future__ import annotations

import json

import botocore.session
import pytest
from botocore.exceptions import EndpointConnectionError

CALLS = {
    "dynamodb": ("list_tables", {}),
    "kms": ("describe_key", {"KeyId": "key"}),
    "lambda": ("get_function", {"FunctionName": "name"}),
    "s3": ("list_objects_v2", {"Bucket": "bucket"}),
    "s3control": ("list_jobs", {"AccountId": "111122223333"}),
}


def _not_sent(**_: object) -> None:
    raise EndpointConnectionError(endpoint_url="https://example.com")


@pytest.mark.parametrize("service", CALLS)
def test_a_call_changes_no_shared_model(service: str) -> None:
    session = botocore.session.Session()
    loader = session.get_component("data_loader")
    before = json.dumps(loader.load_service_model(service, "service-2"))
    client = session.create_client(
        service, "eu-west-1", aws_access_key_id="id", aws_secret_access_key="secret"
    )
    client.meta.events.register("before-send", _not_sent)
    operation, parameters = CALLS[service]
    with pytest.raises(EndpointConnectionError):
        getattr(client, operation)(**parameters)
    fresh = botocore.session.Session().get_component("data_loader")
    assert json.dumps(fresh.load_service_model(service, "service-2")) == before
