"""What `keysweep doctor` found, as a table by class and lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from ..doctor.findings import FIXES, Examination, Row
from ..wording import counted, first_few
from .gap_rows import MANY_SERVICES, OF_A_REGION, cause
from .key_rows import Table
from .tables import Report

_ORDER: Final = tuple(FIXES)


def of_examination(found: Examination) -> Report:
    """One row for each answer, or for each Region where the answer is the Region's."""
    rows = tuple(
        (row.answer_class, service, operation, answer, where, _todo(row))
        for (service, operation, answer), row, where in _grouped(found)
    )
    columns = ("class", "service", "operation", "AWS's answer", "where", "what to do")
    heading = "Could not be read"
    untried = {call for one in found.account_regions for call in one.untried}
    count = len(found.account_regions)
    held = sum(any(row.decided_until is None for row in one.rows) for one in found.account_regions)
    lines = [
        _summary(count, held),
        *(f"Ends soon: {one.what} in {one.list}, on {one.until}." for one in found.ending),
    ]
    if untried:
        lines.append(
            f"Follow-up calls not tried, because nothing was listed: {len(untried)}. The others "
            "were tried for one item only, and may be refused for another."
        )
    return Report((Table(heading, columns, rows),) if rows else (), tuple(lines))


def _summary(count: int, held: int) -> str:
    if not count:
        return "No account-Region was examined: the results name no candidate for plan."
    examined = counted(count, "account-Region")
    return (
        f"Answers hold keys in {held} of {examined}."
        if held
        else (f"No answer holds keys in {examined}.")
    )


def _grouped(found: Examination) -> Iterator[tuple[tuple[str, str, str], Row, str]]:
    groups: dict[tuple[str, str, str, Row], list[str]] = defaultdict(list)
    for one in found.account_regions:
        where = f"{one.account_id} {one.region}"
        alike: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in one.rows:
            alike[row.answer_class, cause(row)].append(row)
        for (answer_class, _), rows in alike.items():
            services = {row.service for row in rows}
            if answer_class in OF_A_REGION and len(services) >= MANY_SERVICES:
                operations = f"{len({(row.service, row.operation) for row in rows})} operations"
                key = (f"{len(services)} services", operations, f"such as {_answer(rows[0])}")
                groups[*key, _bare(rows[0])].append(where)
            else:
                for row in rows:
                    groups[row.service, row.operation, _answer(row), _bare(row)].append(where)
    ordered = sorted(
        groups.items(), key=lambda one: (_ORDER.index(one[0][3].answer_class), *one[0][:3])
    )
    for (service, operation, answer, row), where_found in ordered:
        yield (service, operation, answer), row, first_few(where_found)


def _bare(row: Row) -> Row:
    """The row without the fields that may differ between its account-Regions."""
    return row.model_copy(update={"every_region": False})


def _answer(row: Row) -> str:
    return f"{row.code}: {row.message}" if row.code and row.message else row.code or row.message


def _todo(row: Row) -> str:
    if row.decided_until is not None:
        return f"nothing: an exception lifts it until {row.decided_until}"
    return f"{row.fix} (hint: {row.hint})" if row.hint else row.fix
