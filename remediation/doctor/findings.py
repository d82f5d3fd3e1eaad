"""Answers of AWS that would hold keys, what to do about each, and what a policy could lift."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from pydantic import ConfigDict, Field

from ..evidence.references.entries import REGIONS_PERMISSION, reference_list
from ..models import (
    LISTS_REGIONS,
    AccountRegion,
    AnswerClass,
    CoverageGap,
    Model,
    can_be_decided,
    is_of_closed_region,
)
from ..policy import Answer, Policy

ENDING_SOON: Final = timedelta(days=30)

CLOSED_FROM: Final = 3
"""From how many denied services on a Region counts as closed by the organization."""

DECIDABLE: Final[frozenset[AnswerClass]] = frozenset(
    {"organization", "not-in-region", "never-enabled", "closed", "unclear"}
)
"""Classes that a person can decide about. What a permission, another policy of the role, another
token or another network ends is no decision."""

FIXES: Final[Mapping[AnswerClass, str]] = {
    "permission": "Allow the action in a policy of the role",
    "organization": "Exempt the role from the organization's policy, or decide an exception",
    "boundary": "Change the policy that AWS names, which limits the role",
    "token": "Use a token of the Region's own STS endpoint, and check that the Region is enabled",
    "network": "Run from a network that reaches the host",
    "not-in-region": "If no resource can exist in this Region, decide an exception",
    "never-enabled": "If the service was never used here, decide an exception",
    "closed": "If the service was never used here, decide an exception",
    "unclear": "Run again. If the answer stays, ask AWS, or decide an exception",
}
"""What to do, by class, in the order in which reports show the classes."""

_FIXES_WITHOUT_EXCEPTION: Final[Mapping[AnswerClass, str]] = {
    **dict.fromkeys(DECIDABLE, "Run again. If the answer stays, ask AWS"),
    "organization": "Exempt the role from the organization's policy",
}
"""The same for answers that no exception lifts: they are no coverage gaps."""


class Row(Model):
    """An answer that would hold keys."""

    model_config = ConfigDict(serialize_by_alias=True)

    service: str
    """Service, as named in the key references; `kms`, `cloudtrail`, `cloudformation` or `sts`
    otherwise, and `keysweep` if a process of the run ended early."""
    operation: str
    """Operation that AWS refused, or that got no answer."""
    answer_class: AnswerClass = Field(serialization_alias="class")
    """Class of the answer, by AWS's own words."""
    code: str
    """AWS's error code, or the name of another error."""
    message: str
    """AWS's message, shortened; can be empty."""
    fix: str
    """What to do."""
    action: str | None = None
    """IAM action that is missing, if that is the cause."""
    follow_up: bool = False
    """Whether the call follows an item of another one, and was tried for the first item alone."""
    every_region: bool = False
    """Whether it concerns keys of every Region of the account."""
    hint: str | None = None
    """What CloudTrail and the tags show of the service. Never proof that it is unused."""
    decided_until: str | None = None
    """Last day (UTC) of the exception that lifts it, YYYY-MM-DD; None: it holds keys."""


class AccountRegionRows(Model):
    """What cannot be read in an account-Region."""

    account_id: str
    """Account ID."""
    region: str
    """Region."""
    rows: tuple[Row, ...]
    """Answers, sorted by service, operation and code."""
    has_keys: bool = False
    """Whether it was examined itself, and not only because keys of other Regions may be named in
    it. Such a Region is not closed."""
    untried: tuple[str, ...] = ()
    """Calls that could not be tried, as `service:Operation`: there was no item, or no key."""

    @classmethod
    def of(
        cls, where: AccountRegion, rows: Iterable[Row], untried: Iterable[str] = ()
    ) -> AccountRegionRows:
        """Rows of an account-Region."""
        return cls(
            account_id=where.account_id,
            region=where.region,
            rows=tuple(rows),
            untried=tuple(untried),
        )


class Proposal(Model):
    """A coverage exception, to be decided. Reason, approver and date are a person's."""

    accounts: tuple[str, ...]
    """Account IDs."""
    regions: tuple[str, ...]
    """Regions that could not be read, in each of the accounts."""
    service: str
    """Service, as named in the key references."""
    operation: str
    """Operation that AWS refused, or that got no answer."""
    answer: Answer
    """The answer."""
    reason: None = None
    """Left to a person."""
    approved_by: None = None
    """Left to a person."""
    until: None = None
    """Left to a person."""


class ClosedRegionsProposal(Model):
    """An entry of `closed_regions`, to be decided."""

    accounts: tuple[str, ...]
    """Account IDs."""
    regions: tuple[str, ...]
    """Regions closed in each of the accounts."""
    reason: None = None
    """Left to a person."""
    approved_by: None = None
    """Left to a person."""
    until: None = None
    """Left to a person."""


class EndingException(Model):
    """An exception of the policy that ends soon."""

    list: str
    """Name of its list in the policy."""
    what: str
    """Its key and rule, its call, or its Regions."""
    until: str
    """Last day (UTC), YYYY-MM-DD."""


class Examination(Model):
    """What `keysweep doctor` found."""

    account_regions: tuple[AccountRegionRows, ...]
    """All account-Regions that were examined, sorted, and others of their accounts with rows."""
    coverage_exceptions: tuple[Proposal, ...]
    """Exceptions to decide."""
    closed_regions: tuple[ClosedRegionsProposal, ...]
    """Regions to decide."""
    iam_actions: tuple[str, ...]
    """IAM actions that are missing."""
    ending: tuple[EndingException, ...]
    """Exceptions that end within 30 days."""

    @property
    def holds_keys(self) -> bool:
        """Whether an answer without an exception would hold keys."""
        return any(row.decided_until is None for one in self.account_regions for row in one.rows)


def row_of(
    gap: CoverageGap, keys: AccountRegion, policy: Policy, now: datetime, *, follow_up: bool
) -> Row:
    """The row of a coverage gap, for keys of that account-Region."""
    exception = policy.coverage_exception_for(keys, gap, now)
    return Row(
        service=gap.service,
        operation=gap.operation,
        answer_class=gap.answer_class,
        code=gap.code,
        message=gap.message,
        fix=_fix_of_gap(gap),
        action=gap.permission,
        follow_up=follow_up,
        every_region=gap.every_region,
        decided_until=exception.until.isoformat() if exception else None,
    )


def _fix_of_gap(gap: CoverageGap) -> str:
    if gap.operation == LISTS_REGIONS:
        return f"Allow {REGIONS_PERMISSION}; no exception lifts this"
    return fix_of(gap.answer_class, gap.permission)


def fix_of(answer_class: AnswerClass, action: str | None, *, coverage_gap: bool = True) -> str:
    """What to do about an answer."""
    if action:
        return f"Allow {action}"
    fix = FIXES[answer_class]
    return fix if coverage_gap else _FIXES_WITHOUT_EXCEPTION.get(answer_class, fix)


def examination(
    account_regions: Iterable[AccountRegionRows], policy: Policy, now: datetime
) -> Examination:
    """Everything that follows from the rows."""
    rows = tuple(sorted(account_regions, key=lambda one: (one.account_id, one.region)))
    undecided = [
        (one.account_id, one.region, row)
        for one in rows
        for row in one.rows
        if row.decided_until is None
    ]
    closed = _closed(undecided) - {(one.account_id, one.region) for one in rows if one.has_keys}
    return Examination(
        account_regions=rows,
        coverage_exceptions=tuple(_proposals(undecided, closed)),
        closed_regions=tuple(
            ClosedRegionsProposal(accounts=accounts, regions=regions)
            for accounts, regions in _rectangles(closed)
        ),
        iam_actions=tuple(sorted({row.action for _, _, row in undecided if row.action})),
        ending=tuple(_ending(policy, now)),
    )


Undecided = list[tuple[str, str, Row]]


@cache
def _operations() -> frozenset[str]:
    return reference_list().operations()


def is_decidable(row: Row) -> bool:
    """Whether an exception of a person can lift this answer."""
    return (
        row.answer_class in DECIDABLE
        and f"{row.service}:{row.operation}" in _operations()
        and can_be_decided(row)
    )


def _proposals(undecided: Undecided, closed: set[tuple[str, str]]) -> Iterable[Proposal]:
    places: dict[tuple[str, str, str, str], set[tuple[str, str]]] = defaultdict(set)
    for account_id, region, row in undecided:
        lifted = is_of_closed_region(row) and (account_id, region) in closed
        if is_decidable(row) and not lifted:
            answer = (row.service, row.operation, row.code, row.message)
            places[answer].add((account_id, region))
    for (service, operation, code, message), where in sorted(places.items()):
        for accounts, regions in _rectangles(where):
            yield Proposal(
                accounts=accounts,
                regions=regions,
                service=service,
                operation=operation,
                answer=Answer(code=code, message=message),
            )


def _closed(undecided: Undecided) -> set[tuple[str, str]]:
    """Account-Regions that an SCP closes, and not only to a service or two."""
    services: dict[tuple[str, str], set[str]] = defaultdict(set)
    for account_id, region, row in undecided:
        if is_of_closed_region(row):
            services[account_id, region].add(row.service)
    return {where for where, denied in services.items() if len(denied) >= CLOSED_FROM}


def _rectangles(
    where: Iterable[tuple[str, str]],
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Accounts and Regions whose combinations are exactly these account-Regions."""
    regions_of: dict[str, set[str]] = defaultdict(set)
    for account_id, region in where:
        regions_of[account_id].add(region)
    accounts_of: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for account_id, regions in sorted(regions_of.items()):
        accounts_of[tuple(sorted(regions))].append(account_id)
    return sorted((tuple(accounts), regions) for regions, accounts in accounts_of.items())


def _ending(policy: Policy, now: datetime) -> Iterable[EndingException]:
    today = now.date()
    lists = {
        "exceptions": [(f"{one.rule} of {one.key}", one.until) for one in policy.exceptions],
        "coverage_exceptions": [
            (f"{one.service} {one.operation}", one.until) for one in policy.coverage_exceptions
        ],
        "closed_regions": [(", ".join(one.regions), one.until) for one in policy.closed_regions],
    }
    for name, entries in lists.items():
        for what, until in entries:
            if today <= until <= today + ENDING_SOON:
                yield EndingException(list=name, what=what, until=until.isoformat())
