"""The plan: the verdict on every candidate, as the document that a person reviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from .errors import BadInput, Refused
from .escape import short
from .models import (
    AppliedException,
    KeyArn,
    Model,
    PlanItem,
    PlanSummary,
    ResultsSource,
    Unmapped,
    UnusableRecord,
    VerdictKind,
    WrittenTime,
)
from .plan_diff import PlanDiff
from .policy import Policy
from .spill import SpilledSequence
from .wording import first_few

LIMITS: Final = (
    "No evidence proves that a key is unused. Data keys issued earlier, client-side "
    "encryption, single objects with their own key, copies and snapshots in other accounts, public "
    "keys of asymmetric pairs, and the former key of an alias that was moved before the event "
    "history begins leave no trace in AWS. No list of services is ever complete.",
    "Prices are AWS list prices in US dollars.",
)
"""What no evidence shows. Every report prints it (rule 11 of docs/safety.md)."""


_NAMED: Final = 10
"""Names in a message; the others are counted."""

ON_EXCEPTIONS: Final = "schedule on exceptions"
"""Group of the items to schedule that rest on exceptions."""


class PlanItems(SpilledSequence[PlanItem]):
    """The items of a plan, grouped by verdict; those of a large plan are on disk."""

    def __init__(self, items: Iterable[PlanItem] = ()) -> None:
        super().__init__(
            PlanItem,
            group=lambda item: ON_EXCEPTIONS if item.rests_on_exceptions else item.verdict,
        )
        for item in items:
            self.append(item)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def items_of(value: object, validate: Callable[[object], Iterable[PlanItem]]) -> PlanItems:
            return value if isinstance(value, cls) else cls(validate(value))

        listed = handler.generate_schema(tuple[PlanItem, ...])
        written = core_schema.plain_serializer_function_ser_schema(tuple, return_schema=listed)
        return core_schema.no_info_wrap_validator_function(items_of, listed, serialization=written)


class Summing:
    """The summary of a plan, item by item."""

    def __init__(self) -> None:
        self._count = Counter[VerdictKind]()
        self._on_exceptions = 0
        self._saved = 0.0

    def add(self, item: PlanItem) -> None:
        """Count one more item."""
        self._count[item.verdict] += 1
        self._on_exceptions += item.rests_on_exceptions
        self._saved += item.monthly_cost_usd if item.verdict is VerdictKind.SCHEDULE else 0.0

    def done(self) -> PlanSummary:
        """The summary of the items so far."""
        return PlanSummary(
            schedule=self._count[VerdictKind.SCHEDULE],
            on_exceptions=self._on_exceptions,
            hold=self._count[VerdictKind.HOLD],
            skip=self._count[VerdictKind.SKIP],
            monthly_cost_usd=self._saved,
        )


def _some(names: Iterable[str]) -> str:
    """The first names, escaped."""
    return first_few(map(short, sorted(names)), _NAMED)


class Plan(Model):
    """The document that a person reviews and `apply` carries out."""

    version: Literal[1] = 1
    """Version of the format."""
    digest: str = ""
    """`sha256:` and 64 hexadecimal digits, over everything else in the plan."""
    created_at: WrittenTime
    """When the plan was made. It expires `plan_expires_days` of its policy later."""
    evidence_from: WrittenTime | None = None
    """When reading of the evidence began. `apply` looks for uses of the keys from 60 minutes before
    that time, because AWS may show a use late."""
    policy: Policy
    """The decision policy in force, with the options of `plan` applied."""
    sources: tuple[ResultsSource, ...]
    """The results documents that were read."""
    unread_accounts: tuple[str, ...] = ()
    """A sentence for each account of which no key could be read: why, and the fix."""
    warnings: tuple[str, ...] = ()
    """What a reviewer must know about the results and the code, as sentences."""
    unusable: tuple[UnusableRecord, ...] = ()
    """Records of the results that could not be used."""
    summary: PlanSummary
    """Number of keys per verdict, and the monthly cost saved."""
    history: str | None = None
    """Table in Athena that was queried besides the event history, as
    `athena:WORKGROUP/DATABASE.TABLE`. `apply` reads the event history alone."""
    all_reasons: bool = False
    """Whether keys on hold list every reason (`--explain`), not only the first ones found."""
    code_looked_at: bool = False
    """Whether a Terraform state or a stack that owns something was given to look the keys up in."""
    unmapped: tuple[Unmapped, ...] = ()
    """Findings in code that lead to no live key, each with the step that would resolve it."""
    since: PlanDiff | None = None
    """Differences from the earlier plan that was given with `--since`."""
    limits: tuple[str, ...] = LIMITS
    """What no evidence can show, as sentences."""
    items: PlanItems
    """One for each candidate, ordered by key ARN."""

    @property
    def expires_at(self) -> datetime:
        """The time from which `apply` refuses the plan."""
        return self.created_at + timedelta(days=self.policy.plan_expires_days)

    @cached_property
    def by_verdict(self) -> Mapping[VerdictKind, Sequence[PlanItem]]:
        """The items of each verdict."""
        return {
            VerdictKind.SCHEDULE: self.items.of_groups(VerdictKind.SCHEDULE, ON_EXCEPTIONS),
            VerdictKind.HOLD: self.items.of_groups(VerdictKind.HOLD),
            VerdictKind.SKIP: self.items.of_groups(VerdictKind.SKIP),
        }

    @property
    def chosen(self) -> Sequence[PlanItem]:
        """The items to schedule."""
        return self.by_verdict[VerdictKind.SCHEDULE]

    @cached_property
    def on_exceptions(self) -> Sequence[PlanItem]:
        """The items to schedule that would be on hold but for exceptions."""
        return self.items.of_groups(ON_EXCEPTIONS)

    @cached_property
    def exceptions(self) -> Mapping[AppliedException, int]:
        """The exceptions on which items to schedule rest, and how many rest on each."""
        uses = Counter(one for item in self.on_exceptions for one in item.exceptions)
        order = sorted(
            uses, key=lambda one: (one.rule, one.service or "", one.region or "", one.reason)
        )
        return {one: uses[one] for one in order}

    @property
    def by_key(self) -> Mapping[KeyArn, PlanItem]:
        """The items by key ARN."""
        return self.items.by_key

    def part(
        self,
        owners: Collection[str] = (),
        accounts: Collection[str] = (),
        regions: Collection[str] = (),
    ) -> Plan:
        """The keys of these owners, accounts and Regions; empty: all. The digest is the whole
        plan's. Raises BadInput for a name that the plan does not have.
        """
        given = {"--owner": {*owners}, "--account": {*accounts}, "--region": {*regions}}
        if not any(given.values()):
            return self
        present: dict[str, set[str]] = {option: set() for option in given}
        items, summary = PlanItems(), Summing()
        for item in self.items:
            names = item.owner_name, item.account_id, item.region
            for option, name in zip(given, names, strict=True):
                present[option].add(name)
            if all(not g or n in g for g, n in zip(given.values(), names, strict=True)):
                items.append(item)
                summary.add(item)
        for option, requested in given.items():
            if unknown := sorted(requested - present[option]):
                raise BadInput(
                    f"{option} {short(unknown[0])}: The plan has no such key. "
                    f"Fix: name one of {_some(present[option])}."
                )
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        fields |= {"items": items, "summary": summary.done()}
        return Plan.model_construct(self.model_fields_set, **fields)

    def refuse_other(self, digest: str) -> None:
        """Raise Refused if this is not the plan with this digest."""
        if self.digest != digest:
            raise Refused(
                f"The digest of the plan is {self.digest}, and --digest is {digest}. Fix: apply "
                "the plan that was approved, or have this one approved"
            )

    def refuse_too_many(self) -> None:
        """Raise Refused if the plan schedules more keys than the policy allows."""
        if len(self.chosen) > self.policy.max_keys:
            raise Refused(
                f"{len(self.chosen)} keys are to be scheduled, and the policy allows "
                f"{self.policy.max_keys} at once. Fix: plan again; the plan takes the first "
                f"{self.policy.max_keys} of them"
            )
