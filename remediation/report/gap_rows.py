"""Group coverage gaps into rows of reports. A closed Region has one row."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..models import AnswerClass, CoverageGap

if TYPE_CHECKING:
    from ..doctor.findings import Row

OF_A_REGION: Final = frozenset({"organization", "token", "network"})
"""Classes whose cause can be the Region's, whatever the service."""

MANY_SERVICES: Final = 3
"""Minimum number of services for which an answer of such a class counts as the Region's."""

_ACTION: Final = re.compile(r"\b[a-z0-9-]+:[A-Z]\w+")


@dataclass(frozen=True)
class GapRow:
    """Coverage gaps with one cause."""

    services: tuple[str, ...]
    region: str
    answer_class: AnswerClass
    code: str
    why: str
    permission: str | None

    @property
    def position(self) -> tuple[tuple[str, ...], str, str]:
        """For sorting."""
        return self.services, self.region, self.why


def gap_rows(gaps: Iterable[CoverageGap]) -> dict[CoverageGap, GapRow]:
    """The row of each gap. Gaps of many services in a Region with the same cause, which is then the
    Region's, share one."""
    regions: dict[tuple[str, AnswerClass, str], list[CoverageGap]] = defaultdict(list)
    for gap in gaps:
        regions[gap.region, gap.answer_class, cause(gap)].append(gap)
    rows: dict[CoverageGap, GapRow] = {}
    for (region, answer_class, _), alike in regions.items():
        code = alike[0].code
        services = tuple(sorted({gap.service for gap in alike}))
        if answer_class in OF_A_REGION and len(services) >= MANY_SERVICES:
            why = f"such as {min(gap.why for gap in alike)}"
            row = GapRow(services, region, answer_class, code, why, None)
            rows |= dict.fromkeys(alike, row)
        else:
            rows |= {
                gap: GapRow((gap.service,), region, answer_class, code, gap.why, gap.permission)
                for gap in alike
            }
    return rows


def cause(gap: CoverageGap | Row) -> str:
    """AWS's answer without the action, or the name of the error if there was no answer."""
    if gap.answer_class == "network":
        return gap.code
    return f"{gap.code} {_ACTION.sub('', gap.message)}"


def services_text(row_services: tuple[str, ...]) -> str:
    """The services of a row: names, or how many."""
    return row_services[0] if len(row_services) == 1 else f"{len(row_services)} services"
