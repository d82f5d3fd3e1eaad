"""Clients of a scan know what is called, and send and understand it as whole clients do."""

from __future__ import annotations

import functools

import pytest
from botocore.session import Session

from keysweep.remediation.aws.narrow import NarrowLoader, narrow_session, narrowed
from keysweep.remediation.evidence.reference_list import reference_list
from keysweep.remediation.evidence.reference_shapes import problems

LIST = reference_list()
SERVICES = sorted({entry.service for entry in LIST.entries})


@functools.cache
def sessions() -> tuple[Session, Session]:
    whole = Session()
    whole.set_credentials("AKIA", "secret", "token")
    loader = NarrowLoader(whole.get_component("data_loader"), LIST.operations())
    return whole, narrow_session(whole, loader)


@pytest.mark.parametrize("service", SERVICES)
def test_a_narrow_model_has_what_is_called_and_all_its_shapes(service: str) -> None:
    whole, narrow = sessions()
    model = narrow.get_service_model(service)
    called = {call.operation for entry, call in LIST.calls() if entry.service == service}
    assert set(model.operation_names) == called & set(
        whole.get_service_model(service).operation_names
    )
    for entry in LIST.entries:
        if entry.service == service:
            assert problems(entry, model) == problems(entry, whole.get_service_model(service))


def test_another_service_stays_whole() -> None:
    whole, narrow = sessions()
    assert (
        narrow.get_service_model("kms").operation_names
        == whole.get_service_model("kms").operation_names
    )


def test_a_narrow_client_has_the_credentials_and_the_paginators() -> None:
    _, narrow = sessions()
    client = narrow.create_client("ec2", "eu-west-1")
    credentials = narrow.get_credentials()
    assert credentials is not None
    assert (credentials.access_key, credentials.token) == ("AKIA", "token")
    assert client.can_paginate("describe_volumes")
    assert not hasattr(client, "run_instances")


def test_a_member_that_is_called_documentation_is_no_documentation() -> None:
    model = {
        "documentation": "For people.",
        "operations": {"Get": {"output": {"shape": "Answer", "documentation": "For people."}}},
        "shapes": {
            "Answer": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Text": {"type": "string", "documentation": "For people."},
            "Other": {"type": "string"},
        },
    }
    assert narrowed(model, ["Get", "Gone"]) == {
        "documentation": "",
        "operations": {"Get": {"output": {"shape": "Answer", "documentation": ""}}},
        "shapes": {
            "Answer": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Text": {"type": "string", "documentation": ""},
        },
    }
