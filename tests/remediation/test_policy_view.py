"""What `keysweep policy` shows: effective values, rules with their needs, the reference list."""

from __future__ import annotations

from datetime import UTC, datetime

from keysweep.remediation.evidence.references.entries import reference_list
from keysweep.remediation.policy import Policy
from keysweep.remediation.policy_view import PolicyView, describe_policy
from keysweep.remediation.rules import RULES

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
ACCOUNT = "111122223333"
SIGNED = {
    "accounts": "all",
    "regions": ["eu-west-1"],
    "reason": "none here",
    "approved_by": "storage",
    "until": "2026-11-01",
}


def view(**values: object) -> PolicyView:
    return describe_policy(Policy.model_validate(values), NOW)


def test_every_value_is_shown_with_its_default_and_meaning() -> None:
    shown = {
        value.name: value for value in view(max_keys=3, regions={"deny": ["us-east-1"]}).values
    }
    nested = {"accounts", "regions"}
    listed = {"overrides", "exceptions", "coverage_exceptions", "closed_regions"}
    plain = set(Policy.model_fields) - nested - listed
    assert set(shown) == plain | {f"{n}.{p}" for n in nested for p in ("allow", "deny")}
    assert (shown["max_keys"].value, shown["max_keys"].default) == (3, 25)
    assert (shown["regions.deny"].value, shown["regions.deny"].default) == (("us-east-1",), ())
    assert all(value.meaning.endswith(".") for value in shown.values())


def test_every_rule_is_shown_with_what_it_needs_under_this_policy() -> None:
    rules = {rule.id: rule for rule in view().rules}
    assert set(rules) == {rule.id for rule in RULES}
    assert rules["protected-key"].needs == ()
    (need,) = rules["used-recently"].needs
    assert (need.piece, need.cost, need.permissions) == (
        "last_use",
        "last use",
        ("kms:GetKeyLastUsage",),
    )
    with_alias = {rule.id: rule for rule in view(protected_keys=["alias/x"]).rules}
    assert [need.piece for need in with_alias["protected-key"].needs] == ["aliases"]


def test_exceptions_are_shown_with_their_rule_and_whether_they_are_over() -> None:
    exceptions = [
        {
            "key": "all",
            "rule": "restored",
            "reason": "known",
            "approved_by": "security",
            "until": "2026-11-01",
        },
        {
            "key": "all",
            "rule": "restored",
            "reason": "old",
            "approved_by": "security",
            "until": "2026-10-31",
        },
    ]
    rules = {rule.id: rule.exceptions for rule in view(exceptions=exceptions).rules}
    assert [(w.reason, w.until, w.state) for w in rules.pop("restored")] == [
        ("known", "2026-11-01", "in force"),
        ("old", "2026-10-31", "expired"),
    ]
    assert set(rules.values()) == {()}


def test_overrides_and_gaps_are_shown() -> None:
    shown = view(
        overrides=[{"accounts": [ACCOUNT], "set": {"min_age_days": 3}}],
        coverage_exceptions=[
            {
                **SIGNED,
                "service": "fsx",
                "operation": "DescribeFileCaches",
                "answer": {"code": "BadRequest", "message": "not enabled"},
            }
        ],
        closed_regions=[{**SIGNED, "until": "2026-10-31"}],
    )
    (override,) = shown.overrides
    assert (override.accounts, override.regions, override.values) == (
        (ACCOUNT,),
        (),
        {"min_age_days": 3},
    )
    seen = shown.references.coverage_exceptions
    assert [(one.service, one.operation, one.answer, one.state) for one in seen] == [
        ("fsx", "DescribeFileCaches", "BadRequest: not enabled", "in force"),
        (None, None, None, "expired"),
    ]
    assert {(one.accounts, one.regions, one.reason, one.approved_by) for one in seen} == {
        (("all",), ("eu-west-1",), "none here", "storage")
    }


def test_the_reference_list_is_counted() -> None:
    references = view().references
    listed = reference_list()
    assert references.services == len({entry.service for entry in listed.entries})
    assert references.entries == len(listed.entries) >= 45
    assert references.calls >= references.entries


def test_the_view_is_plain_data() -> None:
    shown = view(protected_keys=["alias/x"])
    assert PolicyView.model_validate_json(shown.model_dump_json()) == shown
