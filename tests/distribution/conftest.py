"""The wheel under test: the one that was built through the sdist for this very run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The wheel that tox built; `make test` sets its path."""
    paths = os.environ.get("TOX_PACKAGE", "").split(os.pathsep)
    wheels = [Path(path) for path in paths if path.endswith(".whl")]
    assert wheels, "no wheel was built: run these tests with `make test`"
    return wheels[0]


@pytest.fixture(scope="session")
def uv() -> str:
    """The package installer that `make` brings."""
    path = os.environ.get("KEYSWEEP_UV", "")
    assert Path(path).is_file(), "no uv: run these tests with `make test`"
    return path


@pytest.fixture(scope="session")
def prowler() -> Path:
    """The real scanner in its own environment, which `make` builds first."""
    path = Path(os.environ.get("KEYSWEEP_PROWLER", ""))
    assert path.is_file(), "no prowler: run these tests with `make test`"
    return path
