"""Clients of a scan know what is called, and send and understand it as whole clients do."""

from __future__ import annotations

import functools

import pytest
from botocore.exceptions import UnknownServiceError
from botocore.session import Session

from keysweep.remediation.aws import reduced_models
from keysweep.remediation.aws.clients import Clients
from keysweep.remediation.aws.reduced_models import ReducedLoader, reduced_model, reduced_session
from keysweep.remediation.evidence.references.entries import Entry, reference_list
from keysweep.remediation.evidence.references.shapes import problems

LIST = reference_list()
SERVICES = sorted({entry.service for entry in LIST.entries})


@functools.cache
def sessions() -> tuple[Session, Session]:
    whole = Session()
    whole.set_credentials("AKIA", "secret", "token")
    loader = ReducedLoader(whole.get_component("data_loader"), LIST.operations())
    return whole, reduced_session(whole, loader)


@pytest.mark.parametrize("service", SERVICES)
def test_a_reduced_model_has_what_is_called_and_all_its_shapes(service: str) -> None:
    whole, reduced = sessions()
    model = reduced.get_service_model(service)
    called = {call.operation for one, call in LIST.calls() if one.service_of(call) == service}
    assert set(model.operation_names) == called & set(
        whole.get_service_model(service).operation_names
    )
    for entry in LIST.entries:
        if entry.service == service:
            assert problems_in(entry, reduced) == problems_in(entry, whole)


def problems_in(entry: Entry, session: Session) -> list[str]:
    return problems(entry, lambda call: session.get_service_model(entry.service_of(call)))


def test_the_model_of_another_service_stays_complete() -> None:
    whole, reduced = sessions()
    assert (
        reduced.get_service_model("kms").operation_names
        == whole.get_service_model("kms").operation_names
    )


def test_a_reduced_client_has_the_credentials_and_the_paginators() -> None:
    _, reduced = sessions()
    client = reduced.create_client("ec2", "eu-west-1")
    credentials = reduced.get_credentials()
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
    assert reduced_model(model, ["Get", "Gone"]) == {
        "documentation": "",
        "operations": {"Get": {"output": {"shape": "Answer", "documentation": ""}}},
        "shapes": {
            "Answer": {"type": "structure", "members": {"documentation": {"shape": "Text"}}},
            "Text": {"type": "string", "documentation": ""},
        },
    }


@pytest.mark.parametrize("broken", ["reduced_session", "ReducedLoader"])
def test_ordinary_sessions_serve_where_botocore_has_changed(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary, _ = sessions()

    def fail(*_: object) -> None:
        raise AttributeError("BUILTIN_HANDLERS")

    monkeypatch.setattr(reduced_models, broken, fail)
    assert Clients().limited_to(ordinary, LIST.operations()) is ordinary


def test_an_ordinary_client_serves_where_a_reduced_one_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ordinary, _ = sessions()
    made = Clients()
    limited = made.limited_to(ordinary, LIST.operations())
    assert limited is not ordinary
    monkeypatch.setattr(limited, "create_client", lambda *_, **__: 1 / 0)
    client = made.make(limited, "111122223333", "ec2", "eu-west-1")
    assert hasattr(client, "run_instances")


def test_what_no_session_can_make_is_an_error_of_botocore() -> None:
    ordinary, _ = sessions()
    made = Clients()
    with pytest.raises(UnknownServiceError):
        made.make(made.limited_to(ordinary, LIST.operations()), "111122223333", "no", "eu-west-1")
