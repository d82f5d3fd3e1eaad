"""Someone else changes a key: between plan and apply, and between the last look and the call.

`meddle` is a fault of the embedded AWS: the call is answered, then another principal makes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stages as held
from botocore.exceptions import ClientError
from lifted_rules import lift
from scenarios import DEAD, SHOP, in_shop
from stages import ROLE, Stages, few_references, outcomes, state_only, work_here

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import apply as apply_stage
from keysweep.remediation import policy_file
from keysweep.remediation import status as status_stage
from keysweep.remediation import write as write_stage
from keysweep.remediation.apply import BY_AN_EARLIER_RUN, BY_ANOTHER_PLAN
from keysweep.remediation.aws import Accounts, ClientSettings, limiter
from keysweep.remediation.aws.quotas import per_second
from keysweep.remediation.errors import RUN_AGAIN, InvariantError
from keysweep.remediation.evidence.description import describe
from keysweep.remediation.journal import Journal
from keysweep.remediation.lifecycle import KEY_NOT_FOUND
from keysweep.remediation.models import KeyArn, KeyDescription
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy import Policy
from keysweep.remediation.runner import Stop
from keysweep.remediation.write import SCHEDULE, Write

OTHER_POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"own","Effect":"Allow","Principal":'
    f'{{"AWS":"arn:aws:iam::{SHOP}:root"}},"Action":"kms:*","Resource":"*"}}]}}'
)


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    work_here(monkeypatch, own_server)
    few_references(monkeypatch)
    keys = [
        {"name": "raced", "grants": [{"grantee": f"arn:aws:iam::{SHOP}:role/x"}], **DEAD},
        {"name": "calm", **DEAD},
    ]
    own_server.reset(in_shop(*keys))
    policy = policy_file.load()
    grants = [lift("active-grant")]
    return Stages(
        own_server, tmp_path, Policy.model_validate({**dict(policy), "exceptions": grants})
    )


def _arn(run: Stages) -> str:
    return run.arn("raced")


def _cancel(run: Stages) -> str:
    """The command that cancels its deletion, with the run's access."""
    return f"keysweep cancel --key {_arn(run)} --role-name {ROLE}"


def _grant_it(run: Stages) -> None:
    kms, arn = run.kms(), _arn(run)
    kms.enable_key(KeyId=arn)
    kms.create_grant(
        KeyId=arn, GranteePrincipal="arn:aws:iam::999988887777:role/y", Operations=["Decrypt"]
    )
    kms.disable_key(KeyId=arn)


CHANGES: dict[str, Callable[[Stages], object]] = {
    "state": lambda run: run.kms().enable_key(KeyId=_arn(run)),
    "protected tag": lambda run: run.kms().tag_resource(
        KeyId=_arn(run), Tags=[{"TagKey": "keysweep:keep", "TagValue": ""}]
    ),
    "any tag": lambda run: run.kms().tag_resource(
        KeyId=_arn(run), Tags=[{"TagKey": "team", "TagValue": "x"}]
    ),
    "description that asks to keep it": lambda run: run.kms().update_key_description(
        KeyId=_arn(run), Description="Old backups: do not delete"
    ),
    "alias": lambda run: run.kms().create_alias(AliasName="alias/new", TargetKeyId=_arn(run)),
    "key policy": lambda run: run.kms().put_key_policy(
        KeyId=_arn(run), PolicyName="default", Policy=OTHER_POLICY
    ),
    "grant": _grant_it,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_between_plan_and_apply_leaves_the_key_alone(what: str, run: Stages) -> None:
    if what == "grant":
        run.policy = run.policy.model_copy(update={"exceptions": ()})
        for grant in run.kms().list_grants(KeyId=_arn(run))["Grants"]:
            run.kms().revoke_grant(KeyId=_arn(run), GrantId=grant["GrantId"])
    plan = run.plan()
    assert {item.verdict.value for item in plan.items} == {"schedule"}
    CHANGES[what](run)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "changed", "calm": "scheduled"}
    assert run.state("PendingDeletion") == {"calm"}
    assert "raced" not in str(held.lines_of(run, "intent"))


MEDDLING: dict[str, tuple[str, dict[str, Any]]] = {
    "protected tag": (
        "ListResourceTags",
        {"operation": "TagResource", "Tags": [{"TagKey": "keysweep:keep", "TagValue": ""}]},
    ),
    "alias": ("ListAliases", {"operation": "CreateAlias", "AliasName": "alias/new"}),
    "key policy": ("GetKeyPolicy", {"operation": "PutKeyPolicy", "Policy": OTHER_POLICY}),
}
"""After which answer to apply another principal makes which call."""


@pytest.mark.parametrize("what", MEDDLING)
def test_a_change_after_the_last_read_is_seen_after_the_call_and_cancelled(
    what: str, run: Stages
) -> None:
    plan = run.plan()
    operation, then = MEDDLING[what]
    named = {"TargetKeyId" if what == "alias" else "KeyId": _arn(run)}
    run.aws.fault("meddle", operation=operation, key=_arn(run), then={**then, **named})
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "changed", "calm": "scheduled"}
    assert run.state("PendingDeletion") == {"calm"}
    assert run.state("Disabled") == {"raced"}
    held.nothing_is_open(run)
    made = [(line["operation"], line["outcome"]) for line in held.lines_of(run, "outcome")]
    assert ("CancelKeyDeletion", "cancelled") in made
    again = run.apply(plan)
    assert outcomes(again) == {"raced": "changed", "calm": "scheduled"}
    assert run.state("Disabled") == {"raced"}


def test_a_change_that_cannot_be_undone_is_that_keys_failure(run: Stages) -> None:
    plan = run.plan()
    then = {"operation": "TagResource", "Tags": [{"TagKey": "keysweep:keep", "TagValue": ""}]}
    run.aws.fault(
        "meddle", operation="ListResourceTags", key=_arn(run), then={**then, "KeyId": _arn(run)}
    )
    run.aws.fault("deny", operation="CancelKeyDeletion", times=None)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "failed", "calm": "scheduled"}
    assert rows["raced"].message.endswith(f"run: {_cancel(run)}")
    held.undo_finds_everything(run)
    # However late the next run comes, it tries again, and says so again when that fails.
    run.aws.advance(days=1)
    again = run.apply(plan)
    assert outcomes(again) == {"raced": "failed", "calm": "scheduled"}
    assert again["raced"].message.endswith(_cancel(run))
    run.aws.clear_faults()
    assert outcomes(run.apply(plan)) == {"raced": "changed", "calm": "scheduled"}
    assert run.state("Disabled") == {"raced"}


def test_the_next_run_checks_what_a_killed_run_did_not(
    run: Stages,
) -> None:
    plan = run.plan()
    then = {"operation": "TagResource", "Tags": [{"TagKey": "keysweep:keep", "TagValue": ""}]}
    run.aws.fault(
        "meddle", operation="ListResourceTags", key=_arn(run), then={**then, "KeyId": _arn(run)}
    )
    rows = run.apply(plan)
    assert outcomes(rows)["raced"] == "changed"
    # The journal as it was when the outcome of the schedule had just been written.
    lines = run.journal.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if b"CancelKeyDeletion" not in line]
    run.journal.write_bytes(b"".join(kept))
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=30)
    assert outcomes(run.apply(plan)) == {"raced": "changed", "calm": "scheduled"}
    assert run.state("Disabled") == {"raced"}


def test_a_change_is_reported_where_it_is_unknown_whether_it_can_be_undone(run: Stages) -> None:
    plan = run.plan()
    then = {"operation": "TagResource", "Tags": [{"TagKey": "keysweep:keep", "TagValue": ""}]}
    run.aws.fault(
        "meddle", operation="ListResourceTags", key=_arn(run), then={**then, "KeyId": _arn(run)}
    )
    run.aws.fault("deny", operation="DescribeKey", key=_arn(run), skip=1, times=None)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "failed", "calm": "scheduled"}
    assert "DescribeKey did not answer" in rows["raced"].message
    assert rows["raced"].message.endswith(_cancel(run))
    assert run.aws.calls(operation="CancelKeyDeletion") == []
    held.undo_finds_everything(run)


def test_a_read_after_the_call_that_fails_is_a_failure_with_the_command_to_undo(
    run: Stages,
) -> None:
    plan = run.plan()
    run.aws.fault("deny", operation="GetKeyPolicy", key=_arn(run), skip=1, times=None)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "failed", "calm": "scheduled"}
    assert "key policy could not" in rows["raced"].message
    assert rows["raced"].message.endswith(_cancel(run))
    assert rows["calm"].message == ""


def test_a_description_without_a_protecting_phrase_changes_nothing(run: Stages) -> None:
    plan = run.plan()
    run.kms().update_key_description(KeyId=_arn(run), Description="Old backups of the shop")
    assert outcomes(run.apply(plan)) == {"raced": "scheduled", "calm": "scheduled"}


def test_the_next_run_checks_keys_that_a_killed_run_did_not(run: Stages) -> None:
    plan = run.plan()
    run.kms().tag_resource(KeyId=_arn(run), Tags=[{"TagKey": "keysweep:keep", "TagValue": ""}])
    with Journal(run.journal) as journal:
        now = run.collector().accounts.clock.now()
        journal.begin(now, "apply", plan_digest=plan.digest, keys=2)
        arn = KeyArn.parse(_arn(run))
        journal.intent(now, "ScheduleKeyDeletion", arn, pending_window_days=30)
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=30)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "changed", "calm": "scheduled"}
    assert "keysweep:keep" in rows["raced"].message
    assert run.state("Disabled") == {"raced"}
    held.nothing_is_open(run)


def test_a_key_is_held_again_when_its_exception_has_ended_since_the_plan(run: Stages) -> None:
    today = datetime.fromtimestamp(run.aws.now(), UTC).date()
    grants = [lift("active-grant", str(today))]
    run.policy = Policy.model_validate({**dict(run.policy), "exceptions": grants})
    plan = run.plan()
    assert {item.verdict.value for item in plan.items} == {"schedule"}
    run.aws.advance(days=1)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "changed", "calm": "scheduled"}
    assert rows["raced"].message.startswith("active-grant: ")
    assert run.state("PendingDeletion") == {"calm"}


def test_a_key_deleted_since_the_plan_is_reported(run: Stages) -> None:
    run.policy = state_only().model_copy(update={"plan_expires_days": 30})
    plan = run.plan()
    assert set(run.items(plan)) == {"raced", "calm"}
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=7)
    run.aws.advance(days=8)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "changed", "calm": "scheduled"}
    assert rows["raced"].message == KEY_NOT_FOUND


def test_a_key_in_two_plans_is_scheduled_once_and_the_second_names_the_first(run: Stages) -> None:
    run.policy = state_only()
    one = run.plan()
    run.aws.advance(seconds=2)
    two = run.plan()
    assert one.digest != two.digest
    run.apply(one)
    rows = run.apply(two)
    assert outcomes(rows) == dict.fromkeys(("raced", "calm"), "already_pending")
    assert {row.message for row in rows.values()} == {BY_ANOTHER_PLAN}
    held.scheduled_once(run)


def test_a_rerun_reports_a_key_that_it_cannot_read(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    date = run.apply(plan)["raced"].deletion_date
    run.aws.fault("deny", operation="DescribeKey", key=_arn(run), times=None)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "failed", "calm": "scheduled"}
    assert rows["raced"].message.startswith(f"{BY_AN_EARLIER_RUN}. ")
    assert rows["raced"].deletion_date == date
    held.scheduled_once(run)


def test_keys_that_wait_for_their_turn_are_not_begun_after_a_stop(
    run: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiter, "per_second", per_second)  # the other tests do not wait
    run.policy = state_only()
    plan = run.plan()
    run.settings = ClientSettings(quota_share=0.2, connect_timeout=60, read_timeout=60, attempts=1)
    collector, stop = run.collector(), Stop()
    with Journal(run.journal) as journal:
        journal.begin(
            collector.accounts.clock.now(),
            "apply",
            plan_digest=plan.digest,
            exceptions=plan.exceptions,
        )
        done = apply_stage.apply(
            plan, collector, journal, stop=stop, done=lambda row: stop.request("stopped by hand")
        )
    rows = run.by_name(done)
    (begun,) = run.state("PendingDeletion")
    (left,) = {"raced", "calm"} - {begun}
    assert outcomes(rows) == {begun: "scheduled", left: "failed"}
    assert stop.message in rows[left].message
    assert {line["key_arn"] for line in held.lines_of(run, "intent")} == {str(rows[begun].key_arn)}


def test_the_state_alone_costs_two_requests_a_key(run: Stages) -> None:
    run.policy = state_only(tags=False)
    plan = run.plan()
    run.aws.clear_calls()
    run.apply(plan)
    assert sorted(call["operation"] for call in run.aws.calls(service="kms")) == [
        *["DescribeKey"] * 2,
        *["ScheduleKeyDeletion"] * 2,
    ]


def test_a_deletion_that_others_scheduled_meanwhile_is_theirs(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    then = {"operation": "ScheduleKeyDeletion", "KeyId": _arn(run), "PendingWindowInDays": 30}
    run.aws.fault("meddle", operation="DescribeKey", key=_arn(run), then=then)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "already_pending", "calm": "scheduled"}
    held.nothing_is_open(run)
    run.cancel()
    assert run.state("PendingDeletion") == {"raced"}


def test_a_deletion_that_others_cancelled_meanwhile_is_not_cancelled_again(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.apply(plan)
    then = {"operation": "CancelKeyDeletion", "KeyId": _arn(run)}
    run.aws.fault("meddle", operation="DescribeKey", key=_arn(run), then=then)
    rows = run.cancel()
    assert outcomes(rows) == {"raced": "unchanged", "calm": "cancelled"}
    assert run.state("Disabled") == {"raced", "calm"}
    held.nothing_is_open(run)


def test_the_one_window_that_is_left_open_is_the_state(run: Stages) -> None:
    """Enabled between the last DescribeKey and the call: AWS deletes enabled keys too, and no
    answer shows what a key was before. docs/reliability.md says so; one cancel undoes it."""
    run.policy = state_only()
    plan = run.plan()
    then = {"operation": "EnableKey", "KeyId": _arn(run)}
    run.aws.fault("meddle", operation="DescribeKey", key=_arn(run), then=then)
    assert outcomes(run.apply(plan))["raced"] == "scheduled"
    calls = [call["operation"] for call in run.aws.calls(service="kms") if call["key"] == _arn(run)]
    last_look = max(n for n, name in enumerate(calls) if name == "ScheduleKeyDeletion") - 1
    assert calls[last_look] in {"DescribeKey", "EnableKey"}, "nothing waits or reads in between"
    assert outcomes(run.cancel())["raced"] == "cancelled"


WRONG_WRITES: dict[str, tuple[str, dict[str, object]]] = {
    "another Region's key": ("us-east-1", {"PendingWindowInDays": 30}),
    "no waiting period": ("eu-west-1", {}),
    "a waiting period of nothing": ("eu-west-1", {"PendingWindowInDays": None}),
    "another waiting period than the journal's": ("eu-west-1", {"PendingWindowInDays": 29}),
    "a waiting period that is too short": ("eu-west-1", {"PendingWindowInDays": 6}),
    "a waiting period that is too long": ("eu-west-1", {"PendingWindowInDays": 31}),
}


@pytest.mark.parametrize("what", WRONG_WRITES)
def test_a_write_that_must_never_be_made_ends_before_its_intent(what: str, run: Stages) -> None:
    """Nothing in the command asks for one; this is the last door before AWS."""
    region, parameters = WRONG_WRITES[what]
    key = KeyArn.parse(_arn(run))
    connection = run.collector().accounts.connect(key.account_region)
    seen = describe(connection, key)
    assert isinstance(seen, KeyDescription)
    named = replace(key, region=region)
    change = Write(SCHEDULE, named, parameters, pending_window_days=30)
    with Journal(run.journal) as journal:
        journal.begin(connection.clock.now(), "apply")
        with pytest.raises(InvariantError):
            write_stage.write(connection, journal, change, seen)
    assert held.lines_of(run, "intent") == []
    assert run.aws.calls(operation="ScheduleKeyDeletion") == []


# --- DescribeKey may show for a while what was ---------------------------------------------------


def test_a_schedule_that_is_lost_and_shows_late_is_still_found_by_undo(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.aws.fault("drop_after", operation="ScheduleKeyDeletion", key=_arn(run))
    run.aws.fault("stale", operation="DescribeKey", key=_arn(run), skip=1, times=None)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "failed", "calm": "scheduled"}
    held.undo_finds_everything(run)
    run.aws.clear_faults()
    rows = run.cancel()
    assert outcomes(rows) == {"raced": "cancelled", "calm": "cancelled"}
    assert run.state("Disabled") == {"raced", "calm"}
    held.nothing_is_open(run)


def test_a_schedule_that_is_lost_and_shows_late_is_ours_in_the_next_run(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.aws.fault("drop_after", operation="ScheduleKeyDeletion", key=_arn(run))
    run.aws.fault("stale", operation="DescribeKey", key=_arn(run), skip=1, times=3)
    assert outcomes(run.apply(plan))["raced"] == "failed"
    # The next run still sees it Disabled when it settles, and asks AWS, who knows better.
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "scheduled", "calm": "scheduled"}
    held.nothing_is_open(run)
    held.undo_finds_everything(run)
    assert outcomes(run.cancel()) == {"raced": "cancelled", "calm": "cancelled"}


@pytest.mark.parametrize("refusal", ["state", "throttle"])
def test_a_second_try_that_is_refused_hides_no_schedule_that_is_lost(
    refusal: str, run: Stages
) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.aws.fault("drop_after", **_of("ScheduleKeyDeletion", run))
    # As late as never: through the first run, and through the second with all its looks.
    run.aws.fault("stale", **_of("DescribeKey", run), skip=1, times=None)
    assert outcomes(run.apply(plan))["raced"] == "failed"
    if refusal == "throttle":
        run.aws.fault("throttle", **_of("ScheduleKeyDeletion", run), times=None)
    assert outcomes(run.apply(plan))["raced"] == "failed"
    held.undo_finds_everything(run)
    run.aws.clear_faults()
    assert outcomes(run.apply(plan)) == {"raced": "scheduled", "calm": "scheduled"}
    held.nothing_is_open(run)
    assert outcomes(run.cancel()) == {"raced": "cancelled", "calm": "cancelled"}


def test_a_schedule_that_is_lost_is_ours_after_another_plan_with_another_window(
    run: Stages,
) -> None:
    run.policy = state_only()
    first = run.plan()
    run.policy = state_only().model_copy(update={"pending_window_days": 7})
    second = run.plan()
    stale = {"kind": "stale", **_of("DescribeKey", run)}
    run.aws.fault("drop_after", **_of("ScheduleKeyDeletion", run))
    run.aws.fault(**stale, skip=1, times=None)
    assert outcomes(run.apply(first))["raced"] == "failed"
    run.aws.clear_faults()
    # Late until the second call has been refused.
    run.aws.fault(**stale, times=len(write_stage.READ_BACK_PAUSES) + 1)
    assert outcomes(run.apply(second))["raced"] == "scheduled"
    held.nothing_is_open(run)
    made = [
        line["outcome"] for line in held.lines_of(run, "outcome") if line["key_arn"] == _arn(run)
    ]
    assert made == ["failed", "scheduled"]
    assert outcomes(run.cancel())["raced"] == "cancelled"


def _leave_an_intent_open(run: Stages, plan: Plan, *, reached: bool = False) -> None:
    """A run whose call for the raced key was lost, and which could not look what became of it."""
    run.aws.fault("drop_after" if reached else "drop_before", **_of("ScheduleKeyDeletion", run))
    run.aws.fault("deny", **_of("DescribeKey", run), skip=1, times=None)
    assert outcomes(run.apply(plan)) == {"raced": "failed", "calm": "scheduled"}
    run.aws.clear_faults()
    (arn,) = (str(arn) for arn, one in run.history().keys.items() if one.undecided is not None)
    assert arn == _arn(run)


def _of(operation: str, run: Stages) -> dict[str, str]:
    return {"operation": operation, "key": _arn(run)}


def test_the_next_run_finds_that_others_scheduled_what_ours_did_not(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    _leave_an_intent_open(run, plan)
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=7)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "already_pending", "calm": "scheduled"}
    held.nothing_is_open(run)
    assert set(outcomes(run.cancel())) == {"calm"}
    assert run.state("PendingDeletion") == {"raced"}


def test_undo_leaves_alone_what_others_scheduled_where_ours_was_lost(run: Stages) -> None:
    run.policy = state_only()
    _leave_an_intent_open(run, run.plan())
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=7)
    rows = run.cancel()
    assert outcomes(rows) == {"raced": "already_pending", "calm": "cancelled"}
    assert "--key" in rows["raced"].message
    assert run.state("PendingDeletion") == {"raced"}
    held.nothing_is_open(run)


@pytest.mark.parametrize("later", [{"seconds": 121}, {"seconds": 3_540}])
def test_a_deletion_up_to_an_hour_after_a_lost_call_is_undetermined(
    later: dict[str, int], run: Stages
) -> None:
    """A colleague's, or ours: nothing cancels it silently, and nothing calls it foreign."""
    run.policy = state_only()
    plan = run.plan()
    _leave_an_intent_open(run, plan)
    run.aws.advance(**later)
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=30)
    decides = _cancel(run)
    row = run.apply(plan)["raced"]
    assert (row.outcome.value, row.message.endswith(decides)) == ("failed", True)
    row = run.cancel()["raced"]
    assert (row.outcome.value, row.message.endswith(decides)) == ("failed", True)
    rows = status_stage.status(run.history(), Accounts(run.access, run.settings)).rows
    assert {str(one.key_arn): one.drift.endswith(decides) for one in rows} == {_arn(run): True}
    run.aws.advance(days=8)
    row = run.apply(plan)["raced"]
    assert (row.outcome.value, row.message.endswith(decides)) == ("failed", True)
    with pytest.raises(ClientError):
        run.kms().encrypt(KeyId=_arn(run), Plaintext=b"x")
    watched = run.guard()
    assert [sign.rule for sign in watched["raced"].signs] == ["use-attempted"]
    assert watched["raced"].notes[0].endswith(decides)
    assert outcomes(run.cancel_in_use(watched)) == {"raced": "failed"}
    assert run.state("PendingDeletion") == {"raced"}
    assert outcomes(run.cancel([KeyArn.parse(_arn(run))])) == {"raced": "cancelled"}
    held.nothing_is_open(run)


def test_a_deletion_that_others_scheduled_again_at_once_is_not_undone(run: Stages) -> None:
    run.policy = state_only()
    run.apply(run.plan())
    run.aws.advance(seconds=30)
    run.kms().cancel_key_deletion(KeyId=_arn(run))
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=30)
    assert outcomes(run.cancel()) == {"raced": "unchanged", "calm": "cancelled"}
    assert run.state("PendingDeletion") == {"raced"}


def test_an_intent_without_a_waiting_period_claims_no_deletion(run: Stages) -> None:
    with Journal(run.journal) as journal:
        now = datetime.fromtimestamp(run.aws.now(), UTC)
        journal.begin(now, "apply", plan_digest="sha256:1")
        journal.intent(now, "ScheduleKeyDeletion", KeyArn.parse(_arn(run)))
    run.kms().schedule_key_deletion(KeyId=_arn(run), PendingWindowInDays=30)
    assert outcomes(run.cancel()) == {"raced": "already_pending"}
    assert run.state("PendingDeletion") == {"raced"}


def test_undo_reports_unchanged_only_when_a_lost_call_can_no_longer_show(run: Stages) -> None:
    run.policy = state_only()
    _leave_an_intent_open(run, run.plan())
    assert outcomes(run.cancel()) == {"raced": "failed", "calm": "cancelled"}
    held.undo_finds_everything(run)
    run.aws.advance(seconds=600)
    assert outcomes(run.cancel()) == {"raced": "unchanged"}
    held.nothing_is_open(run)


def test_undo_after_the_deletion_reports_that_the_key_is_gone(run: Stages) -> None:
    run.policy = state_only()
    _leave_an_intent_open(run, run.plan(), reached=True)
    run.aws.advance(days=31)
    rows = run.cancel()
    assert outcomes(rows) == dict.fromkeys(("raced", "calm"), "failed")
    assert all(row.message.startswith(KEY_NOT_FOUND) for row in rows.values())
    held.nothing_is_open(run)


@pytest.mark.parametrize("took", [True, False])
def test_apply_reconciles_a_cancellation_that_was_interrupted(took: bool, run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.apply(plan)
    run.aws.fault("drop_after" if took else "drop_before", **_of("CancelKeyDeletion", run))
    run.aws.fault("deny", **_of("DescribeKey", run), skip=1, times=None)
    assert outcomes(run.cancel([KeyArn.parse(_arn(run))])) == {"raced": "failed"}
    run.aws.clear_faults()
    run.aws.advance(seconds=600)
    rows = run.apply(plan)
    assert outcomes(rows) == {"raced": "changed" if took else "scheduled", "calm": "scheduled"}
    assert run.state("Disabled") == ({"raced"} if took else set())
    held.nothing_is_open(run)
    held.scheduled_once(run)


def test_a_refusal_is_known_although_describe_key_does_not_answer(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.aws.fault("deny", **_of("ScheduleKeyDeletion", run))
    run.aws.fault("deny", **_of("DescribeKey", run), skip=1, times=None)
    assert outcomes(run.apply(plan)) == {"raced": "failed", "calm": "scheduled"}
    held.nothing_is_open(run)
    assert set(outcomes(run.cancel())) == {"calm"}


def test_what_cancel_does_afterwards_waits_until_the_key_shows_it(run: Stages) -> None:
    run.policy = state_only()
    run.apply(run.plan())
    run.aws.fault("stale", **_of("DescribeKey", run), skip=1, times=None)
    rows = run.cancel(protected_tag="keysweep:keep")
    assert outcomes(rows) == {"raced": "failed", "calm": "cancelled"}
    assert "TagResource not called: " in rows["raced"].message
    assert "PendingDeletion" in rows["raced"].message
    assert RUN_AGAIN in rows["raced"].message
    assert [line["key_arn"] for line in held.lines_of(run, "intent")].count(_arn(run)) == 2
    run.aws.clear_faults()
    assert outcomes(run.cancel(protected_tag="keysweep:keep"))["raced"] == "cancelled"
    assert all("keysweep:keep" in key["tags"] for key in run.aws.keys())


def test_what_cancel_could_not_do_afterwards_is_reported(run: Stages) -> None:
    run.policy = state_only()
    run.apply(run.plan())
    run.aws.fault("deny", **_of("DescribeKey", run), skip=1, times=None)
    rows = run.cancel(enable=True)
    assert outcomes(rows) == {"raced": "failed", "calm": "cancelled"}
    assert "EnableKey failed: DescribeKey " in rows["raced"].message
    assert RUN_AGAIN in rows["raced"].message
    assert run.state("Disabled") == {"raced"}


def test_cancel_waits_for_the_state_that_it_made(run: Stages) -> None:
    run.policy = state_only()
    plan = run.plan()
    run.apply(plan)
    run.aws.fault("stale", operation="DescribeKey", key=_arn(run), skip=1, times=1)
    rows = run.cancel(protected_tag="keysweep:keep", enable=True)
    assert outcomes(rows) == {"raced": "cancelled", "calm": "cancelled"}
    assert run.state("Enabled") == {"raced", "calm"}


def _planned_primary(run: Stages) -> tuple[str, Plan]:
    """A primary that has a replica, and a plan that schedules it all the same."""
    replica = {"state": "Disabled"}
    primary = {"name": "primary", "multi_region": True, "replicas": {"us-east-1": replica}, **DEAD}
    regions: dict[str, Any] = {"eu-west-1": {"keys": [primary]}, "us-east-1": {}}
    run.aws.reset({"accounts": {SHOP: {"regions": regions}}})
    run.policy = state_only(also=("replicas-remain",))
    arn = run.aws.key_arn(SHOP, "eu-west-1", "primary")
    return arn, run.plan([arn])


def test_a_lost_schedule_of_a_primary_that_waits_for_its_replicas_is_ours(run: Stages) -> None:
    arn, plan = _planned_primary(run)
    run.aws.fault("drop_after", operation="ScheduleKeyDeletion", key=arn)
    rows = run.apply(plan)
    assert outcomes(rows) == {"primary": "scheduled"}
    assert rows["primary"].deletion_date is None
    assert outcomes(run.cancel()) == {"primary": "cancelled"}
    assert run.aws.key(arn)["state"] == "Disabled"  # type: ignore[index]


def test_a_primary_whose_date_came_later_is_undone_too(run: Stages) -> None:
    arn, plan = _planned_primary(run)
    assert outcomes(run.apply(plan)) == {"primary": "scheduled"}
    assert run.aws.key(arn)["state"] == "PendingReplicaDeletion"  # type: ignore[index]
    far = run.kms("us-east-1")
    far.schedule_key_deletion(KeyId=arn.replace("eu-west-1", "us-east-1"), PendingWindowInDays=7)
    run.aws.advance(days=8)
    assert run.aws.key(arn)["state"] == "PendingDeletion"  # type: ignore[index]
    assert outcomes(run.cancel()) == {"primary": "cancelled"}
    assert run.aws.key(arn)["state"] == "Disabled"  # type: ignore[index]


def test_a_deletion_that_others_scheduled_again_for_a_primary_is_not_undone(run: Stages) -> None:
    primary = {"name": "primary", "multi_region": True, **DEAD}
    regions: dict[str, Any] = {"eu-west-1": {"keys": [primary]}, "us-east-1": {}}
    run.aws.reset({"accounts": {SHOP: {"regions": regions}}})
    run.policy = state_only()
    arn = run.aws.key_arn(SHOP, "eu-west-1", "primary")
    assert outcomes(run.apply(run.plan([arn]))) == {"primary": "scheduled"}
    kms = run.kms()
    kms.cancel_key_deletion(KeyId=arn)
    kms.enable_key(KeyId=arn)
    kms.replicate_key(KeyId=arn, ReplicaRegion="us-east-1")
    kms.disable_key(KeyId=arn)
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=30)
    assert run.aws.key(arn)["state"] == "PendingReplicaDeletion"  # type: ignore[index]
    assert outcomes(run.cancel()) == {"primary": "unchanged"}
    assert run.aws.key(arn)["state"] == "PendingReplicaDeletion"  # type: ignore[index]
