"""Clients that accounts share: every request is one of the account that the thread acts for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials
from botocore.session import Session

from keysweep.remediation.aws.acting import Actor, acting_as, current
from keysweep.remediation.aws.clients import Clients
from keysweep.remediation.aws.sessions import Acting
from keysweep.remediation.errors import InvariantError
from keysweep.remediation.evidence.references.entries import reference_list

SHOP, DATA = "111122223333", "444455556666"
OPERATIONS = reference_list().operations()


def actor(account: str) -> Actor:
    return Actor(account, Credentials(f"AKIA{account}", "secret", f"token-{account}"))


def session(account: str) -> Session:
    made = Session()
    made.set_credentials(f"AKIA{account}", "secret", f"token-{account}")
    return made


class Accounts:
    """Two accounts whose clients are those of a scan."""

    def __init__(self) -> None:
        self.clients = Clients()
        self.limited = {
            account: self.clients.limited_to(session(account), OPERATIONS)
            for account in (SHOP, DATA)
        }

    def client(self, account: str, service: str, *, shared: bool = True) -> Any:
        return self.clients.get(self.limited[account], account, service, "eu-west-1", shared=shared)


def test_credentials_and_account_are_those_of_the_thread() -> None:
    credentials = Acting()
    with acting_as(actor(SHOP)):
        with acting_as(actor(DATA)):
            assert credentials.get_frozen_credentials().access_key == f"AKIA{DATA}"
        assert current().account_id == SHOP
        assert credentials.access_key == f"AKIA{SHOP}"
        assert credentials.get_deferred_property("token")() == f"token-{SHOP}"
        with ThreadPoolExecutor(1) as other, pytest.raises(InvariantError):
            other.submit(credentials.get_frozen_credentials).result()
    with pytest.raises(InvariantError):
        current()


def test_accounts_share_a_client_unless_it_keeps_what_belongs_to_one() -> None:
    of = Accounts()
    assert of.client(SHOP, "sqs") is of.client(DATA, "sqs")
    for service in ("s3", "s3control", "timestream-write"):
        assert of.client(SHOP, service) is not of.client(DATA, service)
    assert of.client(SHOP, "sqs", shared=False) is not of.client(DATA, "sqs", shared=False)
    assert of.client(SHOP, "sqs", shared=False) is not of.client(SHOP, "sqs")


def test_a_shared_client_signs_limits_and_logs_for_the_account_that_acts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    of = Accounts()
    signed: list[tuple[str, str]] = []

    def send(request: Any, **_: Any) -> AWSResponse:
        header = {name.lower(): value for name, value in request.headers.items()}
        signed.append(
            tuple(
                value.decode() if isinstance(value, bytes) else value
                for value in (header["authorization"], header["x-amz-security-token"])
            )
        )
        raise ConnectionAbortedError

    paces = []
    monkeypatch.setattr(
        of.clients._limiter, "pace", lambda account, *_: paces.append(account) or Free()
    )
    client = of.client(SHOP, "sqs")
    client.meta.events.register("before-send", send)
    with pytest.raises(InvariantError):
        client.list_queues()
    assert not signed
    caplog.set_level("DEBUG", "keysweep")
    for account in (SHOP, DATA):
        with acting_as(actor(account)), pytest.raises(ConnectionAbortedError):
            client.list_queues()
        scope, token = signed[-1]
        assert f"AKIA{account}" in scope
        assert token == f"token-{account}"
        assert {*paces} == {account}
        paces.clear()
        lines = [line for line in caplog.messages if "sqs:ListQueues" in line]
        assert f"account={account} " in lines[-1]


class Free:
    """A rate without a limit."""

    def wait(self) -> None: ...

    def answered(self, *, throttled: bool) -> None: ...
