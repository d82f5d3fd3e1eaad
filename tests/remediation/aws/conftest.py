"""An embedded AWS for this folder, and the environment that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from embedded_aws.process import EmbeddedAws

SHOP = "111122223333"


@pytest.fixture(scope="package")
def server() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def aws(
    server: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Mapping[str, Any]], EmbeddedAws]:
    """Begin anew with these accounts, as the operator of SHOP."""

    def begin(accounts: Mapping[str, Any]) -> EmbeddedAws:
        server.reset({"accounts": accounts})
        for name, value in server.environment(SHOP).items():
            monkeypatch.setenv(name, value)
        return server

    return begin
