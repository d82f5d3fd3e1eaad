"""The plan: the verdict on every nominated key, in a document that a person reviews.

`build` makes it, `save` and `load` carry it. The digest detects edits and accidents; it is no
signature. `apply` takes nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import ijson
from ijson.common import ObjectBuilder
from pydantic import SkipValidation, ValidationError

from .errors import BadInput, Refused
from .evidence import Collector
from .evidence.owner import owner_of
from .evidence.rotations import monthly_cost
from .files import json_with_list, read_stream, write_private
from .findings import Results, candidates, is_plan_candidate
from .iac import NOTHING, Code
from .kept import ByKey, Kept, Some
from .models import (
    PENDING_DELETION,
    PIECES,
    Declarations,
    Evidence,
    Finding,
    FindingRecord,
    Hold,
    KeyArn,
    KeyDescription,
    Model,
    NotFound,
    PlanItem,
    PlanSummary,
    ResultsSource,
    Time,
    Unmapped,
    Unreadable,
    UnusableRecord,
    VerdictKind,
)
from .policy import Policy
from .rules import Evaluation, evaluate
from .since import Since, compare
from .strict_json import RepeatedName, unique_names

LIMITS: Final = (
    "Nobody can prove that a key is dead: data keys already handed out, client-side encryption, "
    "single objects with their own key, copies and snapshots in other accounts, public keys of "
    "asymmetric pairs and the former key of an alias that was moved before the event history "
    "begins leave no trace that AWS shows, and no list of services is ever whole.",
    "Prices are AWS's list prices in US dollars.",
)
"""What no evidence shows; every report says so, as README.md does below its promises."""

FOR_PEOPLE: Final = frozenset({"aliases"})
"""Pieces that the report shows of every key that is not skipped, asked for by a rule or not."""

FOR_REVIEW: Final = frozenset({"later_aliases", "rotations"})
"""Pieces that the report shows of the keys that are to be scheduled."""


class Plan(Model):
    """The document that a person reviews and `apply` carries out."""

    version: Literal[1] = 1
    """Version of the format."""
    digest: str = ""
    """`sha256:` and 64 hexadecimal digits, over everything else in the plan."""
    created_at: Time
    """When it was made; it expires `plan_expires_days` of its policy later."""
    evidence_from: Time | None = None
    """When the reading of evidence began; `apply` looks for uses of the keys since then, and in the
    60 minutes before, which AWS may have shown late."""
    policy: Policy
    """The decision policy in force, as the options of `plan` changed it."""
    sources: tuple[ResultsSource, ...]
    """The results documents that were read."""
    warnings: tuple[str, ...] = ()
    """What a person has to know about results and code, as sentences."""
    unusable: tuple[UnusableRecord, ...] = ()
    """Records of the results that could not be used."""
    summary: PlanSummary
    """How many keys have each verdict, and what is saved."""
    cloudtrail_lake: str | None = None
    """ARN of the event data store asked in place of the event history; apply asks it too."""
    code_looked_at: bool = False
    """Whether a Terraform state or a stack that owns something was given to look the keys up in."""
    unmapped: tuple[Unmapped, ...] = ()
    """Findings of code that lead to no live key, with the step that would resolve each."""
    since: Since | None = None
    """What differs from the earlier plan that was given."""
    limits: tuple[str, ...] = LIMITS
    """What no evidence can show, as sentences."""
    # Those of a large plan are on the disk, and are got one at a time.
    items: Annotated[Sequence[PlanItem], SkipValidation]
    """One for each nominated key, in the order of their ARNs."""

    @property
    def expires_at(self) -> datetime:
        """The moment from which `apply` refuses the plan."""
        return self.created_at + timedelta(days=self.policy.plan_expires_days)

    @cached_property
    def by_verdict(self) -> Mapping[VerdictKind, Sequence[PlanItem]]:
        """The items of each verdict."""
        numbers: dict[VerdictKind, list[int]] = {kind: [] for kind in VerdictKind}
        for number, item in enumerate(self.items):
            numbers[item.verdict].append(number)
        return {kind: Some(self.items, some) for kind, some in numbers.items()}

    @property
    def chosen(self) -> Sequence[PlanItem]:
        """The items to schedule."""
        return self.by_verdict[VerdictKind.SCHEDULE]

    @cached_property
    def by_key(self) -> Mapping[KeyArn, PlanItem]:
        """The items by their keys."""
        return ByKey(self.items, {item.key_arn: n for n, item in enumerate(self.items)})

    def refuse_too_many(self) -> None:
        """Raise Refused when more keys are to be scheduled than the policy allows.

        It is promise 9 of README.md.
        """
        if len(self.chosen) > self.policy.max_keys:
            raise Refused(
                f"{len(self.chosen)} keys are to be scheduled, and the policy allows "
                f"{self.policy.max_keys} at once; look at the plan, then plan again with "
                f"--max-keys {len(self.chosen)}"
            )


def verdict(evidence: Evidence, evaluation: Evaluation) -> tuple[VerdictKind, tuple[Hold, ...]]:
    """What the evidence and the rules make of a key: schedule, hold, or skip with its reason."""
    description = evidence.description
    if isinstance(description, NotFound):
        return VerdictKind.SKIP, (Hold(rule="not-found", message="AWS knows no such key"),)
    if isinstance(description, KeyDescription):
        if description.key_manager != "CUSTOMER":
            return VerdictKind.SKIP, (Hold(rule="aws-managed", message="AWS manages this key"),)
        if description.key_state in PENDING_DELETION:
            return VerdictKind.SKIP, (Hold(rule="already-pending", message=_pending(description)),)
        if description.key_state != "Disabled":
            message = f"the key is {description.key_state}, not Disabled"
            return VerdictKind.SKIP, (Hold(rule="not-disabled", message=message),)
    if evaluation.holds:
        return VerdictKind.HOLD, evaluation.holds
    if description is None or evaluation.unasked:
        missing = ", ".join(sorted(evaluation.unasked | {"description"}))
        return VerdictKind.HOLD, (Hold(rule="not-asked", message=f"not asked: {missing}"),)
    return VerdictKind.SCHEDULE, ()


def _pending(description: KeyDescription) -> str:
    if description.deletion_date is None:
        return "already pending deletion, when its last replica is gone"
    return f"already pending deletion, until {description.deletion_date:%Y-%m-%d}"


def build(
    results: Results,
    policy: Policy,
    collector: Collector,
    *,
    explain: bool = False,
    code: Code = NOTHING,
    cloudtrail_lake: str | None = None,
    since: Plan | None = None,
) -> Plan:
    """Nominate from the findings, gather evidence cheapest first, judge, and put it all together.

    Every nominated key is looked up in `code`, whatever else holds it. With `explain`, every piece
    of evidence is asked for, even of keys that are held already. `cloudtrail_lake` is the store
    that the collector's sources ask, for the record; `since` is a plan to compare with.
    """
    clock = collector.accounts.clock
    started = clock.elapsed()
    traced = code.trace(results.findings, collector.accounts)
    by_key = candidates(traced.findings, is_plan_candidate)

    def wanted(evidence: Evidence) -> frozenset[str]:
        if evidence.description is None:
            # What code declares may be gone or enabled by now: that is told by DescribeKey.
            bare = evidence.model_copy(update={"declarations": None})
            free = evaluate(bare, policy, clock.now(), ask_all=explain)
            return frozenset({"description"}) if explain or not free.holds else frozenset()
        evaluation = evaluate(evidence, policy, clock.now(), ask_all=explain)
        kind, _ = verdict(evidence, evaluation)
        if explain and not isinstance(evidence.description, NotFound | Unreadable):
            return frozenset(piece for piece in PIECES if getattr(evidence, piece) is None)
        if kind is VerdictKind.SKIP:
            return frozenset()
        shown = FOR_PEOPLE | (FOR_REVIEW if kind is VerdictKind.SCHEDULE else frozenset())
        return evaluation.unasked | {p for p in shown if getattr(evidence, p) is None}

    def begin(arn: KeyArn) -> Evidence:
        owners = traced.declared_in(arn)
        return Evidence(
            key_arn=arn,
            finding_time=max((f.time for f in by_key[arn] if f.time is not None), default=None),
            declarations=Declarations(found=owners) if owners else None,
        )

    evidence_of = collector.collect(by_key, wanted, begin)
    now = clock.now().replace(microsecond=0)
    items = Kept[PlanItem]()
    for arn in sorted(by_key):
        items.append(_item(evidence_of[arn], by_key[arn], policy, now, explain=explain))
    plan = Plan(
        created_at=now,
        # Counted back from AWS's time: before the first answer the clock is this machine's.
        evidence_from=now - timedelta(seconds=ceil(clock.elapsed() - started)),
        policy=policy,
        sources=results.sources,
        warnings=(*results.warnings, *code.warnings),
        unusable=results.unusable,
        summary=_summary(items),
        cloudtrail_lake=cloudtrail_lake,
        code_looked_at=code.looked_at,
        unmapped=tuple(one for one in traced.unmapped if is_plan_candidate(one.finding)),
        since=None if since is None else _since(since, items),
        items=items,
    )
    return plan.model_copy(update={"digest": _digest(plan)})


def _since(earlier: Plan, items: Iterable[PlanItem]) -> Since:
    return compare(earlier.digest, earlier.created_at, earlier.items, items)


def _item(
    evidence: Evidence,
    findings: Sequence[Finding],
    policy: Policy,
    now: datetime,
    *,
    explain: bool,
) -> PlanItem:
    evaluation = evaluate(evidence, policy, now, ask_all=explain)
    kind, reasons = verdict(evidence, evaluation)
    return PlanItem(
        key_arn=evidence.key_arn,
        account_id=evidence.key_arn.account_id,
        region=evidence.key_arn.region,
        verdict=kind,
        reasons=reasons,
        exceptions=evaluation.exceptions,
        pending_window_days=policy.for_key(evidence.key_arn).pending_window_days,
        monthly_cost_usd=monthly_cost(evidence),
        owner=owner_of(evidence, policy),
        evidence=evidence,
        findings=tuple(
            FindingRecord(**{name: getattr(finding, name) for name in FindingRecord.model_fields})
            for finding in findings
        ),
    )


def _summary(items: Iterable[PlanItem]) -> PlanSummary:
    count = dict.fromkeys(VerdictKind, 0)
    saved = 0.0
    for item in items:
        count[item.verdict] += 1
        saved += item.monthly_cost_usd if item.verdict is VerdictKind.SCHEDULE else 0.0
    return PlanSummary(
        schedule=count[VerdictKind.SCHEDULE],
        hold=count[VerdictKind.HOLD],
        skip=count[VerdictKind.SKIP],
        monthly_cost_usd=saved,
    )


def _digest(plan: Plan, *, as_read: bool = False) -> str:
    """SHA-256 over the plan's JSON without its digest, in one canonical form, item by item.

    With `as_read` it covers what the file had, and no field that came to the format later.
    """
    digest = hashlib.sha256()
    names = plan.model_fields_set if as_read else Plan.model_fields.keys()
    for number, name in enumerate(sorted(names - {"digest"})):
        digest.update(f'{"," if number else "{"}"{name}":'.encode())
        if name == "items":
            for place, item in enumerate(plan.items):
                digest.update(b"," if place else b"[")
                digest.update(_canonical(item.model_dump(mode="json", exclude_unset=as_read)))
            digest.update(b"]" if plan.items else b"[]")
        else:
            part = plan.model_dump(mode="json", include={name}, exclude_unset=as_read)
            digest.update(_canonical(part[name]))
    digest.update(b"}")
    return f"sha256:{digest.hexdigest()}"


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def to_json(plan: Plan) -> str:
    """The plan as the JSON document that `load` takes back."""
    return "".join(json_parts(plan))


def json_parts(plan: Plan) -> Iterator[str]:
    """The same document in parts, an item each, so that a large plan needs no second copy."""
    head = plan.model_dump_json(indent=2, exclude={"items"})
    return json_with_list(head, "items", (item.model_dump_json(indent=2) for item in plan.items))


def save(plan: Plan, path: Path) -> None:
    """Write the plan, readable by its owner alone."""
    write_private(path, json_parts(plan))


AGAIN: Final = "make a new one with: keysweep plan"


def load(path: Path) -> Plan:
    """Read a plan back, item by item. Raises BadInput when it is cut off, edited or foreign."""
    try:
        head = _head(path)
        if why := _why_not_ours(head):
            raise BadInput(f"{path}: {why}; {AGAIN}")
        plan = Plan.model_validate({**head, "items": _items(path)})
    except ijson.JSONError as error:
        cut = f"{path}: is no whole JSON document; the plan is cut off; {AGAIN}"
        raise BadInput(cut) from error
    except RepeatedName as error:
        raise BadInput(f"{path}: was changed after it was made: {error}; {AGAIN}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        wrong = f"{path}: was changed after it was made: {place}: {first['msg']}; {AGAIN}"
        raise BadInput(wrong) from error
    if plan.digest != _digest(plan, as_read=True):
        raise BadInput(f"{path}: was changed after it was made (its digest differs); {AGAIN}")
    return plan


_DEEPEST: Final = 100
"""Levels; a plan has some twelve."""


def _head(path: Path) -> dict[str, Any]:
    """The document without its items; nothing when it is no object.

    Raises RepeatedName for a name that stands twice anywhere, in an item too: the digest covers one
    value, and a reader may see the other. Raises BadInput for a document that is nested as no plan
    is: the parser of the items names the place of each value, which takes memory by the square of
    the depth.
    """
    builder = ObjectBuilder()
    depth = 0
    in_items = False
    with read_stream(path) as file:
        for event, value in unique_names(ijson.basic_parse(file, use_float=True)):
            depth += event.startswith("start_")
            if depth > _DEEPEST:
                raise BadInput(f"{path}: is nested too deeply for a plan of keysweep; {AGAIN}")
            if depth == 1 and event in {"map_key", "end_map"}:
                in_items = value == "items"
            if in_items and depth == 2 and event == "start_map":
                raise BadInput(f"{path}: was changed after it was made: items is no list; {AGAIN}")
            if not in_items:
                builder.event(event, value)
            depth -= event.startswith("end_")
    return builder.value if isinstance(builder.value, dict) else {}


def _items(path: Path) -> Kept[PlanItem]:
    items = Kept[PlanItem]()
    with read_stream(path) as file:
        for item in ijson.items(file, "items.item", use_float=True):
            items.append(PlanItem.model_validate(item))
    return items


def _why_not_ours(head: Mapping[str, Any]) -> str:
    """Why the document is no plan that we read, as a clause; empty when it is one."""
    if not head.get("digest") or not isinstance(head["digest"], str):
        return "is not a plan of keysweep"
    if head.get("version") != 1:
        version = str(head.get("version"))[:20]
        return f"is a plan of version {version}, and this keysweep reads version 1"
    return ""


def key_arns(plan: Plan) -> frozenset[KeyArn]:
    """Every key that the plan schedules."""
    return frozenset(item.key_arn for item in plan.chosen)
