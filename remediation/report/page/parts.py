"""The model of a page, and the parts that several pages share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ...models import AppliedException, VerdictKind
from ...wording import counted
from ..key_rows import KeyRow, Table, exception_text, money
from ..view import Owners, Sum

MOST_KEYS: Final = 1000
"""Keys in one group of a page, so that a browser can scroll it; the other formats have all."""


@dataclass(frozen=True)
class Figure:
    """One figure at the top of the page."""

    value: str
    label: str
    detail: str
    tone: str
    """`good`, `warn`, `bad` or `plain`: a color, never the only sign."""


@dataclass(frozen=True)
class Bar:
    """A share of a whole, in words and as a percentage."""

    label: str
    text: str
    percent: float
    tone: str


@dataclass(frozen=True)
class Bars:
    """Bars of one kind, with what each column means."""

    heading: str
    caption: str
    columns: tuple[str, str]
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Group:
    """Keys of one kind: a summary line for each, and below it the evidence."""

    heading: str
    about: str
    tone: str
    rows: Sequence[KeyRow]
    left_out: int = 0
    costs: bool = True
    """Whether the rows have monthly costs."""


@dataclass(frozen=True)
class Span:
    """A waiting period on the page's common scale, in percent."""

    label: str
    text: str
    start: float
    length: float
    passed: float
    """Elapsed part of the length, in percent."""


@dataclass(frozen=True)
class Timeline:
    """Waiting periods on one scale."""

    caption: str
    begins: str
    ends: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Page:
    """Everything on the page, in the order to read it."""

    title: str
    about: str
    facts: tuple[tuple[str, str], ...]
    figures: tuple[Figure, ...]
    bars: tuple[Bars, ...]
    timeline: Timeline | None
    groups: tuple[Group, ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...]
    limits: tuple[str, ...]


def sum_text(its: Sum) -> str:
    return f"{counted(its.keys, 'key')}, monthly cost {money(its.monthly_cost_usd)}"


def group(heading: str, about: str, tone: str, rows: Sequence[KeyRow], its: Sum) -> Group:
    return Group(heading, about, tone, rows, its.keys - len(rows))


def owners_table(owners: Owners) -> Iterable[Table]:
    rows = tuple(
        (
            account,
            owner,
            *(str(sums[kind].keys) for kind in VerdictKind),
            money(sum(its.monthly_cost_usd for its in sums.values())),
            money(sums[VerdictKind.SCHEDULE].monthly_cost_usd),
        )
        for (account, owner), sums in sorted(owners.items())
    )
    columns = ("account", "owner", "to schedule", "on hold", "skipped", "monthly cost", "saved")
    return (Table("Owners and accounts", columns, rows),) if rows else ()


def exceptions_table(uses: Mapping[AppliedException, int]) -> Iterable[Table]:
    rows = tuple(
        sorted(
            (exception_text(one), one.reason, one.approved_by, one.until, str(keys))
            for one, keys in uses.items()
        )
    )
    columns = ("rule", "reason", "approved by", "until", "keys")
    return (Table("Exceptions in the policy", columns, rows),) if rows else ()
