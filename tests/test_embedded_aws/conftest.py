"""One embedded AWS for all tests of it; every test gives it its own scenario."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from embedded_aws.process import EmbeddedAws
from embedded_aws.testing import Lab


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedAws]:
    with EmbeddedAws() as running:
        yield running


@pytest.fixture
def lab(server: EmbeddedAws) -> Lab:
    made = Lab(server)
    made.scenario()
    return made
