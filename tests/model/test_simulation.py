"""The machine notices an error of the command itself."""

from __future__ import annotations

import pytest

from keysweep.remediation import planner
from keysweep.remediation.errors import InvariantError
from model.machine import CALM, Broken, Histories, Options


def test_an_error_of_the_command_itself_breaks_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise InvariantError("first_wave")

    monkeypatch.setattr(planner, "first_wave", fail)
    state = Histories()
    try:
        with pytest.raises(Broken):
            state.plan(0, Options(), CALM)
    finally:
        state.teardown()
    assert [type(error) for error in state.simulation.errors] == [InvariantError]
