"""Coverage gaps share a row only where the Region is the cause."""

from __future__ import annotations

import pytest
from dead_key import gap_of

from keysweep.remediation.models import AnswerClass, CoverageGap
from keysweep.remediation.report.gap_rows import MANY_SERVICES, gap_rows


def gaps(
    services: int, answer_class: AnswerClass, region: str = "eu-south-2", code: str = "Denied"
) -> list[CoverageGap]:
    return [
        gap_of(f"service-{n:02}", region, f"List{n} failed", answer_class=answer_class, code=code)
        for n in range(services)
    ]


@pytest.mark.parametrize("answer_class", ["organization", "token", "network"])
def test_many_services_of_a_closed_region_are_one_row(answer_class: AnswerClass) -> None:
    closed = gaps(70, answer_class)
    (row,) = set(gap_rows(closed).values())
    assert (len(row.services), row.region, row.answer_class) == (70, "eu-south-2", answer_class)


@pytest.mark.parametrize(
    ("found", "rows"),
    [
        (gaps(MANY_SERVICES - 1, "organization"), MANY_SERVICES - 1),
        (gaps(MANY_SERVICES, "organization"), 1),
        (gaps(70, "permission"), 70),
        (gaps(70, "unclear"), 70),
        (gaps(70, "closed"), 70),
        (gaps(70, "token") + gaps(70, "token", "me-south-1"), 2),
        (gaps(70, "token") + gaps(70, "token", code="Other"), 2),
        (gaps(70, "token") + gaps(1, "unclear"), 2),
    ],
)
def test_other_gaps_keep_their_rows(found: list[CoverageGap], rows: int) -> None:
    its = gap_rows(found)
    assert set(its) == set(found)
    assert len(set(its.values())) == rows


def test_a_row_of_its_own_has_the_gaps_cause_and_permission() -> None:
    gap = gap_of("ec2", "eu-west-1", "failed", answer_class="permission", permission="ec2:List")
    row = gap_rows([gap])[gap]
    assert (row.services, row.why, row.permission) == (("ec2",), "failed", "ec2:List")
