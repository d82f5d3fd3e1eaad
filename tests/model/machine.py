"""The state machine: what people, AWS and operators do, in any order, with the real command.

After each step the reference model must have no violation. To keep a history that hypothesis
prints, paste its lines into a test:

    from model.machine import *

    def test_name() -> None:
        state = Histories()
        ...
        state.teardown()
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from command_runs import Done
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from prowler_records import prowler_record

from keysweep.remediation import journal as journal_stage
from keysweep.remediation.plan import LIMITS
from model.reference import DAY, HOUR, MINUTE, Reference, Reviewed, Run
from model.simulation import AFTER, BEFORE, LATE, LINE, SHOP, Kill, begun

__all__ = ["Fault", "Histories", "Kill", "Options"]

REGIONS = ("eu-west-1", "us-east-1")
KEYS = 4
_DEAD = {"state": "Disabled", "created_days_ago": 900, "disabled_days_ago": 400}
_NAMES = (("eu-west-1", ("one", "two", "three")), ("us-east-1", ("far",)))
SCENARIO = {
    "accounts": {
        SHOP: {
            "regions": {
                region: {"keys": [{"name": n, "aliases": [f"alias/{n}"], **_DEAD} for n in names]}
                for region, names in _NAMES
            }
        }
    }
}

EVENT_RULES = ("disabled-too-recently", "restored", "use-attempted", "used-recently")
POLICIES = {
    "strict": "version: 1\n",
    "patient": "version: 1\nexceptions:\n"
    + "".join(
        f"  - {{key: all, rule: {rule}, reason: test, approved_by: security, until: 2027-06-01}}\n"
        for rule in EVENT_RULES
    ),
}

EVIDENCE = (
    *("DescribeKey", "ListAliases", "ListGrants", "ListResourceTags", "GetKeyPolicy"),
    *("LookupEvents", "GetKeyLastUsage", "ListSecrets", "GetCallerIdentity"),
)
CALLS = ("ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "EnableKey")
KINDS = (
    *("deny", "throttle", "expire", "error_500", "drop_before", "drop_after"),
    *("truncate", "truncate_unsized", "truncate_valid_length", "hang_before", "hang_after"),
)
JOURNALS = ("a.jsonl", "b.jsonl")
SETTLED = 6 * MINUTE
"""After that long, DescribeKey is conclusive."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with an operation of a run."""

    kind: str
    operation: str
    key: int | None = None
    skip: int = 0
    always: bool = False


@dataclass(frozen=True)
class Options:
    """How to make a plan."""

    policy: str = "strict"
    window: int | None = None
    max_keys: int | None = None
    declared: int | None = None
    """The key that a Terraform state declares."""
    scan: bool = True
    """Whether the results are new."""


def _mostly(usual: Any, others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The usual value three times of four."""
    return st.sampled_from((0, 1, 2, 3)).flatmap(lambda n: others if n == 3 else st.just(usual))


def _faults(*operations: str) -> st.SearchStrategy[Fault | None]:
    one = st.builds(
        Fault,
        st.sampled_from(KINDS),
        st.sampled_from(operations),
        _mostly(None, st.integers(0, KEYS - 1)),
        _mostly(0, st.integers(1, 2)),
        _mostly(True, st.just(False)),
    )
    return st.sampled_from((True, False)).flatmap(lambda calm: st.none() if calm else one)


def _kills(*events: str) -> st.SearchStrategy[Kill | None]:
    one = st.builds(
        Kill,
        st.sampled_from((LINE, "DescribeKey", *events)),
        st.sampled_from((BEFORE, AFTER, LATE)),
        st.integers(0, 5),
        st.integers(0, 12),
    )
    return st.sampled_from((True, False)).flatmap(lambda calm: st.none() if calm else one)


keys = st.integers(0, KEYS - 1)
slots = st.integers(0, 1)
journals = st.sampled_from(JOURNALS)

options_ = st.builds(
    Options,
    st.sampled_from(sorted(POLICIES)),
    _mostly(None, st.sampled_from((7, 12))),
    _mostly(None, st.integers(0, 3)),
    _mostly(None, keys),
    _mostly(True, st.just(False)),
)
_ROLE = f"arn:aws:iam::{SHOP}:role/app"
_SIMPLE: dict[str, tuple[str, dict[str, Any]]] = {
    "enable": ("EnableKey", {}),
    "disable": ("DisableKey", {}),
    "cancel": ("CancelKeyDeletion", {}),
    "encrypt": ("Encrypt", {"Plaintext": "eA=="}),
    "data key": ("GenerateDataKey", {"KeySpec": "AES_256"}),
    "tag": ("TagResource", {"Tags": [{"TagKey": "team", "TagValue": "x"}]}),
    "keep": ("TagResource", {"Tags": [{"TagKey": "keysweep:keep", "TagValue": ""}]}),
    "grant": ("CreateGrant", {"GranteePrincipal": _ROLE, "Operations": ["Decrypt"]}),
}
CHANGES = (*_SIMPLE, "alias", "secret", "reschedule", "clean")
"""What other people do to a key."""

figures: Counter[str] = Counter()
"""What the histories of this process have met."""


class Broken(AssertionError):
    """A promise that a history broke."""


class Histories(RuleBasedStateMachine):
    """Any history of events."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="keysweep-history-"))
        self._stack = ExitStack()
        self.reference = Reference(lambda: self.simulation.time.seconds)
        self.simulation = self._stack.enter_context(begun(SCENARIO, self.reference))
        self.aws = self.simulation.aws
        self.arns = [self.aws.key_arn(SHOP, region, n) for region, names in _NAMES for n in names]
        self.plans: dict[int, Reviewed] = {}
        self.delay = 0.0
        self._others_at = 0.0
        self._secrets = 0
        for name, text in POLICIES.items():
            (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        self._scan()
        figures["histories"] += 1

    @initialize(policy=st.sampled_from(sorted(POLICIES)))
    def first_plan(self, policy: str) -> None:
        """Every history begins with a plan."""
        self.plan(0, Options(policy), None)

    # --- the command

    @rule(
        slot=slots,
        options=options_,
        fault=_faults(*EVIDENCE),
    )
    def plan(self, slot: int, options: Options, fault: Fault | None) -> None:
        """Make a plan in one of two files."""
        if options.scan:
            self._scan()
        arguments = ["plan", "results.json", "--policy", f"{options.policy}.yaml"]
        arguments += ["--out", f"plan-{slot}.json"]
        if options.window is not None:
            arguments += ["--pending-window-days", str(options.window)]
        if options.max_keys is not None:
            arguments += ["--max-keys", str(options.max_keys)]
        if options.declared is not None:
            arguments += ["--tfstate", self._state_file(self.arns[options.declared])]
        self.plans.pop(slot, None)
        truth = {key["arn"]: key for key in self.aws.keys()}
        with self._run(Run("plan", "", self.now), fault):
            done = self._command(arguments)
        path = self.folder / f"plan-{slot}.json"
        if done is None or not path.exists():
            return
        made = json.loads(path.read_text(encoding="utf-8"))
        chosen = {
            item["key_arn"]: item["pending_window_days"]
            for item in made["items"]
            if item["verdict"] == "schedule"
        }
        self.plans[slot] = Reviewed(
            options.policy,
            chosen,
            {arn: dict(key["tags"]) for arn, key in truth.items()},
            {arn: tuple(key["aliases"]) for arn, key in truth.items()},
            _seconds(made["evidence_from"]),
            _seconds(made["created_at"]) + 7 * DAY,
            options.policy == "patient",
        )
        most = options.max_keys if options.max_keys is not None else 25
        self._demand(len(chosen) <= most, f"{len(chosen)} keys in a plan of at most {most}")
        self._demand({*LIMITS} <= {*made["limits"]}, "a plan without its limits")
        if options.declared is not None:
            self._demand(self.arns[options.declared] not in chosen, "a declared key is scheduled")
        self._check()

    @precondition(lambda self: self.has_plan)
    @rule(
        slot=slots,
        journal=journals,
        fault=_faults(*EVIDENCE, *CALLS),
        kill=_kills("ScheduleKeyDeletion", "ListResourceTags"),
        lag=st.sampled_from((0.0, 1.0, 3.0)),
    )
    def apply(
        self, slot: int, journal: str, fault: Fault | None, kill: Kill | None, lag: float
    ) -> None:
        """Carry out a plan, with a fault, or killed."""
        slot = self._slot(slot)
        self._apply(slot, journal, fault, kill, lag)
        self._check()

    @rule(
        options=options_,
        key=keys,
        what=st.sampled_from(("keep", "secret", "encrypt")),
        fault=_faults("ListSecrets", "ListResourceTags", "LookupEvents"),
        journal=journals,
    )
    def change_plan_apply(
        self, options: Options, key: int, what: str, fault: Fault | None, journal: str
    ) -> None:
        """A plan of a key with a need, while AWS does not answer, and the plan carried out."""
        self.others_do(key, what)
        self._pass(MINUTE)
        self.plan(0, options, fault)
        if 0 in self.plans:
            self.apply(0, journal, None, None, 0.0)

    @rule(
        options=options_,
        key=keys,
        what=st.sampled_from(CHANGES),
        minutes=st.sampled_from((0, 0, 60)),
        wait=st.sampled_from((0.0, 20 * MINUTE)),
        journal=journals,
        fault=_faults("ListAliases", "ListGrants", "ListResourceTags", *CALLS[:2]),
        kill=_kills("ScheduleKeyDeletion"),
    )
    def plan_change_apply(
        self,
        options: Options,
        key: int,
        what: str,
        minutes: int,
        wait: float,
        journal: str,
        fault: Fault | None,
        kill: Kill | None,
    ) -> None:
        """A plan, a change by other people, and the plan carried out."""
        self.plan(0, options, None)
        if 0 not in self.plans:
            return
        self.delay_trail(minutes)
        self.others_do(key, what)
        self._pass(wait)
        self.apply(0, journal, fault, kill, 0.0)

    @precondition(lambda self: self.has_journal)
    @rule(journal=journals)
    def guard_later(self, journal: str) -> None:
        """A fault-free look, once CloudTrail has delivered everything."""
        self._pass(3 * HOUR)
        self.guard(journal, False, None, None, None)

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(slot=slots, journal=journals)
    def apply_again(self, slot: int, journal: str) -> None:
        """One fault-free rerun, once DescribeKey is conclusive: nothing of the plan stays open."""
        slot, journal = self._slot(slot), self._journal(journal)
        self._pass(SETTLED)
        self._apply(slot, journal, None, None, 0.0)
        digest = json.loads((self.folder / f"plan-{slot}.json").read_text(encoding="utf-8"))[
            "digest"
        ]
        history = journal_stage.read([self.folder / journal])
        left = {str(a) for a, record in history.keys.items() if digest in record.open_digests}
        for arn in sorted(left):
            named = self.reference.may_be_undetermined(arn)
            self._demand(named, f"{arn} is undecided in {journal} after a rerun")
        self._check()

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(
        by=st.sampled_from(("journal", "plan", "key", "results")),
        journal=journals,
        slot=slots,
        key=keys,
        keep=st.booleans(),
        enable=st.booleans(),
        fault=_faults("DescribeKey", *CALLS),
        kill=_kills("CancelKeyDeletion", "TagResource", "EnableKey"),
    )
    def cancel(
        self,
        by: str,
        journal: str,
        slot: int,
        key: int,
        keep: bool,
        enable: bool,
        fault: Fault | None,
        kill: Kill | None,
    ) -> None:
        """Undo by a journal, a plan, a key, or results."""
        journal = self._journal(journal) if by == "journal" else journal
        arguments, named = ["cancel", "--yes", "--format", "json", "--journal", journal], set()
        if by == "plan":
            slot = self._slot(slot)
            arguments += ["--plan", f"plan-{slot}.json"]
            named = {*self.plans[slot].chosen}
        elif by == "key":
            arguments += ["--key", self.arns[key]]
            named = {self.arns[key]}
        elif by == "results":
            named = {one["arn"] for one in self.aws.keys() if one["state"] == "PendingDeletion"}
            now = self.now
            records = [_unintended(arn, now) for arn in sorted(named)]
            (self.folder / "pending.json").write_text(json.dumps(records), encoding="utf-8")
            arguments += ["pending.json"]
        arguments += ["--keep"] * keep + ["--enable"] * enable
        run = Run(
            "cancel",
            journal,
            self.now,
            may_cancel_others=frozenset(named),
            may_tag=keep,
            may_enable=enable,
        )
        with self._run(run, fault):
            self._command(arguments, kill)
        self._check()

    @precondition(lambda self: self.has_journal)
    @rule(journal=journals)
    def undo(self, journal: str) -> None:
        """A fault-free undo of a journal: exactly its deletions end."""
        if not (self.folder / journal).exists():
            return
        self._pass(SETTLED)
        batch = {arn for arn in self.reference.ours(journal) if self.aws.key(arn) is not None}
        run = Run("cancel", journal, self.now)
        with self._run(run, None):
            done = self._command(["cancel", "--yes", "--format", "json", "--journal", journal])
        self._demand(done is not None and done.code in {0, 1}, "undo ended with an error")
        self._demand(
            {*run.cancelled} == batch,
            f"undo of {journal} cancelled {sorted(run.cancelled)}, not {sorted(batch)}",
        )
        self._check()

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(
        journal=journals,
        cancels=st.booleans(),
        slot=st.none() | slots,
        fault=_faults(*EVIDENCE, *CALLS),
        kill=_kills("CancelKeyDeletion", "LookupEvents"),
    )
    def guard(
        self, journal: str, cancels: bool, slot: int | None, fault: Fault | None, kill: Kill | None
    ) -> None:
        """Watch a journal's keys."""
        journal = self._journal(journal)
        slot = None if slot is None else self._slot(slot)
        arguments = ["guard", "--journal", journal, "--yes", "--format", "json"]
        arguments += ["--cancel"] * cancels
        if slot is not None:
            arguments += ["--plan", f"plan-{slot}.json"]
        expected = {
            arn
            for arn in self.reference.ours(journal)
            if self.aws.key(arn) is not None and self.reference.attempts(arn, self.now, self.delay)
        }
        with self._run(Run("guard", journal, self.now), fault):
            done = self._command(arguments, kill)
        if done is not None and fault is None:
            rows = {row["key_arn"]: row for row in map(json.loads, done.out.splitlines())}
            for arn in sorted(expected):
                self._demand(
                    arn in rows and rows[arn]["in_use"],
                    f"guard does not report the attempts to use {arn}",
                )
        self._check()

    @precondition(lambda self: self.has_journal)
    @rule(journal=journals)
    def status(self, journal: str) -> None:
        """Pending keys that nothing has looked at for three days are named."""
        journal = self._journal(journal)
        with self._run(Run("status", journal, self.now), None):
            done = self._command(["status", "--journal", journal, "--format", "json"])
        if done is None or not done.out:
            return
        rows = {row["key_arn"]: row for row in json.loads(done.out)["rows"]}
        for arn in sorted(self.reference.ours(journal)):
            looked = self.reference.looked.get((journal, arn), 0.0)
            if self.aws.key(arn) is not None and self.now - looked > 3 * DAY + MINUTE:
                self._demand(
                    arn in rows and rows[arn]["unwatched"] and done.code == 1,
                    f"status does not name {arn}, which nothing looks at",
                )
        self._check()

    # --- files that were edited

    @precondition(lambda self: self.has_plan)
    @rule(slot=slots, what=st.sampled_from(("window", "verdict", "repeated")))
    def edit_plan(self, slot: int, what: str) -> None:
        """A plan that was edited is refused."""
        slot = self._slot(slot)
        path = self.folder / f"plan-{slot}.json"
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
        if not document["items"]:
            return
        first = document["items"][0]
        if what == "window":
            first["pending_window_days"] = 8 if first["pending_window_days"] != 8 else 9
        elif what == "verdict":
            first["verdict"] = "hold" if first["verdict"] == "schedule" else "schedule"
        edited = json.dumps(document)
        if what == "repeated":
            edited = edited.replace('{"key_arn"', '{"verdict": "schedule", "key_arn"', 1)
        path.write_text(edited, encoding="utf-8")
        run = Run("apply", JOURNALS[0], self.now, may_schedule=self.plans[slot].chosen)
        with self._run(run, None):
            done = self._command(["apply", path.name, "--yes", "--journal", JOURNALS[0]])
        path.write_text(text, encoding="utf-8")
        self._demand(
            done is not None and done.code in {2, 3} and not run.writes,
            f"a plan with another {what} is carried out",
        )
        self._check()

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(slot=slots, journal=journals, what=st.sampled_from(("repeated", "garbled", "headless")))
    def edit_journal(self, slot: int, journal: str, what: str) -> None:
        """Nothing is added to a damaged journal."""
        slot, journal = self._slot(slot), self._journal(journal)
        path = self.folder / journal
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        if len(lines) < 3 or not whole.endswith(b"\n") or not _is_run_with_lines(lines):
            return
        if what == "repeated":
            lines.insert(1, lines[0])
        elif what == "garbled":
            lines[1] = lines[1].replace(b'"', b"'", 9)
        else:
            del lines[0]
        path.write_bytes(b"".join(lines))
        run = Run("apply", journal, self.now, may_schedule=self.plans[slot].chosen)
        with self._run(run, None):
            done = self._command(["apply", f"plan-{slot}.json", "--yes", "--journal", journal])
        path.write_bytes(whole)
        self._demand(
            done is not None and done.code in {2, 3} and not run.writes,
            f"a {what} journal is continued",
        )
        self._check()

    # --- other people, and AWS

    @rule(key=keys, what=st.sampled_from(CHANGES))
    def others_do(self, key: int, what: str) -> None:
        """Other people change or use a key."""
        arn = self.arns[key]
        if self.aws.key(arn) is None:
            return
        self._pass(1.0)
        simple = _SIMPLE.get(what)
        if simple is not None:
            self._others(arn, simple[0], **simple[1])
        elif what == "alias":
            name = f"alias/{_NAMES[0][1][0] if key < 3 else 'far'}"
            region = arn.split(":")[3]
            self.simulation.others(region, "UpdateAlias", AliasName=name, TargetKeyId=arn)
        elif what == "secret":
            self._name_in_a_secret(arn)
        elif what == "reschedule":
            self._others(arn, "CancelKeyDeletion")
            self.others_schedule(key, 30)
        else:
            self._clean(arn)

    def _clean(self, arn: str) -> None:
        """The last need of a key ends."""
        self._others(arn, "UntagResource", TagKeys=["team", "keysweep:keep"])
        self._others(arn, "DisableKey")
        world = self.aws.gateway.world
        for grant in [g for key in world.keys if key.arn == arn for g in key.grants]:
            self._others(arn, "RevokeGrant", GrantId=grant)
        for (*_, operation), listed in world.answers.items():
            if operation != "ListSecrets":
                continue
            listed["SecretList"] = [one for one in listed["SecretList"] if one["KmsKeyId"] != arn]
        self.reference.facts(arn).listed.clear()

    @rule(key=keys, window=st.sampled_from((7, 12, 30)))
    def others_schedule(self, key: int, window: int) -> None:
        """Another principal schedules a deletion, over two minutes after our last request."""
        if self.aws.key(self.arns[key]) is None:
            return
        self._pass(3 * MINUTE)
        self._others(self.arns[key], "ScheduleKeyDeletion", PendingWindowInDays=window)

    @rule(minutes=st.sampled_from((0, 15, 60)))
    def delay_trail(self, minutes: int) -> None:
        """CloudTrail shows events later."""
        self.delay = minutes * MINUTE
        self.aws.delay_trail(minutes=minutes)

    @rule(
        seconds=st.sampled_from(
            (MINUTE, SETTLED, 20 * MINUTE, 3 * HOUR, 4 * DAY, 8 * DAY, 31 * DAY)
        )
    )
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self._pass(seconds)

    def teardown(self) -> None:
        """Undo what every journal began, and tidy up."""
        try:
            if not self.reference.violations:
                for journal in JOURNALS:
                    self.undo(journal)
        finally:
            self._stack.close()
            shutil.rmtree(self.folder)

    # --- helpers

    @property
    def has_plan(self) -> bool:
        return bool(self.plans)

    @property
    def has_journal(self) -> bool:
        return any((self.folder / one).exists() for one in JOURNALS)

    def _slot(self, slot: int) -> int:
        """A plan that exists."""
        return slot if slot in self.plans else next(iter(self.plans))

    def _journal(self, journal: str) -> str:
        """A journal that exists."""
        there = [one for one in JOURNALS if (self.folder / one).exists()]
        return journal if journal in there else there[0]

    @property
    def now(self) -> float:
        return self.simulation.time.seconds

    def _apply(
        self, slot: int, journal: str, fault: Fault | None, kill: Kill | None, lag: float
    ) -> None:
        plan = self.plans[slot]
        if lag and self.now - self._others_at < 10 * lag:
            self._pass(10 * lag)  # what other people did is visible
        needs = self.reference.needs(plan, self.aws.keys(), self.now, self.delay)
        allowed = plan.chosen if self.now < plan.expires else {}
        run = Run("apply", journal, self.now, may_schedule=allowed, needs=needs)
        arguments = [
            "apply",
            f"plan-{slot}.json",
            "--yes",
            "--journal",
            journal,
            "--format",
            "json",
        ]
        with self._run(run, fault):
            self.simulation.lag = lag
            done = self._command(arguments, kill)
        stopped = fault is not None and fault.kind == "expire"
        stopped = stopped or (fault is not None and fault.operation == "GetCallerIdentity")
        if done is not None and done.code in {0, 1} and not stopped:
            self._demand(done.out, f"apply ended without a row for each key: {done.err[-300:]}")
        if done is not None and done.code in {0, 1} and done.out:
            rows = {row["key_arn"] for row in json.loads(done.out)["results"]}
            self._demand(rows == {*plan.chosen}, "apply leaves out keys of its plan")

    @contextmanager
    def _run(self, run: Run, fault: Fault | None) -> Iterator[None]:
        """A run with a fault; afterwards AWS works again."""
        figures["steps"] += 1
        figures[f"runs of {run.command}"] += 1
        self.reference.run = run
        if fault is not None:
            figures["faults"] += 1
            where = {} if fault.key is None else {"key": self.arns[fault.key]}
            seconds = {"seconds": 0.0} if fault.kind.startswith("hang") else {}
            self.aws.fault(
                fault.kind,
                operation=fault.operation,
                skip=fault.skip,
                times=None if fault.always else 1,
                **where,
                **seconds,
            )
        try:
            yield
        finally:
            self.aws.clear_faults()
            self.simulation.lag = 0.0

    def _command(self, arguments: list[str], kill: Kill | None = None) -> Done | None:
        done = self.simulation.run(arguments, self.folder, kill)
        figures["kills"] += done is None
        if done is not None:
            failed = "Internal error" in done.out + done.err or "Traceback" in done.err
            self._demand(
                done.code in {0, 1, 2, 3} and not failed,
                f"keysweep {' '.join(arguments)} failed: {done.err[-500:]}",
            )
            if os.environ.get("KEYSWEEP_HISTORY"):  # to look into one history
                print("$ keysweep", *arguments, "->", done.code, done.out, done.err, sep="\n")
        return done

    def _others(self, arn: str, operation: str, **parameters: Any) -> None:
        figures["steps"] += 1
        self._others_at = self.now
        self.simulation.others(arn.split(":")[3], operation, KeyId=arn, **parameters)

    def _pass(self, seconds: float) -> None:
        self.simulation.arrive()
        self.aws.advance(seconds=0)
        self.simulation.time.sleep(seconds)

    def _scan(self) -> None:
        found = [
            prowler_record(key["arn"], self.now)
            for key in self.aws.keys()
            if key["state"] == "Disabled" and key["manager"] == "CUSTOMER"
        ]
        (self.folder / "results.json").write_text(json.dumps(found), encoding="utf-8")

    def _state_file(self, arn: str) -> str:
        resource = {
            "address": "aws_kms_key.it",
            "mode": "managed",
            "type": "aws_kms_key",
            "name": "it",
            "provider_name": "registry.terraform.io/hashicorp/aws",
            "schema_version": 0,
            "values": {"arn": arn, "is_enabled": False},
            "sensitive_values": {},
        }
        document = {
            "format_version": "1.0",
            "terraform_version": "1.9.8",
            "values": {"root_module": {"resources": [resource]}},
        }
        (self.folder / "state.json").write_text(json.dumps(document), encoding="utf-8")
        return "state.json"

    def _name_in_a_secret(self, arn: str) -> None:
        region = arn.split(":")[3]
        self._secrets += 1
        world = self.aws.gateway.world
        where = (SHOP, region, "secretsmanager", "ListSecrets")
        listed = world.answers.setdefault(where, {"SecretList": []})["SecretList"]
        name = f"secret-{self._secrets}"
        secret = f"arn:aws:secretsmanager:{region}:{SHOP}:secret:{name}"
        world.answers[*where[:3], "ListSecretVersionIds"] = {"Versions": []}
        listed.append({"ARN": secret, "Name": name, "KmsKeyId": arn})
        self.reference.facts(arn).listed.append(self.now)

    def _demand(self, holds: object, otherwise: str) -> None:
        self.reference.demand(holds, otherwise)

    def _check(self) -> None:
        self.reference.run = None
        if self.reference.violations:
            raise Broken("; ".join(self.reference.violations))


def _unintended(arn: str, now: float) -> dict[str, Any]:
    """A finding that a deletion was not intended."""
    record = prowler_record(arn, now)
    record["metadata"]["event_code"] = "kms_cmk_not_deleted_unintentionally"
    return record


def _is_run_with_lines(lines: list[bytes]) -> bool:
    """Whether the first line is missed where it is missing."""
    first, second = map(json.loads, lines[:2])
    return first["line"] == "run" and second["run"] == first["run"]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
