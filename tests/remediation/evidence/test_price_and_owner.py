"""What a key costs by the list, and whom to ask about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dead_key import ACCOUNT, ARN, DEAD, OUTSIDER, changed, event, policy

from keysweep.remediation.evidence.owner import lead_of, owner_of
from keysweep.remediation.evidence.rotations import monthly_cost
from keysweep.remediation.models import Declaration, Declarations, NotFound, Unreadable


@pytest.mark.parametrize(("rotations", "price"), [(0, 1), (1, 2), (2, 3), (3, 3), (40, 3)])
@pytest.mark.parametrize("state", ["Enabled", "Disabled", "PendingReplicaDeletion", "Unavailable"])
def test_a_key_costs_one_to_three_dollars_enabled_or_not(
    rotations: int, price: int, state: str
) -> None:
    key = changed(rotations=rotations, description={"key_state": state})
    assert monthly_cost(key) == price


def test_each_key_of_a_set_costs_by_itself() -> None:
    for kind in ("PRIMARY", "REPLICA"):
        assert monthly_cost(changed(description={"multi_region_type": kind})) == 1


def test_a_key_that_waits_for_deletion_and_one_of_aws_cost_nothing() -> None:
    assert monthly_cost(changed(description={"key_state": "PendingDeletion"})) == 0
    assert monthly_cost(changed(description={"key_manager": "AWS"})) == 0


@pytest.mark.parametrize("nothing", [None, NotFound(), Unreadable(unreadable="denied")])
def test_unknown_evidence_promises_nothing(nothing: object) -> None:
    assert monthly_cost(changed(description=nothing)) == 0
    unread = None if isinstance(nothing, NotFound) else nothing
    assert monthly_cost(changed(rotations=unread)) == 1


STACK = Declaration(tool="cloudformation", owner="shop Key", source="eu-west-1", fix="remove it")
NAMELESS = changed(tags={}, aliases=())
OWNERS = {
    "tag": (changed(tags={"owner": "payments", "team": "shop"}), "payments"),
    "second tag": (changed(tags={"contact": "x", "team": "shop"}), "shop"),
    "tag in another case": (changed(tags={" Owner ": " payments "}), "payments"),
    "empty tag": (changed(tags={"owner": " ", "team": "shop"}), "shop"),
    "account": (changed(tags={"name": "x"}), "payments team"),
    "unreadable tags": (changed(tags=Unreadable(unreadable="x")), "payments team"),
    "account of another": (
        NAMELESS.model_copy(update={"key_arn": replace(ARN, account_id=OUTSIDER)}),
        None,
    ),
}

LEADS = {
    "code": (
        changed(tags={"owner": "payments"}, declarations=Declarations(found=(STACK,))),
        "cloudformation shop Key",
    ),
    "alias": (changed(tags={"owner": "payments"}), "alias/old-shop"),
    "who disabled it": (
        NAMELESS.model_copy(
            update={
                "history": changed(history={"last_change": event("DisableKey", 40, "ann")}).history
            }
        ),
        "ann (DisableKey)",
    ),
    "nobody": (NAMELESS, None),
    "nothing known": (
        changed(
            **dict.fromkeys(
                ["tags", "aliases", "declarations", "history"], Unreadable(unreadable="x")
            )
        ),
        None,
    ),
}


@pytest.mark.parametrize("case", OWNERS)
def test_the_owner_is_a_tag_s_or_the_policy_s_of_the_account(case: str) -> None:
    evidence, owner = OWNERS[case]
    assert owner_of(evidence, policy(account_owners={ACCOUNT: "payments team"})) == owner


@pytest.mark.parametrize("case", LEADS)
def test_the_best_lead_is_no_owner(case: str) -> None:
    evidence, lead = LEADS[case]
    assert lead_of(evidence) == lead
    assert owner_of(evidence, policy()) in {None, "payments"}


def test_the_policy_names_the_owner_tags() -> None:
    tagged = changed(tags={"CostCentre": "4711", "owner": "ann"})
    assert owner_of(tagged, policy(owner_tags=["costcentre"])) == "4711"
    assert owner_of(DEAD, policy(owner_tags=[])) is None
