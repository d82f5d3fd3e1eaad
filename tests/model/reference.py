"""What must hold in every history: a model of the promises in docs/safety.md, which reads nothing.

It knows what other people did, what went over the wire, and what journals say; it knows nothing of
how the command decides. Each violation is a sentence in `violations`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.simulation import Call

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

WRITES = frozenset({"ScheduleKeyDeletion", "CancelKeyDeletion", "EnableKey", "TagResource"})
TOGGLES = frozenset({"EnableKey", "DisableKey", "CancelKeyDeletion"})
"""Calls of anybody that make a key's state younger than the policy demands."""
USES = frozenset({"Decrypt", "Encrypt", "GenerateDataKey", "CreateGrant"})

PROTECTED = "keysweep:keep"
"""The tag that holds a key."""
OUTSIDER = "999988887777"
"""An account that a key policy may let in."""

HISTORY = 89 * DAY
"""How far back attempts to use a key count, and a little less."""
REST = 29 * DAY
"""How long a key must have been disabled, and a little less."""
FRESH = 15 * MINUTE
"""Age of references up to which `apply` does not list them again."""
BEFORE_EVIDENCE = 60 * MINUTE
"""How far back from the last read `guard` counts."""


@dataclass
class Deletion:
    """A deletion that AWS has begun."""

    ours: bool
    journal: str | None
    at: float


@dataclass
class Intent:
    """A line of a journal that announces a write."""

    operation: str
    sent: bool = False


@dataclass
class KeyFacts:
    """What happened to one key."""

    uses: list[float] = field(default_factory=list)
    toggles: list[float] = field(default_factory=list)
    listed: list[float] = field(default_factory=list)
    """When resources began to name it."""
    deletion: Deletion | None = None
    announced: list[float] = field(default_factory=list)
    """When journals announced requests to delete it."""
    confirmed: bool = False
    """Whether a journal has the outcome of the last one."""
    moved: float = 0.0
    """When its state changed last."""
    shared: bool = False
    """Whether its key policy lets another account in."""
    restored: bool = False
    """Whether a journal announced that its deletion is cancelled."""
    shown: str | None = None
    """Its state as a run last read it."""
    shown_at: float = 0.0


@dataclass(frozen=True)
class Reviewed:
    """A plan as it was made, and as a person reviewed it."""

    policy: str
    chosen: Mapping[str, int]
    """The keys to schedule, and their waiting periods."""
    tags: Mapping[str, Mapping[str, str]]
    aliases: Mapping[str, Collection[str]]
    evidence_from: float
    expires: float
    digest: str
    owners: Mapping[str, str]
    """The owners of the keys to schedule."""
    waives_events: bool
    """Whether the policy's exceptions lift the rules about earlier uses and changes of state."""


@dataclass
class Run:
    """What one run may do, and what it did."""

    command: str
    journal: str
    started: float
    may_schedule: Mapping[str, int] = field(default_factory=dict)
    """Keys and waiting periods."""
    may_cancel_others: frozenset[str] = frozenset()
    """Keys that the caller named, even if another principal scheduled them."""
    may_tag: bool = False
    may_enable: bool = False
    lag: float = 0.0
    """How late DescribeKey shows changes."""
    cancelled: list[str] = field(default_factory=list)
    scheduled: list[str] = field(default_factory=list)
    needs: Mapping[str, str] = field(default_factory=dict)
    """Keys with a need that was visible when it began, and which."""
    writes: int = 0


class Reference:
    """The facts, and every promise that was broken."""

    def __init__(self, now: Any) -> None:
        self._now = now
        self.primaries: frozenset[str] = frozenset()
        """Keys with replicas."""
        self.keys: dict[str, KeyFacts] = {}
        self.run: Run | None = None
        self.violations: list[str] = []
        self._intents: dict[str, list[Intent]] = {}
        self._journal_of: dict[str, str] = {}
        """The journal that announced the last request to delete a key."""
        self.looked: dict[tuple[str, str], float] = {}
        """When `guard`, or `apply`, last looked at a key, by journal."""

    def facts(self, arn: str) -> KeyFacts:
        return self.keys.setdefault(arn, KeyFacts())

    def demand(self, holds: object, otherwise: str) -> None:
        """Note a violation unless it holds."""
        if not holds:
            self.violations.append(otherwise)

    def begin(self, run: Run) -> None:
        """A run begins, which has read nothing yet."""
        self.run = run
        for facts in self.keys.values():
            facts.shown, facts.shown_at = None, 0.0

    # --- what goes over the wire, and into journals

    def written(self, journal: Path, line: dict[str, Any]) -> None:
        if line["line"] == "intent":
            if line["operation"] == "CancelKeyDeletion":
                self.facts(line["key_arn"]).restored = True
            self._intents.setdefault(line["key_arn"], []).append(Intent(line["operation"]))
            if line["operation"] == "ScheduleKeyDeletion":
                self.facts(line["key_arn"]).announced.append(self._now())
                self.facts(line["key_arn"]).confirmed = False
                self.looked[journal.name, line["key_arn"]] = self._now()
                self._journal_of[line["key_arn"]] = journal.name
        if line["line"] == "outcome" and line["operation"] == "ScheduleKeyDeletion":
            self.facts(line["key_arn"]).confirmed = True
        if line["line"] == "look":
            for arn in line["keys"]:
                self.looked[journal.name, arn] = self._now()

    def sending(self, operation: str, parameters: dict[str, Any]) -> str | None:
        """A run is about to send a request to KMS; the journal that announced it."""
        run = self.run
        if operation not in WRITES or run is None:
            return None
        arn = parameters["KeyId"]
        run.writes += 1
        last = (self._intents.get(arn) or [None])[-1]
        announced = last is not None and last.operation == operation and not last.sent
        self.demand(announced, f"{operation} of {arn} without an intent of its own before it")
        if last is not None:
            last.sent = True
        if operation == "ScheduleKeyDeletion":
            self._scheduling(run, arn, parameters)
        elif operation in {"TagResource", "EnableKey"}:
            may = run.may_tag if operation == "TagResource" else run.may_enable
            self.demand(
                may and self.facts(arn).restored, f"{run.command} sends {operation} for {arn}"
            )
        return self._journal_of.get(arn)

    def _scheduling(self, run: Run, arn: str, parameters: dict[str, Any]) -> None:
        shown = self.facts(arn).shown
        self.demand(shown == "Disabled", f"{arn} is scheduled when DescribeKey shows {shown}")
        window = parameters.get("PendingWindowInDays")
        self.demand(run.command == "apply", f"{run.command} schedules {arn}")
        self.demand(arn in run.may_schedule, f"{arn} is in no reviewed plan, and is scheduled")
        self.demand(
            window == run.may_schedule.get(arn, window) and window in range(7, 31),
            f"{arn} is scheduled with a waiting period of {window} days",
        )
        self.demand(arn not in run.needs, f"{arn} is scheduled in spite of {run.needs.get(arn)}")

    def answered(self, call: Call) -> None:
        """AWS has answered a request, of a run or of other people."""
        facts = self.facts(call.key_arn)
        if not call.ours and call.operation in USES:
            facts.uses.append(self._now())  # also when it was refused
        if not call.carried_out:
            return
        if call.ours and call.operation == "DescribeKey" and call.answer is not None:
            facts.shown = call.answer["KeyMetadata"]["KeyState"]
            facts.shown_at = self._now()
        self._changed(call, facts)

    def _changed(self, call: Call, facts: KeyFacts) -> None:
        """Note what a request that was carried out changed."""
        if call.operation == "PutKeyPolicy":
            facts.shared = OUTSIDER in call.parameters["Policy"]
        if call.operation in TOGGLES:
            facts.toggles.append(self._now())
        if call.operation in TOGGLES or call.operation == "ScheduleKeyDeletion":
            facts.moved = self._now()
        if call.operation == "ScheduleKeyDeletion":
            facts.deletion = Deletion(call.ours, call.journal if call.ours else None, self._now())
            if call.ours and self.run is not None:
                self.run.scheduled.append(call.key_arn)
        elif call.operation == "CancelKeyDeletion":
            if call.ours:
                self._cancelled(call.key_arn, facts)
            facts.deletion = None

    def _cancelled(self, arn: str, facts: KeyFacts) -> None:
        run, deletion = self.run, facts.deletion
        if run is None or deletion is None:
            return
        run.cancelled.append(arn)
        unseen = deletion.at > facts.shown_at - run.lag
        allowed = arn in run.may_cancel_others or deletion.ours or self.may_seem_ours(arn) or unseen
        self.demand(allowed, f"{run.command} cancels other people's deletion of {arn}")

    # --- what is visible

    def needs(
        self, plan: Reviewed, keys: Iterable[Mapping[str, Any]], now: float, delay: float
    ) -> dict[str, str]:
        """Keys that must not be scheduled, by what AWS shows, and why."""
        found = {}
        for key in keys:
            why = self._state_need(plan, key) or self._event_need(plan, key["arn"], now, delay)
            if why is not None:
                found[key["arn"]] = why
        return found

    def _state_need(self, plan: Reviewed, key: Mapping[str, Any]) -> str | None:
        if key["state"] == "Enabled":
            return "its state"
        if self.facts(key["arn"]).shared:
            return "a key policy that lets another account in"
        return self.change(plan, key)

    def change(self, plan: Reviewed, key: Mapping[str, Any]) -> str | None:
        """A need, or a difference from the plan, that cannot begin any more once it is pending."""
        arn = key["arn"]
        if PROTECTED in key["tags"]:
            return "its protected tag"
        if key["grants"]:
            return "a grant"
        if arn in plan.tags and dict(plan.tags[arn]) != key["tags"]:
            return "other tags than in the plan"
        if arn in plan.aliases and {*plan.aliases[arn]} != {*key["aliases"]}:
            return "other aliases than in the plan"
        return None

    def _event_need(self, plan: Reviewed, arn: str, now: float, delay: float) -> str | None:
        facts = self.facts(arn)
        read = plan.evidence_from if now - plan.evidence_from < FRESH else now
        if any(since < read for since in facts.listed):
            return "a resource that names it"
        if plan.waives_events:
            return None
        if any(now - HISTORY < one < now - delay for one in facts.uses):
            return "an attempt to use it"
        if any(now - REST < one < now - delay for one in facts.toggles):
            return "a recent change of its state"
        return None

    def attempts(self, arn: str, now: float, delay: float) -> int:
        """Attempts to use a key since the evidence of its deletion that CloudTrail shows."""
        deletion = self.facts(arn).deletion
        if deletion is None:
            return 0
        start = deletion.at - BEFORE_EVIDENCE + 5 * MINUTE  # the run began to read before its call
        return sum(start < one < now - delay - 1 for one in self.facts(arn).uses)

    def in_use(self, arn: str, now: float, delay: float) -> bool:
        """Whether AWS shows a sign that a key pending deletion is in use."""
        return self.facts(arn).shared or self.attempts(arn, now, delay) > 0

    def ours(self, journal: str) -> set[str]:
        """Keys whose deletion this journal began, and that are pending."""
        return {
            arn
            for arn, facts in self.keys.items()
            if facts.deletion is not None
            and facts.deletion.ours
            and facts.deletion.journal == journal
        }

    def may_seem_ours(self, arn: str) -> bool:
        """Whether its deletion began up to two minutes after a journal announced one.

        So may that of a primary key later, which has no date.
        """
        facts = self.facts(arn)
        if facts.deletion is None:
            return False
        later = [facts.deletion.at - one for one in facts.announced]
        return any(-2 <= one <= 2 * MINUTE or (arn in self.primaries and one > 0) for one in later)

    def may_be_undetermined(self, arn: str) -> bool:
        """Whether its deletion may be ours, and may be other people's.

        That is one of other people up to an hour after a journal announced one, and one of a
        primary key, without a date, whose answer was lost.
        """
        facts = self.facts(arn)
        if facts.deletion is None:
            return False
        if facts.deletion.ours:
            return arn in self.primaries and not facts.confirmed
        if arn in self.primaries:
            return bool(facts.announced)
        return any(-3 * MINUTE <= facts.deletion.at - one <= HOUR for one in facts.announced)
