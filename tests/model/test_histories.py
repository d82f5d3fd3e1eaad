"""Any history of events keeps every promise of docs/safety.md, for as long as the run allows.

KEYSWEEP_MODEL_SECONDS limits the time; `make` sets it. A failure prints the shortest history that
hypothesis found, as lines of a test (see machine.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from model.machine import Histories, figures

SECONDS = float(os.environ.get("KEYSWEEP_MODEL_SECONDS", "15"))
STEPS = 20
BATCH = 8
"""Histories between looks at the clock."""

BOXES = (
    pytest.param(0, 45, id="test"),
    pytest.param(1_000_000, 240, id="sample", marks=pytest.mark.sample),
    pytest.param(2_000_000, 3600, id="all", marks=pytest.mark.slow),
)
"""First seed and most seconds."""


@pytest.mark.parametrize(("first", "most"), BOXES)
def test_every_history_keeps_the_promises(
    first: int, most: float, record_property: Callable[[str, object], None]
) -> None:
    end = time.monotonic() + min(most, SECONDS)
    figures.clear()
    batch = settings(
        max_examples=BATCH,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    number = first
    while time.monotonic() < end:
        run_state_machine_as_test(seed(number)(Histories), settings=batch)
        number += 1
    assert figures["histories"] >= BATCH
    told = ", ".join(f"{count} {name}" for name, count in sorted(figures.items()))
    record_property("figures", f"from seed {first}: {told}")
