"""Uses of a key between the plan's evidence and the deletion: each is seen by apply or by guard."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from dead_key import changed
from scenarios import DEAD, SHOP, in_shop
from stages import Stages, few_references, lines_of, outcomes, work_here

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import policy_file
from keysweep.remediation.evidence.history.events import ALIAS_CHANGES, STATE_CHANGES
from keysweep.remediation.journal import read
from keysweep.remediation.models import UseAttempts
from keysweep.remediation.reread import with_earlier_attempts

DEAD_AT = datetime(2026, 11, 1, tzinfo=UTC)
MANY = {"name": "DescribeKey", "days_ago": 20, "by": "scanner", "count": 120}


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    work_here(monkeypatch, own_server)
    few_references(monkeypatch)
    keys = [{"name": name, "events": [MANY], **DEAD} for name in ("used", "calm")]
    own_server.reset(in_shop(*keys))
    return Stages(own_server, tmp_path, policy_file.load())


def use(run: Stages) -> None:
    """An application asks for a data key, and is refused."""
    with pytest.raises(ClientError) as refused:
        run.kms().generate_data_key(KeyId=run.arn("used"), KeySpec="AES_256")
    assert refused.value.response["Error"]["Code"] in {
        "DisabledException",
        "KMSInvalidStateException",
    }


def minutes(run: Stages, count: float) -> None:
    run.aws.advance(seconds=count * 60)


def in_use(run: Stages) -> dict[str, set[str]]:
    """The rules by which guard finds each key in use."""
    return {name: {sign.rule for sign in row.signs} for name, row in run.guard().items()}


def count_of(run: Stages, operation: str) -> int:
    """Number of calls about the key that is not in use."""
    calls = run.aws.calls(operation=operation)
    return sum(call["key"] == run.arn("calm") for call in calls)


@pytest.mark.parametrize("later", [1, 24])
def test_a_use_that_was_refused_after_the_plan_leaves_the_key_alone(
    later: int, run: Stages
) -> None:
    run.aws.delay_trail(minutes=15)
    plan = run.plan()
    assert {item.verdict.value for item in plan.items} == {"schedule"}
    minutes(run, 1)
    use(run)
    minutes(run, later + 14)
    rows = run.apply(plan)
    assert outcomes(rows) == {"used": "changed", "calm": "scheduled"}
    assert "use attempts" in rows["used"].message
    assert run.state("Disabled") == {"used"}


def test_a_use_before_the_plan_that_showed_after_it_leaves_the_key_alone(run: Stages) -> None:
    run.aws.delay_trail(minutes=15)
    use(run)
    minutes(run, 5)
    plan = run.plan()
    assert {item.verdict.value for item in plan.items} == {"schedule"}
    minutes(run, 11)
    assert outcomes(run.apply(plan)) == {"used": "changed", "calm": "scheduled"}


def test_a_use_that_apply_could_not_see_yet_is_found_by_guard(run: Stages) -> None:
    run.aws.delay_trail(minutes=15)
    plan = run.plan()
    minutes(run, 5)
    use(run)
    minutes(run, 5)
    assert outcomes(run.apply(plan)) == {"used": "scheduled", "calm": "scheduled"}
    assert in_use(run) == {"used": set(), "calm": set()}
    minutes(run, 15)
    assert in_use(run) == {"used": {"use-attempted"}, "calm": set()}
    assert outcomes(run.cancel_in_use(run.guard())) == {"used": "cancelled"}


def test_the_journal_has_the_time_from_which_uses_may_be_unseen(run: Stages) -> None:
    plan = run.plan()
    minutes(run, 5)
    run.apply(plan)
    for record in run.history().keys.values():
        assert record.scheduled is not None
        start = record.scheduled.watch_use_from
        assert start == record.watch_use_from
        assert start is not None
        late = timedelta(minutes=61)
        assert timedelta(minutes=60) <= record.scheduled.time - start < late


def test_in_an_older_journal_it_is_an_hour_before_the_intent(run: Stages) -> None:
    run.apply(run.plan())
    lines = [json.loads(line) for line in run.journal.read_text().splitlines()]
    older = [{n: v for n, v in line.items() if n != "watch_use_from"} for line in lines]
    run.journal.write_text("".join(json.dumps(line) + "\n" for line in older))
    for record in read([run.journal]).keys.values():
        assert record.scheduled is not None
        assert record.watch_use_from == record.scheduled.time - timedelta(minutes=60)


def test_the_evidence_that_apply_reads_again(run: Stages) -> None:
    """Of each key one page of CloudTrail, however long its history; references from 15 minutes."""
    plan = run.plan()
    run.aws.clear_calls()
    run.apply(plan)
    events, listings = _by_key(run), run.aws.calls(operation="ListSecrets")
    assert (events, count_of(run, "GetKeyLastUsage"), listings) == (2, 1, [])
    run.cancel()
    run.journal.unlink()
    minutes(run, 15)
    run.aws.clear_calls()
    run.apply(plan)
    assert run.aws.calls(operation="ListSecrets") != []


def test_a_run_of_one_region_reads_nothing_again_of_another(run: Stages) -> None:
    regions = {
        region: {"keys": [{"name": region, **DEAD}]} for region in ("eu-west-1", "us-east-1")
    }
    run.aws.reset({"accounts": {SHOP: {"regions": regions}}})
    plan = run.plan()
    run.access = replace(run.access, regions=frozenset({"us-east-1"}))
    run.aws.clear_calls()
    assert outcomes(run.apply(plan)) == {"us-east-1": "scheduled"}
    read_again = {call["key"] for call in run.aws.calls(operation="GetKeyLastUsage")}
    assert read_again == {run.aws.key_arn(SHOP, "us-east-1", "us-east-1")}


def _by_key(run: Stages) -> int:
    """LookupEvents besides those by the names of events, once in the account and Region."""
    names = (*STATE_CHANGES, *ALIAS_CHANGES)
    return len(run.aws.calls(operation="LookupEvents")) - len(names)


def test_what_cannot_be_read_again_schedules_nothing(run: Stages) -> None:
    plan = run.plan()
    fault: dict[str, Any] = {"operation": "GetKeyLastUsage", "key": run.arn("used"), "times": None}
    run.aws.fault("deny", **fault)
    assert outcomes(run.apply(plan)) == {"used": "failed", "calm": "scheduled"}
    assert {line["key_arn"] for line in lines_of(run, "intent")} == {run.arn("calm")}


@pytest.mark.parametrize(("begins", "since"), [(-1, "old"), (0, "old"), (1, "new")])
def test_a_history_that_begins_late_does_not_borrow_the_plans(begins: int, since: str) -> None:
    start = DEAD_AT - timedelta(days=1)
    old = UseAttempts(since=DEAD_AT - timedelta(days=90))
    new = UseAttempts(since=start + timedelta(seconds=begins))
    before, again = (changed(use_attempts=one) for one in (old, new))
    joined = with_earlier_attempts(again, before, start)
    assert joined.use_attempts == {"old": old, "new": new}[since]
