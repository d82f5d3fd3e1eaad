"""AWS without a network: real clients, whose requests botocore builds and checks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from botocore.session import Session, get_session

from keysweep.remediation.aws.clients import Clients
from keysweep.remediation.evidence.references import absence

ACCOUNT, REGION = "111122223333", "eu-west-1"

Answer = dict[str, Any]
Answering = Callable[[str, Answer], Answer]
"""From operation and request to the answer; what it raises is raised to the caller."""

_SESSION = get_session()
_SESSION.set_credentials("stub", "stub")
_MADE: dict[tuple[str, str], Any] = {}
"""Clients by service and Region: making one takes longer than what is tested."""


class _Own:
    """The credentials of one run."""


@dataclass
class StubbedConnection:
    """An account-Region whose clients are answered by a function."""

    answering: Answering
    account_id: str = ACCOUNT
    region: str = REGION
    partition: str = "aws"
    session: Session = field(default_factory=lambda: _SESSION)
    own: Any = field(default_factory=_Own)
    services: Callable[[str, str, Answer], Answer] | None = None
    """Answers instead, from service, operation and request."""
    calls: list[tuple[str, str, Answer]] = field(default_factory=list)
    """Region, operation and request of each call, in order."""

    def limited_to(self, operations: frozenset[str]) -> Any:
        return self

    def acting(self) -> Any:
        """Every request is one of this account-Region."""
        return nullcontext()

    def same_everywhere(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """What `read` returns here."""
        return read(self, *arguments)

    def own_client(self, service: str, region: str) -> Any:
        """A client of the given credentials, which are those of the account-Region."""
        return self.client(service, region=region)

    def plain_client(self, service: str, region: str, *, configured: bool) -> Any:
        """A client that shows AWS's plain host."""
        return Clients().plain(_SESSION, service, region, configured=configured)

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A client of a service in a Region, this one unless another is named."""
        where = (service, region or self.region)
        if where not in _MADE:
            _MADE[where] = _SESSION.create_client(service, where[1])
            _MADE[where].meta.events.register("before-parameter-build", _keep)
            _MADE[where].meta.events.register("before-call", _reply)
        _ANSWERING.append(self)
        return _MADE[where]


_ANSWERING: deque[StubbedConnection] = deque(maxlen=1)
"""The connection of the running test."""


def _keep(params: Answer, context: Answer, **_: Any) -> None:
    context["request"] = dict(params)


def _reply(model: Any, context: Answer, request_signer: Any, **_: Any) -> tuple[Any, Answer]:
    connection = _ANSWERING[0]
    connection.calls.append((request_signer.region_name, model.name, context["request"]))
    if connection.services is not None:
        answering = partial(connection.services, model.service_model.service_name)
    else:
        answering = connection.answering
    answer = answering(model.name, context["request"])
    return _Ok(), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}


class _Ok:
    status_code = 200


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., StubbedConnection]:
    """Make a connection of an answering function. By default every host resolves."""
    monkeypatch.setattr(absence, "exists", lambda host: True)
    return StubbedConnection
