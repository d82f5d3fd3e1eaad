"""The page of the current state of the journals' keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from ...models import PENDING_DELETION, AccountRegion
from ...plan import LIMITS
from ...wording import counted
from ..evidence_words import moment
from ..key_rows import Table, audit_row, money, status_row
from .parts import MOST_KEYS, Figure, Group, Page
from .waiting_periods import timeline

if TYPE_CHECKING:  # it imports AWS's libraries
    from ...audit import AuditRow
    from ...status import Status, StatusRow


def of_status(status: Status, now: datetime) -> Page:
    """The page of the current state of the journals' keys."""
    saved = status.monthly_cost_usd
    return Page(
        title=f"Status on {now:%d %B %Y}",
        about="The keys that the journal scheduled, as AWS describes them now.",
        facts=(("Read", moment(now)), ("Keys", str(len(status.rows)))),
        figures=(
            Figure(
                money(saved),
                "monthly cost saved",
                f"{money(12 * saved)} a year, list price",
                "good",
            ),
            Figure(str(status.pending), "pending", f"and {status.deleted} deleted", "plain"),
            Figure(
                str(status.drifted),
                "drifted",
                _agreement(status),
                "bad" if status.drifted or status.unreadable else "plain",
            ),
        ),
        bars=(),
        timeline=timeline(
            [
                (row.scheduled_at, row.deletion_date)
                for row in status.rows
                if row.state == "PendingDeletion"
                and row.scheduled_at is not None
                and row.deletion_date is not None
            ],
            now,
        ),
        groups=(*_states(status.rows), _audited(status.audit)),
        tables=tuple(_accounts(status.rows)),
        notes=(*status.problems, *status.warnings, *status.notes),
        limits=LIMITS,
    )


def _states(rows: Sequence[StatusRow]) -> Iterator[Group]:
    as_recorded = [row for row in rows if not (row.drift or row.unreadable)]
    kinds = (
        ("Drifted", "AWS differs from the journal.", "bad", [row for row in rows if row.drift]),
        (
            "Unreadable",
            "These keys could not be read.",
            "bad",
            [row for row in rows if row.unreadable],
        ),
        (
            "Pending",
            "Pending deletion, which can be cancelled until its date.",
            "good",
            [row for row in as_recorded if row.state in PENDING_DELETION],
        ),
        (
            "Restored",
            "No longer pending deletion: cancelled, or never scheduled.",
            "plain",
            [row for row in as_recorded if row.state not in {*PENDING_DELETION, "deleted"}],
        ),
        (
            "Deleted",
            "Deleted, with everything encrypted only under them.",
            "plain",
            [row for row in as_recorded if row.state == "deleted"],
        ),
    )
    for heading, about, tone, found in kinds:
        shown = tuple(map(status_row, found[:MOST_KEYS]))
        yield Group(heading, about, tone, shown, len(found) - len(shown))


def _audited(rows: Sequence[AuditRow]) -> Group:
    shown = tuple(map(audit_row, rows[:MOST_KEYS]))
    return Group(
        "Deletions in the journals",
        "Each request to delete a key, with its approval and what became of the key.",
        "plain",
        shown,
        len(rows) - len(shown),
        costs=False,
    )


def _agreement(status: Status) -> str:
    """Whether AWS agrees with the journal, as far as it was read."""
    if status.unreadable:
        return f"{counted(status.unreadable, 'key')} could not be read"
    return "AWS differs from the journal" if status.drifted else "AWS agrees with the journal"


def _accounts(rows: Iterable[StatusRow]) -> Iterable[Table]:
    groups: dict[AccountRegion, list[StatusRow]] = defaultdict(list)
    for row in rows:
        groups[row.key_arn.account_region].append(row)
    if groups:
        yield Table(
            "Accounts",
            ("account", "Region", "keys", "drifted", "unreadable", "saved"),
            tuple(
                (
                    account_region.account_id,
                    account_region.region,
                    str(len(group)),
                    str(sum(bool(row.drift) for row in group)),
                    str(sum(bool(row.unreadable) for row in group)),
                    money(sum(row.monthly_cost_usd for row in group)),
                )
                for account_region, group in sorted(groups.items())
            ),
        )
