"""A run is killed at each of its events in turn, and the next one finishes its work.

No moment is drawn. A run without faults shows the events; then each request and each line is the
last event of a run of its own, and one fault-free run follows at once, or is killed in turn.
`make test` kills at a few of them, CI at all; CI kills some second runs, `make test-all` most.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from command_runs import Done
from lifted_rules import file_lifting, rules_besides
from prowler_records import prowler_record
from scenarios import DEAD

from keysweep.remediation import journal as journal_stage
from keysweep.remediation.cancel import batch
from model.reference import MINUTE, PROTECTED, WRITES, Reference, Run
from model.simulation import (
    AFTER,
    ANY,
    BEFORE,
    EPOCH,
    LATE,
    LINE,
    SHOP,
    Call,
    Kill,
    Simulation,
    begun,
)

NAMES = {"eu-west-1": ("one", "two"), "us-east-1": ("far",)}
SCENARIO = {
    "accounts": {
        SHOP: {
            "regions": {
                region: {"keys": [{"name": name, **DEAD} for name in names]}
                for region, names in NAMES.items()
            }
        }
    }
}
LAGS = (0.0, 3.0)
"""Seconds after which DescribeKey shows a change; a run waits for up to 3.5."""
JOURNAL = "journal.jsonl"
STATE_ONLY = file_lifting({*rules_besides("description", "tags"), "stale-finding"})
"""A policy for which little is read: other runs show that the reads do no harm."""


class Watched(Reference):
    """The promises, and what AWS carried out."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self.done: Counter[tuple[str, str]] = Counter()

    def answered(self, call: Call) -> None:
        super().answered(call)
        if call.carried_out and call.operation in WRITES:
            self.done[call.operation, call.key_arn] += 1


@dataclass(frozen=True)
class Command:
    """A command to kill, and what it leaves when it has ended."""

    name: str
    options: tuple[str, ...]
    state: str
    outcome: str
    operation: str
    policy: str

    @property
    def arguments(self) -> list[str]:
        what = ("plan.json",) if self.name == "apply" else ()
        return [self.name, *what, "--yes", "--journal", JOURNAL, "--format", "json", *self.options]


APPLY = Command("apply", (), "PendingDeletion", "scheduled", "ScheduleKeyDeletion", "version: 1\n")
UNDO = Command("cancel", (), "Disabled", "cancelled", "CancelKeyDeletion", STATE_ONLY)
COMMANDS = {
    "apply": APPLY,
    "apply-state": replace(APPLY, policy=STATE_ONLY),
    "cancel": UNDO,
    "restore": replace(UNDO, options=("--keep", "--enable"), state="Enabled"),
    "guard": replace(UNDO, name="guard", options=("--cancel", "--keep")),
}


class Rehearsal:
    """The same situation again and again, and a command that is killed in it."""

    def __init__(self, folder: Path, command: Command, lag: float, simulation: Simulation) -> None:
        self.folder, self.command, self.lag = folder, command, lag
        self.simulation = simulation
        self.seen = Watched(lambda: simulation.time.seconds)
        (folder / "policy.yaml").write_text(command.policy, encoding="utf-8")
        self.arns = [key["arn"] for key in simulation.aws.keys()]
        found = [prowler_record(arn, EPOCH) for arn in self.arns]
        (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")
        plan = ["plan", "results.json", "--policy", "policy.yaml", "--out", "plan.json"]
        assert self._run(plan).code == 0
        self._planned = simulation.time.seconds

    def _run(self, arguments: list[str]) -> Done:
        done = self.simulation.run(arguments, self.folder)
        assert done is not None
        return done

    def _may(self, command: str) -> None:
        """What the next runs may do."""
        run = Run(
            command,
            JOURNAL,
            self.simulation.time.seconds,
            may_schedule=dict.fromkeys(self.arns, 30) if command == "apply" else {},
            may_tag="--keep" in self.command.options,
            may_enable="--enable" in self.command.options,
        )
        self.seen.begin(run)

    def begin(self) -> None:
        """A plan that was reviewed; for an undo, also carried out a while ago.

        For `guard`, something has tried to use its keys since.
        """
        (self.folder / JOURNAL).unlink(missing_ok=True)
        self.seen = Watched(lambda: self.simulation.time.seconds)
        self.simulation.restart(SCENARIO, self._planned, self.seen)
        self.simulation.lag = 0.0
        if self.command.name != "apply":
            self._may("apply")
            assert self._run(APPLY.arguments).code == 0
            self.simulation.time.sleep(60)
            self.seen.done.clear()
        if self.command.name == "guard":
            for arn in self.arns:
                region = arn.split(":")[3]
                self.simulation.others(SHOP, region, "Encrypt", KeyId=arn, Plaintext="eA==")
            self.simulation.time.sleep(20 * MINUTE)
        self.simulation.lag = self.lag
        self._may(self.command.name)

    def events(self) -> list[str]:
        """The events of a run without faults."""
        self.begin()
        done = self._run(self.command.arguments)
        events = [*self.simulation.events]
        assert self._wrong(done) == []
        return events

    def events_after(self, kill: Kill) -> list[str]:
        """The events of a run right after one that was killed."""
        self.begin()
        self.simulation.run(self.command.arguments, self.folder, kill)
        self._run(self.command.arguments)
        return [*self.simulation.events]

    def wrong_after(self, *kills: Kill) -> list[str]:
        """What is wrong after runs that were killed, and one more run right after them."""
        self.begin()
        for kill in kills:
            if self.simulation.run(self.command.arguments, self.folder, kill) is not None:
                return ["it was not killed"]
        done = self._run(self.command.arguments)
        self.simulation.arrive()
        return self._wrong(done)

    def _wrong(self, done: Done) -> list[str]:
        if self.command.name == "guard":
            watched = [json.loads(line) for line in done.out.splitlines()]
            code = int(any(row["in_use"] for row in watched))
            results = [row["cancellation"] for row in watched if row["cancellation"] is not None]
        else:
            code, results = 0, done.document["results"]
        if done.code != code:
            return [f"exit code {done.code}: {done.out}{done.err}"]
        rows = {row["key_arn"]: row["outcome"] for row in results}
        whole = self.command.name == "apply"  # an undo names no key that is done
        history = journal_stage.read([self.folder / JOURNAL])
        holds = {
            "rows": {*rows.values()} <= {self.command.outcome},
            "keys": {*rows} == {*self.arns} if whole else {*rows} <= {*self.arns},
            "states": {key["state"] for key in self.simulation.aws.keys()} == {self.command.state},
            "tags": {PROTECTED in key["tags"] for key in self.simulation.aws.keys()}
            == {"--keep" in self.command.options},
            "calls": self._calls() == dict.fromkeys(self.arns, 1),
            "outcomes": self._outcomes() == dict.fromkeys(self.arns, 1),
            "open": all(record.undecided is None for record in history.keys.values()),
            "batch": {*map(str, batch(history))} == ({*self.arns} if whole else set()),
            "journal": history.problems == (),
            "errors": self.simulation.errors == [],
        }
        return [*(name for name, held in holds.items() if not held), *self.seen.violations]

    def _calls(self) -> dict[str, int]:
        """How often AWS changed the state of each key."""
        operation = self.command.operation
        return {arn: count for (name, arn), count in self.seen.done.items() if name == operation}

    def _outcomes(self) -> dict[str, int]:
        """How often the journal says that each key's state was changed."""
        counted: Counter[str] = Counter()
        for raw in (self.folder / JOURNAL).read_bytes().splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue  # torn
            changed = (line.get("operation"), line.get("outcome"))
            if line["line"] == "outcome" and changed == (
                self.command.operation,
                self.command.outcome,
            ):
                counted[line["key_arn"]] += 1
        return counted


def _moments(events: list[str]) -> Iterator[Kill]:
    """Before each event; after each write and line; in each line, and while a write is sent.

    After another request is the same as before the next event: AWS has changed nothing.
    """
    for number, name in enumerate(events):
        changes = name == LINE or name in WRITES
        for when in (BEFORE, AFTER, LATE) if changes else (BEFORE,):
            yield Kill(ANY, when, number)


@contextmanager
def _rehearsal(folder: Path, command: Command, lag: float) -> Iterator[Rehearsal]:
    with begun(SCENARIO, Reference(lambda: 0.0)) as simulation:
        yield Rehearsal(folder, command, lag, simulation)


def _broken(
    rehearsal: Rehearsal, kills: Iterable[tuple[Kill, ...]]
) -> dict[tuple[Kill, ...], list[str]]:
    found = {some: rehearsal.wrong_after(*some) for some in kills}
    return {some: wrong for some, wrong in found.items() if wrong}


def _cases(*names: str, some: float, stride: int) -> list[Any]:
    """A few events with one lag in `make test`, every event with each lag in CI."""
    few = [pytest.param(name, some, stride, id=f"{name}-some") for name in names if name != "guard"]
    return few + [
        pytest.param(name, lag, 1, id=f"{name}-{lag:g}-every", marks=pytest.mark.sample)
        for name in names
        for lag in LAGS
    ]


@pytest.mark.parametrize(
    ("command", "lag", "stride"), _cases("apply", "cancel", "restore", "guard", some=3.0, stride=7)
)
def test_one_more_run_finishes_what_was_killed_at_any_event(
    command: str,
    lag: float,
    stride: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    with _rehearsal(tmp_path, COMMANDS[command], lag) as rehearsal:
        events = rehearsal.events()
        first = next(number for number, name in enumerate(events) if name in WRITES)
        # Until something changes, no description is late.
        kills = [one for one in _moments(events) if not lag or one.skip >= first][::stride]
        assert _broken(rehearsal, zip(kills, strict=True)) == {}
    record_property("figures", f"{len(kills)} kills")


@pytest.mark.parametrize(
    ("command", "lag", "stride"),
    [
        pytest.param(name, lag, stride, id=f"{name}-{lag:g}-{stride}", marks=mark)
        for name, few, many in (
            *(("apply-state", 11, 1), ("cancel", 11, 1)),
            *(("restore", 17, 3), ("guard", 19, 4)),
        )
        for lag in LAGS
        for stride, mark in ((few, pytest.mark.sample), (many, pytest.mark.slow))
    ],
)
def test_one_more_run_finishes_what_two_killed_runs_left(
    command: str,
    lag: float,
    stride: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The run was killed, and the next one too."""
    with _rehearsal(tmp_path, COMMANDS[command], lag) as rehearsal:
        events = rehearsal.events()
        first = next(number for number, name in enumerate(events) if name in WRITES)
        pairs = [
            (one, other)
            for one in [kill for kill in _moments(events) if kill.skip >= first - 1][::stride]
            for other in [*_moments(rehearsal.events_after(one))][::stride]
        ]
        assert _broken(rehearsal, pairs) == {}
    record_property("figures", f"{2 * len(pairs)} kills")


@pytest.mark.parametrize(
    ("command", "lag", "stride"), _cases("apply-state", "cancel", "guard", some=0.0, stride=5)
)
def test_a_request_arrives_at_any_event_of_the_next_run(
    command: str,
    lag: float,
    stride: int,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The run was killed, and AWS carries out its last request while the next one works."""
    with _rehearsal(tmp_path, COMMANDS[command], lag) as rehearsal:
        events = rehearsal.events()
        last = max(number for number, name in enumerate(events) if name in WRITES)
        kills = [Kill(ANY, LATE, last, late) for late in range(len(events))][::stride]
        assert _broken(rehearsal, zip(kills, strict=True)) == {}
    record_property("figures", f"{len(kills)} kills")
