"""SIGKILL at a random moment of apply and of cancel: one more run finishes, and nothing is lost.

`make test-sample` has twenty, `make test-faults` 220. The seed is the test's number; the moment is
drawn from the time that a whole run takes here.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stages as held
from scenarios import DATA, DEAD, SHOP
from stages import ROLE, Stages, outcomes, state_only, wait_for, work_here
from stages_child import WISHES, child

from embedded_aws.process import EmbeddedAws

SAMPLE, ALL = 20, 220


class Children:
    """Processes that begin quickly: they are forked from one that has imported everything."""

    def __init__(self, answer_seconds: float = 0.0) -> None:
        self._answer_seconds = answer_seconds
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["stages_child", "stages_warm"])
        self.seconds: dict[str, float] = {}
        """How long a whole run takes, at the quickest."""

    def run(self, what: str, run: Stages, kill_after: float | None) -> bool:
        """Run a stage; kill it so many seconds after its begin. Returns whether it was killed."""
        ours, theirs = self._context.Pipe(duplex=False)
        where = (run.aws.environment(SHOP), run.aws.endpoint, str(run.folder))
        arguments = (what, *where, theirs, self._answer_seconds)
        process = self._context.Process(target=child, args=arguments)
        process.start()
        theirs.close()
        try:
            assert ours.recv() == "begin"
            start = time.monotonic()
            ended = ours.poll(kill_after)
            process.kill()
            process.join()
            if ended and kill_after is None:
                took = time.monotonic() - start
                self.seconds[what] = min(took, self.seconds.get(what, took))
        finally:
            process.kill()
            process.join()
            ours.close()
        return not ended


def _scenario(server: EmbeddedAws) -> None:
    here = {"keys": [{"name": "here-{n}", "count": 6, **DEAD}]}
    there = {"keys": [{"name": "there-{n}", "count": 6, **DEAD}]}
    server.reset(
        {
            "accounts": {
                SHOP: {"regions": {"eu-west-1": here}},
                DATA: {"regions": {"eu-west-1": there}, "roles": [ROLE]},
            }
        }
    )


@pytest.fixture(scope="module")
def children(own_server: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Children:
    """With the time that whole runs take, measured on some."""
    made = Children()
    with pytest.MonkeyPatch.context() as patch:
        work_here(patch, own_server)
        for _ in range(3):
            _scenario(own_server)
            run = Stages(own_server, tmp_path_factory.mktemp("measure"), state_only())
            run.plan()
            assert not made.run("apply", run, None)
            assert not made.run("cancel", run, None)
    return made


class Figures(Counter[str]):
    """What the kills of a test met."""

    def record(self, record_property: Callable[[str, object], None]) -> None:
        figures = ", ".join(f"{count} {name}" for name, count in sorted(self.items()))
        record_property("figures", figures)


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    _scenario(own_server)
    work_here(monkeypatch, own_server, pauses=(0.0, 0.1, 0.3))
    return Stages(own_server, tmp_path, state_only())


def _check(run: Stages, plan: Any) -> None:
    held.every_write_was_announced(run, plan)
    held.scheduled_once(run)
    held.undo_finds_everything(run)


SEEDS = [
    *(pytest.param(seed, marks=pytest.mark.sample) for seed in range(SAMPLE)),
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(SAMPLE, ALL)),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_run_is_finished_by_the_next(
    seed: int, run: Stages, children: Children, record_property: Callable[[str, object], None]
) -> None:
    moment = random.Random(seed)
    figures = Figures()

    def kill(what: str) -> None:
        killed = children.run(what, run, moment.uniform(0, children.seconds[what]))
        figures[f"kills of {what}" if killed else f"runs of {what} that ended before"] += 1
        records = run.history().keys.values() if run.journal.exists() else ()
        left_open = [str(one.key_arn) for one in records if one.undecided is not None]
        done = {"apply": "PendingDeletion", "cancel": "Disabled"}[what]
        states = {key["arn"]: key["state"] for key in run.aws.keys()}
        figures["intents without outcome"] += len(left_open)
        figures["of them with a call that had taken effect"] += sum(
            states[arn] == done for arn in left_open
        )

    every = run.state("Disabled")
    plan = run.plan()

    kill("apply")
    _check(run, plan)
    assert outcomes(run.apply(plan)) == dict.fromkeys(every, "scheduled")
    assert run.state("PendingDeletion") == every
    held.nothing_is_open(run)
    _check(run, plan)

    kill("cancel")
    _check(run, plan)
    # Those with which the killed run was done have no row.
    assert set(outcomes(run.cancel(**WISHES)).values()) <= {"cancelled"}
    assert run.state("Enabled") == every
    assert all("keysweep:keep" in key["tags"] for key in run.aws.keys())
    held.nothing_is_open(run)
    _check(run, plan)
    figures.record(record_property)


@pytest.mark.sample
@pytest.mark.parametrize("seed", range(5))
def test_cancel_after_a_killed_apply_undoes_all_of_it(
    seed: int, run: Stages, children: Children
) -> None:
    every = run.state("Disabled")
    plan = run.plan()
    children.run("apply", run, random.Random(seed).uniform(0, children.seconds["apply"]))
    run.aws.advance(seconds=600)
    if run.journal.exists():
        rows = run.cancel()
        assert {row.outcome.value for row in rows.values()} <= {"cancelled", "unchanged"}
        held.nothing_is_open(run)
    assert run.state("Disabled") == every
    _check(run, plan)


MANY = 40
ANSWER_SECONDS = 0.025
MANY_SEEDS = [
    *(pytest.param(seed, marks=pytest.mark.sample) for seed in range(2)),
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 59)),
]


def _many(run: Stages) -> None:
    """Forty keys in two Regions of one account, and a policy that lets a plan have as many."""
    regions = {
        region: {"keys": [{"name": f"{name}-{{n}}", "count": MANY // 2, **DEAD}]}
        for region, name in (("eu-west-1", "here"), ("us-east-1", "far"))
    }
    run.aws.reset({"accounts": {SHOP: {"regions": regions}}})
    run.policy = run.policy.model_copy(update={"max_keys": MANY})


@pytest.fixture(scope="module")
def patient(own_server: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Children:
    """With the time that a whole run takes with them."""
    made = Children(ANSWER_SECONDS)
    with pytest.MonkeyPatch.context() as patch:
        work_here(patch, own_server)
        run = Stages(own_server, tmp_path_factory.mktemp("measure"), state_only())
        _many(run)
        run.plan()
        assert not made.run("apply", run, None)
    return made


@pytest.mark.parametrize("seed", MANY_SEEDS)
def test_forty_keys_whose_calls_take_time(
    seed: int, run: Stages, patient: Children, record_property: Callable[[str, object], None]
) -> None:
    """AWS answers after 25 ms, so that many calls are under way when the run is killed."""
    _many(run)
    every = run.state("Disabled")
    plan = run.plan()
    moment = random.Random(seed).uniform(0, patient.seconds["apply"])
    killed = patient.run("apply", run, moment)
    figures = Figures()
    figures["kills of apply" if killed else "runs of apply that ended before"] += 1
    _check(run, plan)
    assert outcomes(run.apply(plan)) == dict.fromkeys(every, "scheduled")
    assert run.state("PendingDeletion") == every
    held.nothing_is_open(run)
    _check(run, plan)
    figures.record(record_property)


@pytest.mark.parametrize("reached", [True, pytest.param(False, marks=pytest.mark.sample)])
def test_the_command_killed_while_it_waits_for_an_answer(reached: bool, run: Stages) -> None:
    plan = run.plan([run.aws.key_arn(SHOP, "eu-west-1", "here-1")])
    kind = "hang_after" if reached else "hang_before"
    run.aws.fault(kind, operation="ScheduleKeyDeletion", times=None, seconds=60)
    apply = ("apply", "plan.json", "--yes", "--journal", "journal.jsonl", "--format", "json")
    process = run.start(*apply)
    wait_for(lambda: run.aws.calls(operation="ScheduleKeyDeletion"))
    process.kill()
    process.communicate()
    assert [line["line"] for line in run.lines()] == ["run", "intent"]
    run.aws.clear_faults()
    _check(run, plan)
    again = run.command(*apply)
    assert again.code == 0
    assert held.nothing_but_the_alarm(again.err)
    (row,) = again.document["results"]
    assert row["outcome"] == "scheduled"
    assert run.state("PendingDeletion") == {"here-1"}
    held.nothing_is_open(run)
    _check(run, plan)
