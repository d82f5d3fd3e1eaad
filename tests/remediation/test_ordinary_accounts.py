"""Ordinary accounts: what AWS refuses holds the keys that it may concern, and absences hold none.

The profile `ordinary` of the embedded AWS knows what is true of each key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ordinary_runs import EVERYWHERE, make_plan, names

from embedded_aws import ordinary
from embedded_aws.ordinary import TRUTH, Truth
from embedded_aws.process import EmbeddedAws
from embedded_aws.refusals import PAGE, Row, table
from keysweep.remediation.aws.answers import classify
from keysweep.remediation.models import CoverageGap
from keysweep.remediation.plan import Plan, PlanItem
from keysweep.remediation.policy_file import load

Rows = set[tuple[str, str, str, str]]
"""Service, operation, Region and class."""


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(ordinary.scenario()) as running:
        yield running


@pytest.fixture(scope="module")
def plan(aws: EmbeddedAws) -> Plan:
    return make_plan(aws, load())


@pytest.fixture(scope="module")
def items(aws: EmbeddedAws, plan: Plan) -> Mapping[str, PlanItem]:
    """What the plan says of each key, by its name."""
    name_of = names(aws)
    return {name_of[str(item.key_arn)]: item for item in plan.items}


def scheduled(items: Mapping[str, PlanItem]) -> set[str]:
    return {name for name, item in items.items() if item.verdict.value == "schedule"}


def gaps_of(item: PlanItem) -> tuple[CoverageGap, ...]:
    found: Any = item.evidence.references
    return tuple(found.gaps)


def rows(item: PlanItem) -> Rows:
    return {(gap.service, gap.operation, gap.region, gap.answer_class) for gap in gaps_of(item)}


@pytest.mark.parametrize("row", table().rows, ids=lambda row: f"{row.operation}-{row.code}")
def test_each_answer_has_the_class_of_its_words(row: Row) -> None:
    """What it takes for an absence to be none is up to the witnesses."""
    message = PAGE.decode() if row.page else row.message
    absence = row.answered == "absent"
    expected = {"not-in-region", "never-enabled"} if absence else {row.answered}
    assert classify(row.code, message.format(who="x", account="y", region="z")) in expected


def only(account: str) -> list[Truth]:
    return [one for one in TRUTH if one.account == account]


def test_no_needed_key_is_scheduled(items: Mapping[str, PlanItem]) -> None:
    needed = {one.name for one in TRUTH if one.needed_by}
    assert len(needed) == 8
    assert scheduled(items) & needed == set()


def test_keys_that_only_absences_concern_are_scheduled_and_no_others(
    items: Mapping[str, PlanItem],
) -> None:
    dead = {one.name for one in only(ordinary.QUIET) if one.needed_by is None}
    assert scheduled(items) == dead == {"dead-1", "dead-2", "dead-3"}
    assert {item.verdict.value for item in items.values()} == {"schedule", "hold"}


def test_absences_are_in_the_evidence(items: Mapping[str, PlanItem]) -> None:
    found: Any = items["dead-3"].evidence.references
    absent = {one.service for region in found.absent for one in region.services}
    assert {"qbusiness", "datazone", "omics", "macie2", "mgn"} <= absent


@pytest.mark.parametrize("name", ["volume", "queue"])
def test_what_a_resource_shows_holds_by_the_resource(
    items: Mapping[str, PlanItem], name: str
) -> None:
    found: Any = items[name].evidence.references
    assert len(found.found) == 1


@pytest.mark.parametrize("region", ordinary.REFUSING_REGIONS)
def test_each_refusal_holds_the_keys_that_it_may_concern_with_its_class(
    items: Mapping[str, PlanItem], region: str
) -> None:
    expected: Rows = set()
    for refusing in ordinary.REFUSING_REGIONS:
        for row in table().refusals(frozenset(ordinary.CLASSES), refusing):
            if row.answered != "absent" and (
                refusing == region or (row.service, row.operation) in EVERYWHERE
            ):
                expected.add((row.service, row.operation, refusing, row.answered))
    assert rows(items[f"dead-{region}"]) == expected


LATER = [one for one in TRUTH if one.refused is not None]


@pytest.mark.parametrize("truth", LATER, ids=lambda truth: truth.name)
def test_a_key_of_a_service_that_the_account_was_barred_from_is_held_by_it_alone(
    items: Mapping[str, PlanItem], truth: Truth
) -> None:
    service, operation = truth.refused or ("", "")
    answered = ordinary.row_of(service, operation).answered
    assert rows(items[truth.name]) == {(service, operation, truth.region, answered)}


@pytest.mark.parametrize(
    ("name", "region", "answered"),
    [
        ("dead-restricted", ordinary.CLOSED_REGION, "organization"),
        ("dead-opt-in", ordinary.OPT_IN_REGION, "token"),
    ],
)
def test_a_closed_region_holds_keys_of_others_by_entries_that_reach_them(
    items: Mapping[str, PlanItem], name: str, region: str, answered: str
) -> None:
    assert rows(items[name]) == {(*call, region, answered) for call in EVERYWHERE}
    assert all(gap.every_region for gap in gaps_of(items[name]))


def test_a_host_that_cannot_be_found_holds_although_aws_lists_its_service(
    items: Mapping[str, PlanItem],
) -> None:
    region = ordinary.UNREACHED_REGION
    assert rows(items["dead-unreached"]) == {
        ("omics", operation, region, "network")
        for operation in ("ListReferenceStores", "ListSequenceStores")
    }


def test_only_a_missing_permission_suggests_an_action(items: Mapping[str, PlanItem]) -> None:
    assert rows(items["dead-unpermitted"]) == {("kendra", "ListIndices", "eu-west-1", "permission")}
    suggested = {
        name: {gap.permission for gap in gaps_of(item)} - {None} for name, item in items.items()
    }
    assert {name for name, actions in suggested.items() if actions} == {"dead-unpermitted"}
    assert suggested["dead-unpermitted"] == {ordinary.LACKED}
