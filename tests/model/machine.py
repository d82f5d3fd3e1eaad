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
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from command_runs import Done
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from lifted_rules import file_lifting
from prowler_records import prowler_record
from scenarios import DEAD

from keysweep.remediation import journal as journal_stage
from keysweep.remediation.models import UNKNOWN
from keysweep.remediation.plan import LIMITS
from model.reference import DAY, HOUR, MINUTE, OUTSIDER, PROTECTED, Reference, Reviewed, Run
from model.simulation import (
    AFTER,
    BEFORE,
    DATA,
    LATE,
    LINE,
    ROLE,
    SHOP,
    Interference,
    Kill,
    Late,
    begun,
)

__all__ = ["Fault", "Histories", "Kill", "Lag", "Late", "Meddling", "Options"]


def _key(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "aliases": [f"alias/{name}"], **DEAD, **more}


HERE, THERE = "eu-west-1", "us-east-1"
_PRIMARY = _key("both", replicas={THERE: {"state": "Disabled", "disabled_days_ago": 400}})
SCENARIO = {
    "accounts": {
        SHOP: {
            "regions": {
                HERE: {"keys": [_key("one"), _key("two", tags={"owner": "payments"}), _PRIMARY]},
                THERE: {"keys": [_key("far")]},
            }
        },
        DATA: {"roles": [ROLE], "regions": {HERE: {"keys": [_key("other")]}, THERE: {}}},
    }
}
_NAMES = (
    *((SHOP, HERE, "one"), (SHOP, HERE, "two"), (SHOP, THERE, "far")),
    *((DATA, HERE, "other"), (SHOP, HERE, "both")),
)
EVERYWHERE = ["--all", "--account", SHOP, "--account", DATA, "--region", HERE, "--region", THERE]
KEYS = len(_NAMES) + 1
"""The last one is the replica of `both`."""
PRIMARY = 4

EVENT_RULES = ("disabled-too-recently", "restored", "use-attempted", "used-recently")
POLICIES = {
    "strict": "version: 1\n",
    "patient": file_lifting((*EVENT_RULES, "replicas-remain")),
}

EVIDENCE = (
    *("DescribeKey", "ListAliases", "ListGrants", "ListResourceTags", "GetKeyPolicy"),
    *("LookupEvents", "GetKeyLastUsage", "ListSecrets", "GetCallerIdentity", "AssumeRole"),
)
CALLS = ("ScheduleKeyDeletion", "CancelKeyDeletion", "TagResource", "EnableKey")
KINDS = (
    ("deny", "throttle", "expire", "error_500"),
    ("drop_before", "drop_after", "hang_before", "hang_after"),
    ("truncate", "truncate_unsized", "truncate_valid_length"),
)
"""Refused, lost and truncated answers."""
JOURNALS = ("a.jsonl", "b.jsonl")
DAMAGES = (
    *("repeated", "garbled", "headless"),
    *("without an intent", "twice decided", "of another operation"),
)
"""Edits of a journal by other people."""
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
class Meddling:
    """What other people do in the middle of a run, right before or after an event of it."""

    event: str
    when: str
    key: int
    what: str
    skip: int = 0


@dataclass(frozen=True)
class Lag:
    """DescribeKey shows changes of state so many seconds late."""

    seconds: float


Trouble = tuple[Fault | Kill | Late | Meddling | Lag, ...]
"""What happens during a run."""

CALM: Trouble = ()

_ENTRY = ("GetCallerIdentity", "AssumeRole")
"""Operations without which a run may not begin."""


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


keys = st.integers(0, KEYS - 1)
slots = st.integers(0, 1)
journals = st.sampled_from(JOURNALS)
watched = st.sampled_from(((JOURNALS[0],), (JOURNALS[1],), JOURNALS))

kinds = st.one_of(*map(st.sampled_from, KINDS))

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
    "keep": ("TagResource", {"Tags": [{"TagKey": PROTECTED, "TagValue": ""}]}),
    "grant": ("CreateGrant", {"GranteePrincipal": _ROLE, "Operations": ["Decrypt"]}),
}
CHANGES = (*_SIMPLE, "alias", "secret", "share", "reschedule", "clean")
"""What other people do to a key."""
MEDDLING = (*CHANGES, "schedule")
SHOWN_BY = {
    "keep": "ListResourceTags",
    "tag": "ListResourceTags",
    "share": "GetKeyPolicy",
    "secret": "ListSecrets",
    "encrypt": "LookupEvents",
}
"""Operations that alone show a change."""
ALL = (*EVIDENCE, *CALLS)
PARTS = ("digest", "other digest", "owner", "account", "region")
"""Options of apply that approve or limit it."""


def _faults(operations: st.SearchStrategy[str]) -> st.SearchStrategy[Fault]:
    return st.builds(
        Fault,
        st.one_of(*map(st.sampled_from, KINDS)),
        operations,
        _mostly(None, keys),
        _mostly(0, st.integers(1, 2)),
        _mostly(True, st.just(False)),
    )


def _one_fault(*operations: str) -> st.SearchStrategy[Trouble]:
    return st.tuples(_faults(st.sampled_from(operations)))


def _trouble(*usual: str, writes: bool = True) -> st.SearchStrategy[Trouble]:
    """Trouble of a run, mostly with these operations, the first above all; at most two things."""
    some = st.sampled_from(usual)
    operations = st.one_of(st.just(usual[0]), some, some, st.sampled_from(ALL))
    faults = _faults(operations)
    calls = tuple(one for one in usual if one in CALLS)
    events = st.sampled_from((LINE, "DescribeKey", *calls))
    kills = st.builds(
        Kill,
        events,
        st.sampled_from((BEFORE, AFTER, LATE)),
        st.sampled_from((0, 0, 0, 1, 2, 4)),
        st.integers(0, 12),
    )
    meddling = st.builds(
        Meddling,
        events | operations,
        st.sampled_from((BEFORE, AFTER)),
        keys,
        st.sampled_from(MEDDLING),
        st.integers(0, 3),
    )
    late = st.builds(Late, st.sampled_from(calls or CALLS), st.integers(0, 2), st.integers(0, 12))
    one = st.one_of(
        *(faults, faults, faults, meddling, st.builds(Lag, st.sampled_from((1.0, 3.0)))),
        *((kills, kills, late) if writes else ()),
    )
    return st.sampled_from((0, 0, 1, 1, 1, 2)).flatmap(lambda n: st.tuples(*[one] * n))


figures: Counter[str] = Counter()
"""What the histories of this process have met."""


T = TypeVar("T")


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
        self.arns = [self.aws.key_arn(*one) for one in _NAMES]
        self.reference.primaries = frozenset({self.arns[PRIMARY]})
        self.arns.append(self.arns[PRIMARY].replace(HERE, THERE))
        self.plans: dict[int, Reviewed] = {}
        self.delay = 0.0
        self._others_at = 0.0
        self._secrets = 0
        for name, text in POLICIES.items():
            (self.folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        self._scan()
        figures["histories"] += 1

    @initialize(policy=st.sampled_from(sorted(POLICIES)), applied=st.booleans())
    def begin(self, policy: str, applied: bool) -> None:
        """Every history begins with a plan, which may be carried out."""
        self.plan(0, Options(policy), CALM)
        if applied:
            self.apply(0, JOURNALS[0], CALM)

    # --- the command

    @rule(
        slot=slots,
        options=options_,
        trouble=_trouble(*EVIDENCE, writes=False),
    )
    def plan(self, slot: int, options: Options, trouble: Trouble) -> None:
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
        untouched = {*self.arns} - self._touched(trouble)
        truth = {key["arn"]: key for key in self.aws.keys() if key["arn"] in untouched}
        began = self.now
        done = self._run(Run("plan", "", began), arguments, trouble)
        path = self.folder / f"plan-{slot}.json"
        self._check()
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
            made["digest"],
            {
                item["key_arn"]: item["owner"] or UNKNOWN
                for item in made["items"]
                if item["verdict"] == "schedule"
            },
            options.policy == "patient",
        )
        needs = self.reference.needs(self.plans[slot], truth.values(), began, self.delay)
        if not _of(Lag, trouble):
            for arn in sorted({*chosen} & {*needs}):
                self._demand(False, f"{arn} is in a plan in spite of {needs[arn]}")
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
        trouble=_trouble("ScheduleKeyDeletion", *EVIDENCE),
        part=_mostly(None, st.sampled_from(PARTS)),
    )
    def apply(self, slot: int, journal: str, trouble: Trouble, part: str | None = None) -> None:
        """Carry out a plan, or a part of it."""
        self._apply(self._slot(slot), journal, trouble, part)
        self._check()

    @rule(
        options=options_,
        key=keys,
        what=st.sampled_from(sorted(SHOWN_BY)),
        kind=kinds,
        journal=journals,
    )
    def change_plan_apply(
        self, options: Options, key: int, what: str, kind: str, journal: str
    ) -> None:
        """A plan of a key with a need, without a look at that, and the plan carried out."""
        self.others_do(key, what)
        self._pass(MINUTE)
        self.plan(0, options, (Fault(kind, SHOWN_BY[what], always=True),))
        if 0 in self.plans:
            self.apply(0, journal, CALM)

    @rule(
        options=options_,
        key=keys,
        what=st.sampled_from(("keep", "tag", "alias")) | st.sampled_from(CHANGES),
        minutes=st.sampled_from((0, 0, 60)),
        wait=st.sampled_from((0.0, 20 * MINUTE)),
        journal=journals,
        trouble=_one_fault("ListResourceTags", "ListAliases")
        | _trouble("ScheduleKeyDeletion", "ListResourceTags", "ListGrants", "CancelKeyDeletion"),
    )
    def plan_change_apply(
        self,
        options: Options,
        key: int,
        what: str,
        minutes: int,
        wait: float,
        journal: str,
        trouble: Trouble,
    ) -> None:
        """A plan, a change by other people, and the plan carried out."""
        self.plan(0, options, CALM)
        if 0 not in self.plans:
            return
        self.delay_trail(minutes)
        self.others_do(key, what)
        self._pass(wait)
        self.apply(0, journal, trouble)

    @rule(
        key=keys,
        what=st.sampled_from(sorted(SHOWN_BY)),
        kind=kinds,
        journal=journals,
    )
    def plan_change_apply_unread(self, key: int, what: str, kind: str, journal: str) -> None:
        """A plan, a change of one of its keys, and the plan carried out without a look at that."""
        self.plan(0, Options("patient"), CALM)
        if 0 not in self.plans or not self.plans[0].chosen:
            return
        chosen = sorted(self.plans[0].chosen)
        self.others_do(self.arns.index(chosen[key % len(chosen)]), what)
        self._pass(20 * MINUTE)
        self.apply(0, journal, (Fault(kind, SHOWN_BY[what], always=True),))

    @rule(journal=journals, kind=st.sampled_from(KINDS[1] + KINDS[2]))
    def apply_unanswered(self, journal: str, kind: str) -> None:
        """A plan that is carried out, of which no answer comes back, and its undo."""
        self.plan(0, Options("patient"), CALM)
        if 0 in self.plans:
            self.apply(0, journal, (Fault(kind, "ScheduleKeyDeletion", always=True),))
        if self.has_journal:
            self.undo((journal,), False, False)

    @rule(key=keys, journal=journals)
    def use_apply_guard(self, key: int, journal: str) -> None:
        """A use that CloudTrail shows only after the plan was carried out."""
        self.delay_trail(60)
        self.plan(0, Options("patient"), CALM)
        self.others_do(key, "encrypt")
        self._pass(20 * MINUTE)
        if 0 in self.plans:
            self.apply(0, journal, CALM)
        if self.has_journal:
            self.guard_later(journal)

    @precondition(lambda self: self.has_journal)
    @rule(journal=journals)
    def guard_later(self, journal: str) -> None:
        """A fault-free look, once CloudTrail has delivered everything."""
        self._pass(3 * HOUR)
        self.guard((self._journal(journal),), False, False, None, False, CALM)

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(slot=slots, journal=journals)
    def apply_again(self, slot: int, journal: str) -> None:
        """One fault-free rerun, once DescribeKey is conclusive: nothing of the plan stays open."""
        slot, journal = self._slot(slot), self._journal(journal)
        self._pass(SETTLED)
        self._apply(slot, journal, CALM)
        digest = self.plans[slot].digest
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
        trouble=_trouble("CancelKeyDeletion", "DescribeKey", *CALLS[2:]),
    )
    def cancel(
        self,
        by: str,
        journal: str,
        slot: int,
        key: int,
        keep: bool,
        enable: bool,
        trouble: Trouble,
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
        self._run(run, arguments, trouble)
        self._check()

    @precondition(lambda self: self.has_journal)
    @rule(names=watched, keep=st.booleans(), enable=st.booleans())
    def undo(self, names: tuple[str, ...], keep: bool, enable: bool) -> None:
        """A fault-free undo of journals: exactly their deletions end."""
        names = self._journals(names)
        self._pass(SETTLED)
        pending = {arn for arn in self.arns if self.aws.key(arn) is not None}
        ours = {arn for name in names for arn in self.reference.ours(name) & pending}
        unclear = {arn for arn in pending if self.reference.may_be_undetermined(arn)}
        seeming = {arn for arn in pending if self.reference.may_seem_ours(arn)}
        run = Run("cancel", names[0], self.now, may_tag=keep, may_enable=enable)
        arguments = ["cancel", "--yes", "--format", "json", *_journal_arguments(names)]
        arguments += ["--keep"] * keep + ["--enable"] * enable
        done = self._run(run, arguments, CALM)
        self._demand(done is not None and done.code in {0, 1}, "undo ended with an error")
        self._demand(
            ours - unclear <= {*run.cancelled} <= ours | seeming,
            f"undo of {names} cancelled {sorted(run.cancelled)}, not {sorted(ours)}",
        )
        for arn in run.cancelled:
            key = self.aws.key(arn) or {"state": "deleted", "tags": {}}
            self._demand(
                key["state"] == ("Enabled" if enable else "Disabled"),
                f"undo leaves {arn} {key['state']}",
            )
            self._demand(not keep or PROTECTED in key["tags"], f"undo does not tag {arn}")
        self._check()

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(
        names=watched,
        cancels=st.booleans(),
        keep=st.booleans(),
        slot=st.none() | slots,
        every=_mostly(False, st.just(True)),
        trouble=_trouble("CancelKeyDeletion", *EVIDENCE, "ListKeys"),
    )
    def guard(
        self,
        names: tuple[str, ...],
        cancels: bool,
        keep: bool,
        slot: int | None,
        every: bool,
        trouble: Trouble,
    ) -> None:
        """Watch the keys of journals, or every key that is pending deletion."""
        names = self._journals(names)
        slot = None if slot is None else self._slot(slot)
        arguments = ["guard", *_journal_arguments(names), "--yes", "--format", "json"]
        arguments += ["--cancel"] * cancels + ["--keep"] * (cancels and keep)
        if slot is not None:
            arguments += ["--plan", f"plan-{slot}.json"]
        arguments += EVERYWHERE if every else []
        expected = {
            arn
            for arn in self._visibly_pending(None if every else names, trouble)
            if self.reference.in_use(arn, self.now, self.delay)
        }
        run = Run("guard", names[0], self.now, may_tag=cancels and keep)
        if every and cancels:
            run.may_cancel_others = frozenset(self.arns)
        done = self._run(run, arguments, trouble)
        if done is not None and not _of(Fault, trouble):
            rows = {row["key_arn"]: row for row in map(json.loads, done.out.splitlines())}
            for arn in sorted(expected):
                self._demand(
                    arn in rows and rows[arn]["in_use"],
                    f"guard does not report the attempts to use {arn}",
                )
        self._check()

    @precondition(lambda self: self.has_journal)
    @rule(names=watched, trouble=_trouble("DescribeKey", "AssumeRole", writes=False))
    def status(self, names: tuple[str, ...], trouble: Trouble) -> None:
        """Pending keys that nothing has looked at for three days are named."""
        names = self._journals(names)
        pending = self._visibly_pending(names, trouble)
        unwatched = {arn for arn in pending if self.now - self._looked(names, arn) > 3 * DAY}
        run = Run("status", names[0], self.now)
        arguments = ["status", *_journal_arguments(names), "--format", "json"]
        done = self._run(run, arguments, trouble)
        if done is not None and done.out and not _of(Fault, trouble):
            rows = {row["key_arn"]: row for row in json.loads(done.out)["rows"]}
            for arn in sorted(unwatched):
                self._demand(
                    arn in rows and rows[arn]["unwatched"] and done.code == 1,
                    f"status does not name {arn}, which nothing looks at",
                )
        self._check()

    @precondition(lambda self: self.has_journal)
    @rule(names=watched)
    def status_later(self, names: tuple[str, ...]) -> None:
        """A fault-free look at the list, after days without `guard`."""
        self._pass(4 * DAY)
        self.status(names, CALM)

    # --- files that were edited

    @precondition(lambda self: self.has_plan)
    @rule(slot=slots, what=st.sampled_from(("window", "verdict", "dropped", "repeated")))
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
        elif what == "dropped":
            del document["items"][0]
        edited = json.dumps(document)
        if what == "repeated":
            edited = edited.replace('{"key_arn"', '{"verdict": "schedule", "key_arn"', 1)
        path.write_text(edited, encoding="utf-8")
        run = Run("apply", JOURNALS[0], self.now, may_schedule=self.plans[slot].chosen)
        arguments = ["apply", path.name, "--yes", "--journal", JOURNALS[0]]
        done = self._run(run, arguments, CALM)
        path.write_text(text, encoding="utf-8")
        self._demand(
            done is not None and done.code in {2, 3} and not run.writes,
            f"a plan with another {what} is carried out",
        )
        self._check()

    @precondition(lambda self: self.has_plan and self.has_journal)
    @rule(slot=slots, journal=journals, what=st.sampled_from(DAMAGES))
    def edit_journal(self, slot: int, journal: str, what: str) -> None:
        """Nothing is added to a damaged journal."""
        slot, journal = self._slot(slot), self._journal(journal)
        path = self.folder / journal
        whole = path.read_bytes()
        damaged = _damaged(whole, what)
        if damaged is None:
            return
        path.write_bytes(damaged)
        run = Run("apply", journal, self.now, may_schedule=self.plans[slot].chosen)
        arguments = ["apply", f"plan-{slot}.json", "--yes", "--journal", journal]
        done = self._run(run, arguments, CALM)
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
        self._pass(1.0)
        if what == "reschedule" and self.aws.key(self.arns[key]) is not None:
            self._others(self.arns[key], "CancelKeyDeletion")
            self.others_schedule(key, 30)
        else:
            self._change(key, what)

    def _change(self, key: int, what: str) -> None:
        arn = self.arns[key]
        if self.aws.key(arn) is None:
            return
        simple = _SIMPLE.get(what)
        if simple is not None:
            self._others(arn, simple[0], **simple[1])
        elif what == "alias":
            account, region = _where(arn)
            name = next(n for a, r, n in _NAMES if (a, r) == (account, region))
            self.simulation.others(
                account, region, "UpdateAlias", AliasName=f"alias/{name}", TargetKeyId=arn
            )
        elif what == "secret":
            self._name_in_a_secret(arn)
        elif what == "share":
            self._put_policy(arn, OUTSIDER)
        elif what in {"schedule", "reschedule"}:
            if what == "reschedule":
                self._others(arn, "CancelKeyDeletion")
            self._others(
                arn, "ScheduleKeyDeletion", PendingWindowInDays=12 if what == "schedule" else 30
            )
        else:
            self._clean(arn)

    def _clean(self, arn: str) -> None:
        """The last need of a key ends."""
        self._others(arn, "UntagResource", TagKeys=["team", PROTECTED])
        self._others(arn, "DisableKey")
        self._put_policy(arn)
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
                    if (self.folder / journal).exists():
                        self.undo((journal,), False, False)
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

    def _journals(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Those that exist, at least one."""
        return tuple(dict.fromkeys(map(self._journal, names)))

    def _looked(self, names: tuple[str, ...], arn: str) -> float:
        return max(self.reference.looked.get((name, arn), 0.0) for name in names)

    def _touched(self, trouble: Trouble) -> set[str]:
        """Keys that other people change during the run."""
        touched = set()
        for one in _of(Meddling, trouble):
            arn = self.arns[one.key]
            touched |= {arn} if one.what != "alias" else {*self.arns}
        return touched

    def _visibly_pending(self, names: tuple[str, ...] | None, trouble: Trouble) -> set[str]:
        """Keys whose deletion these journals, or anybody, began, as the next run sees it."""
        lag = sum(one.seconds for one in _of(Lag, trouble))
        touched = self._touched(trouble)
        if names is None:
            ours = {arn for arn in self.arns if self.reference.facts(arn).deletion is not None}
        else:
            ours = {arn for name in names for arn in self.reference.ours(name)}
        return {
            arn
            for arn in ours - touched
            if self.aws.key(arn) is not None and self.now - self.reference.facts(arn).moved >= lag
        }

    def _apply(self, slot: int, journal: str, trouble: Trouble, part: str | None = None) -> None:
        plan = self.plans[slot]
        lag = sum(one.seconds for one in _of(Lag, trouble))
        if lag and self.now - self._others_at < 10 * lag:
            self._pass(10 * lag)  # what other people did is visible
        needs = self.reference.needs(plan, self.aws.keys(), self.now, self.delay)
        needs = {
            arn: need
            for arn, need in needs.items()
            if arn not in self._touched(trouble)
            # What an earlier command of ours enabled may still look disabled.
            if need != "its state" or self.now - self.reference.facts(arn).moved >= lag
        }
        options, kept = _part(plan, part)
        allowed = {arn: plan.chosen[arn] for arn in kept} if self.now < plan.expires else {}
        run = Run("apply", journal, self.now, may_schedule=allowed, needs=needs)
        arguments = ["apply", f"plan-{slot}.json", "--yes", "--format", "json", *options]
        done = self._run(run, [*arguments, "--journal", journal], trouble)
        if part == "other digest":
            refused = done is None or (done.code in {2, 3} and not run.writes)
            self._demand(refused, "a plan with another digest is carried out")
        faults = _of(Fault, trouble)
        stopped = any(one.kind == "expire" or one.operation in _ENTRY for one in faults)
        if done is None or done.code not in {0, 1} or stopped:
            return
        self._demand(done.out, f"apply ended without a row for each key: {done.err[-300:]}")
        if done.out:
            rows = {row["key_arn"]: row["outcome"] for row in json.loads(done.out)["results"]}
            self._demand({*rows} == kept, "apply leaves out keys of its plan")
            self._compare(run, plan, rows)

    def _compare(self, run: Run, plan: Reviewed, rows: dict[str, str]) -> None:
        """A key that other people changed right before its call is restored, or has failed."""
        for arn in run.scheduled:
            key, deletion = self.aws.key(arn), self.reference.facts(arn).deletion
            if key is None or deletion is None or not deletion.ours:
                continue
            changed = self.reference.change(plan, key)
            self._demand(
                changed is None or rows.get(arn) != "scheduled",
                f"{arn} stays scheduled in spite of {changed}",
            )

    def _run(self, run: Run, arguments: list[str], trouble: Trouble) -> Done | None:
        """A run in trouble; afterwards AWS works again. None: it was killed."""
        figures["steps"] += 1
        figures[f"runs of {run.command}"] += 1
        self.reference.begin(run)
        kill = None
        for one in trouble:
            figures[f"{type(one).__name__.lower()}s"] += 1
            if isinstance(one, Fault):
                self._fault(one)
            elif isinstance(one, Meddling):
                do = partial(self._change, one.key, one.what)
                self.simulation.interference = Interference(one.event, one.when, one.skip, do)
            elif isinstance(one, Late):
                self.simulation.late = one
            elif isinstance(one, Lag):
                self.simulation.lag = run.lag = one.seconds
            else:
                kill = one
        try:
            return self._command(arguments, kill)
        finally:
            self.aws.clear_faults()
            self.simulation.lag = 0.0

    def _fault(self, fault: Fault) -> None:
        where = {} if fault.key is None else {"key": self.arns[fault.key]}
        seconds = {"seconds": 0.0} if fault.kind.startswith("hang") else {}
        times = None if fault.always else 1
        self.aws.fault(
            fault.kind, operation=fault.operation, skip=fault.skip, times=times, **where, **seconds
        )

    def _command(self, arguments: list[str], kill: Kill | None = None) -> Done | None:
        done = self.simulation.run(arguments, self.folder, kill)
        figures["killed"] += done is None
        if done is not None:
            self._demand(
                done.code in {0, 1, 2, 3} and not self.simulation.errors,
                f"keysweep {' '.join(arguments)} failed: {done.err[-500:]}",
            )
            if os.environ.get("KEYSWEEP_HISTORY"):  # to look into one history
                print("$ keysweep", *arguments, "->", done.code, done.out, done.err, sep="\n")
        return done

    def _others(self, arn: str, operation: str, **parameters: Any) -> None:
        figures["steps"] += 1
        self._others_at = self.now
        self.simulation.others(*_where(arn), operation, KeyId=arn, **parameters)

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

    def _put_policy(self, arn: str, *others: str) -> None:
        """A key policy for the key's own account, and these accounts."""
        roots = [f"arn:aws:iam::{one}:root" for one in (_where(arn)[0], *others)]
        allow = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [{**allow, "Principal": {"AWS": roots}}]}
        self._others(arn, "PutKeyPolicy", PolicyName="default", Policy=json.dumps(policy))

    def _name_in_a_secret(self, arn: str) -> None:
        account, region = _where(arn)
        self._secrets += 1
        world = self.aws.gateway.world
        where = (account, region, "secretsmanager", "ListSecrets")
        listed = world.answers.setdefault(where, {"SecretList": []})["SecretList"]
        name = f"secret-{self._secrets}"
        secret = f"arn:aws:secretsmanager:{region}:{account}:secret:{name}"
        world.answers[*where[:3], "ListSecretVersionIds"] = {"Versions": []}
        listed.append({"ARN": secret, "Name": name, "KmsKeyId": arn})
        self.reference.facts(arn).listed.append(self.now)

    def _demand(self, holds: object, otherwise: str) -> None:
        self.reference.demand(holds, otherwise)

    def _check(self) -> None:
        self.reference.run = None
        if self.reference.violations:
            figures["violations"] += 1
            raise Broken("; ".join(self.reference.violations))


def _unintended(arn: str, now: float) -> dict[str, Any]:
    """A finding that a deletion was not intended."""
    record = prowler_record(arn, now)
    record["metadata"]["event_code"] = "kms_cmk_not_deleted_unintentionally"
    return record


def _where(arn: str) -> tuple[str, str]:
    """Account and Region of a key."""
    _, _, _, region, account, _ = arn.split(":")
    return account, region


def _of(kind: type[T], trouble: Trouble) -> list[T]:
    return [one for one in trouble if isinstance(one, kind)]


def _journal_arguments(names: tuple[str, ...]) -> list[str]:
    return [part for name in names for part in ("--journal", name)]


def _part(plan: Reviewed, part: str | None) -> tuple[list[str], set[str]]:
    """Options of apply, and the keys that they leave."""
    everything = {*plan.chosen}
    if part == "digest":
        return ["--digest", plan.digest], everything
    if part == "other digest":
        return ["--digest", f"sha256:{64 * '0'}"], set()
    if part == "owner" and everything:
        owner = min(plan.owners.values())
        return ["--owner", owner], {arn for arn in everything if plan.owners[arn] == owner}
    if part == "account" and everything:
        account = max(_where(arn)[0] for arn in everything)
        return ["--account", account], {arn for arn in everything if _where(arn)[0] == account}
    if part == "region" and everything:
        region = max(_where(arn)[1] for arn in everything)
        return ["--region", region], {arn for arn in everything if _where(arn)[1] == region}
    return [], everything


def _damaged(whole: bytes, what: str) -> bytes | None:
    """A journal with an edit by other people; None: it has no such line."""
    raw = whole.splitlines(keepends=True)
    try:
        lines = [json.loads(one) for one in raw]
    except ValueError:  # a kill tore one
        return None
    if len(lines) < 3 or lines[0]["line"] != "run" or lines[1].get("run") != lines[0]["run"]:
        return None
    if what == "repeated":
        return b"".join((*raw[:1], *raw))
    if what == "headless":
        return b"".join(raw[1:])
    if what == "garbled":
        return b"".join((raw[0], raw[1].replace(b'"', b"'", 9), *raw[2:]))
    return _undecided(raw, lines, what)


def _undecided(raw: list[bytes], lines: list[dict[str, Any]], what: str) -> bytes | None:
    """A journal whose first outcome and its intent do not belong together."""
    outcome = next((n for n, one in enumerate(lines) if one["line"] == "outcome"), None)
    if outcome is None:
        return None
    line = lines[outcome]
    intent = next(n for n, one in enumerate(lines) if one.get("id") == line["id"])
    if what == "without an intent":
        del raw[intent]
    elif what == "twice decided":
        raw.insert(outcome, raw[outcome])
    else:
        other = "EnableKey" if line["operation"] != "EnableKey" else "TagResource"
        raw[outcome] = json.dumps({**line, "operation": other}).encode() + b"\n"
    return b"".join(raw)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
