"""The rules about who else needs a key: grants, other accounts, code, resources, attempts."""

from __future__ import annotations

import pytest
from dead_key import (
    ACCOUNT,
    OUTSIDER,
    changed,
    days_ago,
    decision_on,
    evaluated,
    event,
    gap_of,
    held_by,
    messages_of,
    policy,
)
from message_parts import figures

from keysweep.remediation.models import (
    AppliedException,
    Declaration,
    Declarations,
    Grant,
    Reference,
    References,
    UseAttempt,
)

ROLE = f"arn:aws:iam::{ACCOUNT}:role/reporting"
GRANT = Grant(
    grant_id="g1",
    grantee_principal=ROLE,
    issuing_account=f"arn:aws:iam::{ACCOUNT}:root",
    operations=("Decrypt", "GenerateDataKey"),
)


def grant(**values: object) -> Grant:
    return Grant.model_validate({**dict(GRANT), **values})


def test_any_grant_holds_and_is_named() -> None:
    assert held_by(changed(grants=(GRANT,))) == {"active-grant"}
    (message,) = messages_of("active-grant", changed(grants=(GRANT,)))
    assert all(part in message for part in (ROLE, "Decrypt", "GenerateDataKey"))


def test_many_grants_are_counted_and_the_first_named() -> None:
    many = tuple(grant(grant_id=f"g{n}", operations=()) for n in range(5))
    (message,) = messages_of("active-grant", changed(grants=many))
    assert message.count(ROLE) == 3
    assert figures(message.replace(ROLE, "")) == ["5", "2"]


@pytest.mark.parametrize(
    "values",
    [
        {"grantee_principal": f"arn:aws:iam::{OUTSIDER}:role/partner"},
        {"grantee_principal": f"arn:aws:sts::{OUTSIDER}:assumed-role/partner/session"},
        {"grantee_principal": OUTSIDER},
        {"grantee_principal": "AROAEXAMPLEUNIQUEID12"},
        {"grantee_principal": f"arn:aws:s3:x:x:{ACCOUNT}:no-principal"},
        {"grantee_principal": f"arn:aws:other::x:{ACCOUNT}:y"},
        {"grantee_principal": f"arn:aws:other:::{ACCOUNT}:role/x"},
        {"grantee_principal": f"arn:aws:other::{ACCOUNT}:role/x"},
        {"retiring_principal": f"arn:aws:iam::{OUTSIDER}:user/partner"},
        {"issuing_account": f"arn:aws:iam::{OUTSIDER}:root"},
        {"issuing_account": OUTSIDER},
    ],
)
def test_a_grant_of_another_account_is_shared_outside(values: dict[str, str]) -> None:
    key = changed(grants=(grant(**values),))
    assert held_by(key) == {"active-grant", "shared-outside"}
    assert next(iter(values.values())) in messages_of("shared-outside", key)[0]


@pytest.mark.parametrize(
    "principal",
    [
        ROLE,
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/reporting/session",
        "rds.amazonaws.com",
        "dynamodb.eu-west-1.amazonaws.com",
        "ec2.amazonaws.com.cn",
    ],
)
def test_a_grant_of_the_account_or_of_a_service_is_not(principal: str) -> None:
    both = grant(
        grantee_principal=principal,
        retiring_principal=principal,
        issuing_account=f"arn:aws:iam::{ACCOUNT}:root",
    )
    assert held_by(changed(grants=(both,))) == {"active-grant"}


def test_a_service_counts_as_outside_where_the_owner_of_the_grant_is_unknown() -> None:
    unknown = grant(grantee_principal="dynamodb.eu-west-1.amazonaws.com", issuing_account=None)
    assert held_by(changed(grants=(unknown,))) == {"active-grant", "shared-outside"}


def test_what_only_looks_like_a_service_is_outside() -> None:
    key = changed(grants=(grant(grantee_principal="rds.amazonaws.com.evil.example"),))
    assert held_by(key) == {"active-grant", "shared-outside"}


def test_outsiders_of_the_key_policy_hold() -> None:
    key = changed(key_policy={"outside": ("everyone (statement 2)",)})
    assert held_by(key) == {"shared-outside"}
    (message,) = messages_of("shared-outside", key)
    assert "everyone (statement 2)" in message


def test_a_service_for_no_account_in_particular_holds_and_the_message_names_the_condition() -> None:
    key = changed(key_policy={"unpinned": ("sns.amazonaws.com for every account (statement 2)",)})
    assert held_by(key) == {"shared-outside"}
    (message,) = messages_of("shared-outside", key)
    assert f"aws:SourceAccount {ACCOUNT}" in message


def test_a_key_policy_that_cannot_be_evaluated_holds_by_both_of_its_rules() -> None:
    key = changed(key_policy={"problem": "it is not JSON", "account_root": False})
    assert held_by(key) == {"shared-outside", "not-cancellable"}
    for rule in ("shared-outside", "not-cancellable"):
        (message,) = messages_of(rule, key)
        assert "it is not JSON" in message


def test_without_the_account_root_a_deletion_might_stay() -> None:
    assert held_by(changed(key_policy={"account_root": False})) == {"not-cancellable"}


def test_a_denied_cancellation_is_named() -> None:
    key = changed(key_policy={"undo_denied": ('statement "NoWayBack"',)})
    assert held_by(key) == {"not-cancellable"}
    assert 'statement "NoWayBack"' in messages_of("not-cancellable", key)[0]


def test_code_that_declares_the_key_holds_with_its_fix() -> None:
    declaration = Declaration(
        tool="terraform",
        owner="module.shop.aws_kms_key.old[0]",
        source="prod.tfstate",
        fix="remove the block",
    )
    key = changed(declarations=Declarations(found=(declaration,)))
    assert held_by(key) == {"declared-in-code"}
    (message,) = messages_of("declared-in-code", key)
    parts = (declaration.tool, declaration.owner, declaration.source, declaration.fix)
    assert all(part in message for part in parts)


VOLUME = Reference(service="ec2", resource="vol-1", region="eu-west-1", field="KmsKeyId")
GAPS = (
    gap_of(service="fsx", region="eu-west-1", why="denied", permission="fsx:DescribeFileSystems"),
    gap_of(service="s3", region="eu-west-1", why="timed out"),
)


def test_a_resource_that_names_the_key_holds() -> None:
    key = changed(references=References(found=(VOLUME,)))
    assert held_by(key) == {"in-use"}
    (message,) = messages_of("in-use", key)
    assert all(part in message for part in ("ec2", "vol-1", "eu-west-1", "KmsKeyId"))


def test_a_service_that_could_not_be_read_holds_with_one_line() -> None:
    key = changed(references=References(gaps=GAPS))
    assert held_by(key) == {"in-use"}
    (hold,) = evaluated(key).holds
    assert hold.gaps == GAPS
    assert all(part in hold.message for part in ("fsx", "s3", "AccessDenied"))


def test_a_coverage_exception_is_shown_and_lifts_the_gap() -> None:
    key = changed(references=References(gaps=GAPS))
    evaluation = evaluated(key, policy(coverage_exceptions=[*map(decision_on, GAPS)]))
    assert evaluation.holds == ()
    assert evaluation.exceptions == tuple(
        AppliedException(
            rule="in-use",
            reason=f"no {gap.service}",
            approved_by="security",
            until="2026-12-01",
            region=gap.region,
            service=gap.service,
            operation=gap.operation,
        )
        for gap in GAPS
    )


def test_a_closed_region_is_shown_and_holds_nothing() -> None:
    gaps = tuple(
        gap.model_copy(
            update={
                "answer_class": "organization",
                "every_region": True,
                "region": "sa-east-1",
                "message": "explicit deny in a service control policy",
            }
        )
        for gap in GAPS
    )
    closed = {"accounts": "all", "regions": ["sa-east-1"], "reason": "closed", "approved_by": "it"}
    evaluation = evaluated(
        changed(references=References(gaps=gaps)),
        policy(closed_regions=[{**closed, "until": "2026-12-01"}]),
    )
    assert evaluation.holds == ()
    assert [(one.region, one.service) for one in evaluation.exceptions] == [("sa-east-1", None)]


def test_an_exception_for_one_gap_of_two_is_not_enough() -> None:
    key = changed(references=References(gaps=GAPS))
    evaluation = evaluated(key, policy(coverage_exceptions=[decision_on(GAPS[1])]))
    assert [hold.gaps for hold in evaluation.holds] == [GAPS[:1]]


def test_a_coverage_exception_excepts_no_resource() -> None:
    key = changed(references=References(found=(VOLUME,)))
    gap = gap_of("ec2", VOLUME.region, "denied")
    assert held_by(key, policy(coverage_exceptions=[decision_on(gap)])) == {"in-use"}


def test_a_cancellation_holds_however_long_ago() -> None:
    long_ago = event("CancelKeyDeletion", 80)
    key = changed(history={"last_change": long_ago, "cancellations": (long_ago,)})
    assert held_by(key) == {"restored"}
    (message,) = messages_of("restored", key)
    assert figures(message) == ["2026-08-13"]
    assert "alice" in message


def attempt(days: float, **values: object) -> UseAttempt:
    return UseAttempt.model_validate(
        {"event": "Decrypt", "time": days_ago(days), "who": ROLE, **values}
    )


def test_an_attempt_holds_allowed_or_refused() -> None:
    for error in (None, "DisabledException", "AccessDenied"):
        key = changed(use_attempts={"attempts": (attempt(80, error=error),)})
        assert held_by(key) == {"use-attempted"}


def test_the_last_attempt_is_reported() -> None:
    attempts = (attempt(3, error="DisabledException"), attempt(9), attempt(5))
    key = changed(use_attempts={"attempts": attempts, "all_read": False})
    (message,) = messages_of("use-attempted", key)
    assert figures(message.replace(ROLE, "")) == ["3", "2026-10-23", "2026-10-29"]
    assert all(part in message for part in (ROLE, "at least", "Decrypt", "DisabledException"))


@pytest.mark.parametrize(("days", "wanted", "held"), [(91, 90, 0), (91, 200, 1), (80, 0, 1)])
def test_attempts_count_for_ninety_days_or_as_long_as_use_does(
    days: int, wanted: int, held: int
) -> None:
    key = changed(use_attempts={"attempts": (attempt(days),), "since": days_ago(400)})
    under = policy(min_days_unused=wanted)
    assert ("use-attempted" in held_by(key, under)) == bool(held)


@pytest.mark.parametrize("rule", ["use-attempted", "restored"])
@pytest.mark.parametrize(
    ("since", "born", "held"),
    [
        (35, 900, True),
        (89.9, 900, True),
        (90 - 1 / 48, 900, False),
        (90, 900, False),
        (400, 900, False),
        (60, 60, False),
        (50, 60, True),
    ],
)
def test_silence_counts_only_over_ninety_days_or_the_whole_life_of_the_key(
    rule: str, since: float, born: float, held: bool
) -> None:
    piece = {"use-attempted": "use_attempts", "restored": "history"}[rule]
    short = {piece: {"since": days_ago(since)}}
    key = changed(description={"creation_date": days_ago(born)}, **short)
    assert held_by(key) == ({rule} if held else set())


def test_a_record_that_is_too_short_is_reported_with_its_first_day() -> None:
    key = changed(use_attempts={"since": days_ago(35)})
    (message,) = messages_of("use-attempted", key)
    assert figures(message) == ["2026-09-27", "2026-08-03", "90"]
