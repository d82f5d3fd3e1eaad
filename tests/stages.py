"""The stages of the command in this process against an embedded AWS, and what must always hold.

Quicker than the command as a process, which test_loop.py tries; what is run is the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from command_runs import Done, run_here
from lifted_rules import lift, rules_besides
from prowler_records import prowler_record
from scenarios import SHOP

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import apply as apply_stage
from keysweep.remediation import cancel as cancel_stage
from keysweep.remediation import guard as guard_stage
from keysweep.remediation import journal as journal_stage
from keysweep.remediation import planfile, planner, reread
from keysweep.remediation import write as write_stage
from keysweep.remediation.alarms import NO_ALARM
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.evidence import Collector, references
from keysweep.remediation.evidence.references.entries import ReferenceList
from keysweep.remediation.findings import read_results
from keysweep.remediation.journal import Journal
from keysweep.remediation.models import (
    KeyArn,
    KeyResult,
    Outcome,
    PlanItem,
    Unreadable,
    VerdictKind,
)
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy import Policy
from keysweep.remediation.runner import Stop

ROLE = "KeysweepOperator"
QUICK = ClientSettings(quota_share=100, connect_timeout=60, read_timeout=60, attempts=2)
"""The embedded AWS counts no requests by default, so nothing has to wait for a quota."""

AS_OPERATOR = Access(role_name=ROLE)

WRITES = {"ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "EnableKey"}


@dataclass
class Stages:
    """One scenario, one journal, and the stages over them."""

    aws: EmbeddedAws
    folder: Path
    policy: Policy
    settings: ClientSettings = QUICK
    access: Access = AS_OPERATOR
    journal: Path = field(init=False)
    _names: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.journal = self.folder / "journal.jsonl"

    def kms(self, region: str = "eu-west-1") -> Any:
        """A client of the shop, for other people who change keys there."""
        return boto3.client("kms", **self.aws.client_arguments(SHOP, region))

    def arn(self, name: str) -> str:
        """The ARN of a key of the shop in eu-west-1."""
        return self.aws.key_arn(SHOP, "eu-west-1", name)

    def results(self, arns: Iterable[str] | None = None) -> Path:
        """A results file that names these keys; by default every disabled one."""
        if arns is None:
            arns = [key["arn"] for key in self.aws.keys() if key["state"] == "Disabled"]
        path = self.folder / "results.json"
        now = self.aws.now()
        path.write_text(json.dumps([prowler_record(arn, now) for arn in arns]), encoding="utf-8")
        return path

    def collector(self) -> Collector:
        return Collector(Accounts(self.access, self.settings))

    def plan(self, arns: Iterable[str] | None = None) -> Plan:
        found = read_results([str(self.results(arns))], None)  # type: ignore[arg-type]
        plan = planner.build(found, self.policy, self.collector())
        planfile.save(plan, self.folder / "plan.json")
        return planfile.load(self.folder / "plan.json")

    def apply(self, plan: Plan, stop: Stop | None = None) -> dict[str, KeyResult]:
        collector = self.collector()
        caller(collector.accounts, [item.key_arn for item in plan.chosen])
        with Journal(self.journal) as journal:
            now = collector.accounts.clock.now()
            journal.begin(
                now,
                "apply",
                plan_digest=plan.digest,
                exceptions=plan.exceptions,
                keys=len(plan.chosen),
            )
            rows = apply_stage.apply(plan, collector, journal, stop=stop)
        return self.by_name(rows)

    def cancel(self, arns: Iterable[KeyArn] | None = None, **wishes: Any) -> dict[str, KeyResult]:
        """Cancel the journal's batch, or these keys."""
        entered = Accounts(self.access, self.settings)
        only_ours = arns is None
        follow_ups = cancel_stage.follow_ups(
            keep="protected_tag" in wishes, enable=bool(wishes.get("enable"))
        )
        if arns is None:
            arns = cancel_stage.batch(self.history(), follow_ups)
        keys = sorted(arns)
        caller(entered, keys)
        with Journal(self.journal) as journal:
            now = entered.clock.now()
            journal.begin(now, "cancel", follow_ups=follow_ups, keys=len(keys))
            rows = cancel_stage.cancel(keys, entered, journal, only_ours=only_ours, **wishes)
        return self.by_name(rows)

    def guard(self) -> dict[str, guard_stage.GuardRow]:
        """Look at the journal's batch, as the command does."""
        history, names = self.history(), self.names()
        keys = cancel_stage.batch(history)
        rows = guard_stage.watch(history, keys, self.collector(), self.policy)
        return {names[str(row.key_arn)]: row for row in rows}

    def cancel_in_use(self, rows: Mapping[str, guard_stage.GuardRow]) -> dict[str, KeyResult]:
        """Cancel the deletion of the keys in use, as the command does."""
        entered = Accounts(self.access, self.settings)
        keys = sorted(row.key_arn for row in rows.values() if row.in_use)
        caller(entered, keys)
        with Journal(self.journal) as journal:
            journal.begin(entered.clock.now(), "guard", keys=len(keys))
            done = cancel_stage.cancel(keys, entered, journal, only_ours=True)
        return self.by_name(done)

    def command(self, *arguments: str) -> Done:
        """Run the command in this process, as an operator of the shop."""
        return run_here(arguments, self.folder, self.aws.process_environment(SHOP))

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Begin the command as a process, as an operator of the shop."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "keysweep.remediation", *arguments],
            cwd=self.folder,
            env=self.aws.process_environment(SHOP),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **options,
        )

    def history(self) -> journal_stage.History:
        """What the journal says; nothing, before the first run."""
        if not self.journal.exists():
            return journal_stage.History({})
        return journal_stage.read([self.journal])

    def names(self) -> dict[str, str]:
        """Key names by ARN, also of keys that were there when this was asked before."""
        self._names |= {key["arn"]: key["name"] for key in self.aws.keys()}
        return self._names

    def by_name(self, rows: Iterable[KeyResult]) -> dict[str, KeyResult]:
        names = self.names()
        return {names[str(row.key_arn)]: row for row in rows}

    def items(self, plan: Plan) -> dict[str, PlanItem]:
        names = self.names()
        return {names[str(item.key_arn)]: item for item in plan.items}

    def state(self, *states: str) -> set[str]:
        """Names of the keys in these states, in truth."""
        return {key["name"] for key in self.aws.keys() if key["state"] in states}

    def lines(self) -> list[dict[str, Any]]:
        """The journal's whole lines."""
        found: list[dict[str, Any]] = []
        if not self.journal.exists():
            return found
        for line in self.journal.read_bytes().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue  # torn
        return found


def wait_for(what: Callable[[], object]) -> None:
    """Return once it is true."""
    end = time.monotonic() + 90
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def work_here(monkeypatch: Any, aws: EmbeddedAws, pauses: tuple[float, ...] = (0.0, 0.05)) -> None:
    """Let the stages work in this process, as an operator of the shop, and wait little.

    `pauses` are the seconds before each look after an answer that was lost.
    """
    for name, value in aws.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(write_stage, "READ_BACK_PAUSES", pauses)


REFERENCES = {
    "rds": "DescribeDBClusters",
    "lambda": "ListFunctions",
    "s3": "ListBuckets",
    "secretsmanager": "ListSecrets",
    "sqs": "ListQueues",
}
"""One service for each protocol of AWS."""


def few_references(monkeypatch: Any) -> None:
    """Ask these services alone, instead of the hundred of the list."""
    whole = references.reference_list()
    entries = tuple(e for e in whole.entries if REFERENCES.get(e.service) == e.operation)
    assert {entry.service for entry in entries} == set(REFERENCES)
    few = ReferenceList(version=1, signs=whole.signs, entries=entries)
    monkeypatch.setattr(references, "reference_list", lambda: few)


def state_only(*, tags: bool = True, also: Iterable[str] = ()) -> Policy:
    """A policy that reads DescribeKey, and tags, alone, to test what follows evaluation."""
    rules = rules_besides("description", *(("tags",) if tags else ()))
    lifted = sorted({*rules, "stale-finding", *also})
    return Policy.model_validate({"exceptions": [*map(lift, lifted)]})


def caller(accounts: Accounts, keys: list[KeyArn]) -> None:
    """As the command does, which also sets the clock; trouble becomes the keys' rows."""
    from keysweep.remediation.errors import AccountUnavailable

    try:
        if keys:
            accounts.caller(keys[0].account_region)
    except AccountUnavailable:
        return


def nothing_but_the_alarm(err: str) -> bool:
    """Whether apply reported only that no alarm was found, which these scenarios lack."""
    return all(line.startswith(f"keysweep: {NO_ALARM}") for line in err.splitlines())


def outcomes(rows: Mapping[str, KeyResult]) -> dict[str, str]:
    """Outcome by key name."""
    return {name: row.outcome.value for name, row in rows.items()}


# --- what must hold after whatever went wrong ---------------------------------------------------


def nothing_on_cut_evidence(stages: Stages, plan: Plan, candidates: set[str]) -> None:
    """Every candidate has a verdict, and `schedule` only where all that rules need was read."""
    items = stages.items(plan)
    assert set(items) == candidates
    for name, item in items.items():
        if item.verdict is not VerdictKind.SCHEDULE:
            assert item.reasons, name
            continue
        used = reread.used_pieces(plan, item, plan.created_at) | {"description", "tags"}
        unknown = {p for p in used if isinstance(getattr(item.evidence, p), Unreadable | None)}
        assert not unknown, (name, unknown)


def every_write_was_announced(stages: Stages, plan: Plan) -> None:
    """No write without an intent line before it, and none of a key outside of the plan."""
    planned = {str(item.key_arn) for item in plan.chosen}
    intents = {(line["operation"], line["key_arn"]) for line in lines_of(stages, "intent")}
    for call in stages.aws.calls(service="kms"):
        if call["operation"] not in WRITES:
            continue
        if call["key"] is None:  # the process was killed in the middle of sending it
            assert call["status"] >= 400, call
        else:
            assert call["key"] in planned, call
            assert (call["operation"], call["key"]) in intents, call


def lines_of(stages: Stages, kind: str) -> list[dict[str, Any]]:
    return [line for line in stages.lines() if line["line"] == kind]


def every_key_is_reported(rows: Mapping[str, KeyResult], names: Iterable[str]) -> None:
    """A row for every key."""
    assert set(rows) == set(names)


def nothing_is_open(stages: Stages) -> None:
    """No intent without a known outcome, and nothing wrong with the journal's lines."""
    history = stages.history()
    assert {str(arn) for arn, one in history.keys.items() if one.undecided is not None} == set()
    assert history.problems == ()


def scheduled_once(stages: Stages) -> None:
    """No key's deletion was begun twice."""
    began: dict[str, int] = {}
    for call in stages.aws.calls(operation="ScheduleKeyDeletion"):
        if call["status"] == 200 and not call["outcome"].endswith("_before"):
            began[call["key"]] = began.get(call["key"], 0) + 1
    assert {arn: count for arn, count in began.items() if count > 1} == {}


def undo_finds_everything(stages: Stages) -> None:
    """Whatever is pending deletion because of us is in the batch that `cancel` would take."""
    pending = {key["arn"] for key in stages.aws.keys() if key["state"] == "PendingDeletion"}
    ours = {line["key_arn"] for line in lines_of(stages, "intent")}
    others = {
        line["key_arn"]
        for line in lines_of(stages, "outcome")
        if line["outcome"] == Outcome.ALREADY_PENDING.value
    }
    batch = {str(arn) for arn in cancel_stage.batch(stages.history())}
    assert pending & ours - others <= batch
