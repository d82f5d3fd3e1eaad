"""Everything that can go wrong, at every operation, in plan, apply, guard and cancel.

One flow for each kind of fault: plan under faults, a clean plan, apply under faults, apply again,
guard under faults, its cancellation under faults, cancel under faults, cancel again. Each fails
for keys of its own, so that it is seen in the same run that the other keys go on.
docs/reliability.md has what happens as tables, and each of their cells is compared here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stages as held
from botocore.exceptions import ClientError
from scenarios import DATA, DEAD, SHOP
from stages import (
    QUICK,
    REFERENCES,
    ROLE,
    Stages,
    few_references,
    outcomes,
    state_only,
    work_here,
)

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import guard as guard_stage
from keysweep.remediation import policy_file
from keysweep.remediation.aws import ClientSettings, select
from keysweep.remediation.errors import AccountUnavailable
from keysweep.remediation.models import KeyArn

LOGS = "777788889999"
DOCS = Path(__file__).parents[2] / "docs" / "reliability.md"

KEY_READS = (
    "DescribeKey",
    "ListResourceTags",
    "ListGrants",
    "GetKeyPolicy",
    "ListKeyRotations",
    "GetKeyLastUsage",
)
"""Of one key each; the key has the operation's name."""

PLACE_READS = {
    "ListAliases": "eu-west-2",
    "DescribeStackResources": "eu-west-3",
    "LookupEvents": "eu-central-1",
}
"""Of a whole account and Region, or of calls that name no key: each in a Region of its own."""

PLAN = {*KEY_READS, *PLACE_READS, "references"}
APPLY = {"DescribeKey", "ListResourceTags", "ListGrants", "GetKeyPolicy", *PLACE_READS}
APPLY |= {"GetKeyLastUsage", "references", "ScheduleKeyDeletion"}
GUARD = {"DescribeKey", "ListGrants", "GetKeyPolicy", "ListAliases", "LookupEvents"}
GUARD |= {"GetKeyLastUsage", "references"}
BOTH = "ScheduleKeyDeletion and DescribeKey"
CANCEL = {"DescribeKey", "CancelKeyDeletion", "TagResource", "EnableKey"}
BOTH_OF_CANCEL = "CancelKeyDeletion and DescribeKey"
SOUND = {"sound", "sound-2"}

REFUSED = ("throttle", "deny", "expire", "error_500")
"""AWS says that it did nothing, or that something is wrong with itself."""
LOST = ("drop_before", "hang_before")
"""The call never reached AWS."""
UNANSWERED = (
    *("drop_after", "hang_after"),
    *("truncate", "truncate_unsized", "truncate_valid_length"),
)
"""The call was carried out, and its answer came cut or not at all."""
KINDS = (*REFUSED, *LOST, *UNANSWERED)

SAMPLE = {"truncate", "deny", "drop_before"}
EVERY_KIND = [
    pytest.param(kind, marks=pytest.mark.sample if kind in SAMPLE else pytest.mark.slow)
    for kind in KINDS
]
"""One kind of each sort in `make test-sample`, all in `make test-faults`."""


@pytest.fixture
def run(own_server: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stages:
    names = {*KEY_READS, *CANCEL, "ScheduleKeyDeletion", BOTH, BOTH_OF_CANCEL, "sound"}
    regions: dict[str, Any] = {"eu-west-1": {"keys": [{"name": name, **DEAD} for name in names]}}
    for name, region in PLACE_READS.items():
        regions[region] = {"keys": [{"name": name, **DEAD}]}
    # A secret that names a key by an alias: without ListAliases it is unknown which one.
    secret = {"Name": "s", "KmsKeyId": "alias/some-key"}
    regions[PLACE_READS["ListAliases"]]["resources"] = [
        {"call": "secretsmanager.create_secret", "with": secret}
    ]
    queue = {"call": "sqs.create_queue", "with": {"QueueName": "q"}}
    own_server.reset(
        {
            "accounts": {
                SHOP: {"regions": regions},
                DATA: {
                    "regions": {"eu-west-1": {"keys": [{"name": "sound-2", **DEAD}]}},
                    "roles": [ROLE],
                },
                LOGS: {
                    "regions": {
                        "us-east-1": {
                            "keys": [{"name": "references", **DEAD}],
                            "resources": [queue],
                        }
                    },
                    "roles": [ROLE],
                },
            }
        }
    )
    work_here(monkeypatch, own_server)
    few_references(monkeypatch)
    return Stages(own_server, tmp_path, policy_file.load())


def _fail(run: Stages, kind: str, names: set[str]) -> None:
    """Make the operations fail on every call for the keys that are named for them."""

    def fault(operation: str, **where: Any) -> None:
        run.aws.fault(kind, operation=operation, times=None, seconds=30, **where)

    for name in names:
        if name == "references":
            for operation in (*REFERENCES.values(), "GetQueueAttributes"):
                fault(operation, account=LOGS)
        elif name in PLACE_READS:
            fault(name, region=PLACE_READS[name])
        else:
            arn = run.aws.key_arn(SHOP, "eu-west-1", name)
            for operation in name.split(" and "):
                fault(operation, key=arn)
    if kind.startswith("hang"):
        run.settings = ClientSettings(
            quota_share=100, connect_timeout=5, read_timeout=1, attempts=1
        )


def _clear(run: Stages) -> None:
    """All faults end, and some minutes pass."""
    run.aws.clear_faults()
    run.aws.advance(seconds=600)
    run.settings = QUICK


def _check(run: Stages, plan: Any) -> None:
    held.every_write_was_announced(run, plan)
    held.scheduled_once(run)
    held.undo_finds_everything(run)


def _documented(command: str, operation: str, kind: str) -> str:
    """What docs/reliability.md says of an operation in a command under a kind of fault."""
    column = next(n for n, kinds in enumerate((REFUSED, LOST, UNANSWERED)) if kind in kinds)
    text = DOCS.read_text(encoding="utf-8")
    table = text.partition(f"<!-- faults: {command} -->")[2].partition("<!-- end -->")[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == operation:
            return cells[1:][column]
    raise AssertionError(f"{DOCS} has no row for {operation} in {command}")


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_one_kind_of_fault_through_the_whole_loop(kind: str, run: Stages) -> None:
    every = run.state("Disabled")

    # --- plan ---
    _fail(run, kind, PLAN)
    under = run.plan()
    held.nothing_on_cut_evidence(run, under, every)
    verdicts = {name: item.verdict.value for name, item in run.items(under).items()}
    price_only = {"ListKeyRotations"}
    fine = every - PLAN | price_only
    assert verdicts == {**dict.fromkeys(PLAN, "hold"), **dict.fromkeys(fine, "schedule")}
    gaps = run.items(under)["references"].evidence.references
    assert {gap.service for gap in gaps.gaps} == set(REFERENCES), gaps
    for name in PLAN:
        documented = _documented("plan", name, kind)
        assert documented.split(",")[0] == verdicts[name]
        assert ("price" in documented) == (name in price_only)
    _clear(run)
    plan = run.plan()
    assert {item.verdict.value for item in plan.items} == {"schedule"}
    assert run.aws.calls(operation="ScheduleKeyDeletion") == []

    # --- apply, when the plan is older than an hour, so that all evidence is read again ---
    run.aws.advance(hours=2)
    _fail(run, kind, {*APPLY, BOTH})
    first = run.apply(plan)
    held.every_key_is_reported(first, every)
    _check(run, plan)
    expected = dict.fromkeys(every, "scheduled") | dict.fromkeys({*APPLY, BOTH}, "failed")
    if kind in UNANSWERED:
        expected["ScheduleKeyDeletion"] = "scheduled"
    assert outcomes(first) == expected
    _clear(run)
    again = run.apply(plan)
    assert outcomes(again) == dict.fromkeys(every, "scheduled")
    assert run.state("PendingDeletion") == every
    held.nothing_is_open(run)
    _check(run, plan)
    for name in {*APPLY, BOTH}:
        assert _documented("apply", name, kind) == _then(expected[name], "scheduled")

    # --- guard, and the cancellation for a key that an application tried to use ---
    assert {name for name, row in run.guard().items() if row.in_use or row.unreadable} == set()
    _fail(run, kind, GUARD)
    run.aws.fault(kind, operation="ListKeys", times=None, seconds=30)
    blind = run.guard()
    held.every_key_is_reported(blind, every)
    assert {name for name, row in blind.items() if row.unreadable} == GUARD
    assert {name for name, row in blind.items() if row.in_use} == set()
    for name in GUARD:
        assert _documented("guard", name, kind) == "reported"
    with pytest.raises(AccountUnavailable, match="kms:ListKeys"):
        guard_stage.pending_keys(run.collector(), ["eu-west-1"])
    assert _documented("guard", "ListKeys, of --all", kind) == "refused"
    assert run.state("PendingDeletion") == every, "looking changes nothing"
    _clear(run)
    _use(run, "sound")
    watched = run.guard()
    assert {name for name, row in watched.items() if row.in_use} == {"sound"}
    arn = run.aws.key_arn(SHOP, "eu-west-1", "sound")
    run.aws.fault(kind, operation="CancelKeyDeletion", key=arn, times=None, seconds=30)
    if kind.startswith("hang"):
        run.settings = ClientSettings(
            quota_share=100, connect_timeout=5, read_timeout=1, attempts=1
        )
    first = run.cancel_in_use(watched)
    _check(run, plan)
    expected = {"sound": "cancelled" if kind in UNANSWERED else "failed"}
    assert outcomes(first) == expected
    _clear(run)
    if kind not in UNANSWERED:
        assert outcomes(run.cancel_in_use(run.guard())) == {"sound": "cancelled"}
    assert run.state("Disabled") == {"sound"}
    assert {name for name, row in run.guard().items() if row.in_use or row.unreadable} == set()
    held.nothing_is_open(run)
    _check(run, plan)
    words = _then(expected["sound"], "cancelled")
    assert _documented("guard", "CancelKeyDeletion", kind) == words

    # --- cancel, which tags and enables too ---
    wishes = {"protected_tag": "keysweep:keep", "enable": True}
    _fail(run, kind, {*CANCEL, BOTH_OF_CANCEL})
    first = run.cancel(**wishes)
    rest = every - {"sound"}  # which guard has cancelled
    held.every_key_is_reported(first, rest)
    _check(run, plan)
    expected = dict.fromkeys(rest, "cancelled")
    expected |= dict.fromkeys({*CANCEL, BOTH_OF_CANCEL}, "failed")
    if kind in UNANSWERED:
        expected |= dict.fromkeys({"CancelKeyDeletion", "EnableKey"}, "cancelled")
    assert outcomes(first) == expected
    _clear(run)
    again = run.cancel(**wishes)
    left = {name for name, outcome in expected.items() if outcome == "failed"}
    assert outcomes(again) == dict.fromkeys(left, "cancelled")
    assert run.state("Enabled") == rest
    kept = {key["name"] for key in run.aws.keys() if "keysweep:keep" in key["tags"]}
    assert kept == rest
    held.nothing_is_open(run)
    _check(run, plan)
    for name in {*CANCEL, BOTH_OF_CANCEL}:
        assert _documented("cancel", name, kind) == _then(expected[name], "cancelled")


def _use(run: Stages, name: str) -> None:
    """An application tries to use a key that waits for its deletion."""
    with pytest.raises(ClientError, match="is pending deletion"):
        run.kms().encrypt(KeyId=run.arn(name), Plaintext=b"order")


def _then(first: str, then: str) -> str:
    return first if first == then else f"{first}, then {then}"


ENTRIES = {
    "AssumeRole": {"operation": "AssumeRole"},
    "GetCallerIdentity": {"operation": "GetCallerIdentity", "account": DATA},
    "GetCallerIdentity of the given credentials": {"operation": "GetCallerIdentity"},
}
"""What an account is entered with."""


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_accounts_that_cannot_be_entered_for_a_while(
    kind: str, run: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.policy = state_only()
    for name, where in ENTRIES.items():
        run.journal.unlink(missing_ok=True)
        (run.folder / "plan.json").unlink(missing_ok=True)
        run.aws.reset()
        arns = [
            run.aws.key_arn(SHOP, "eu-west-1", "sound"),
            run.aws.key_arn(DATA, "eu-west-1", "sound-2"),
        ]
        given = name.endswith("given credentials")
        hit = SOUND if given else {"sound-2"}

        def fault(where: dict[str, str] = where) -> None:
            run.aws.fault(kind, times=None, seconds=30, **where)
            if kind.startswith("hang"):
                run.settings = ClientSettings(quota_share=100, read_timeout=1, attempts=1)

        fault()
        if given:
            # As each command does first; below, the fault comes after that.
            with pytest.raises(AccountUnavailable) as stopped:
                select(run.collector().accounts, map(KeyArn.parse, arns))
            assert stopped.value.exit_code == 1
            with pytest.raises(AccountUnavailable):
                run.plan(arns)
            assert not (run.folder / "plan.json").exists()
        else:
            under = run.plan(arns)
            held.nothing_on_cut_evidence(run, under, SOUND)
            verdicts = {name: item.verdict.value for name, item in run.items(under).items()}
            assert verdicts == {n: "hold" if n in hit else "schedule" for n in SOUND}
        _clear(run)
        plan = run.plan(arns)
        fault()
        assert outcomes(run.apply(plan)) == {
            n: "failed" if n in hit else "scheduled" for n in SOUND
        }
        _check(run, plan)
        _clear(run)
        assert outcomes(run.apply(plan)) == dict.fromkeys(SOUND, "scheduled")
        fault()
        blind = run.guard()
        assert {name for name, row in blind.items() if row.unreadable} == hit
        assert {name for name, row in blind.items() if row.in_use} == set()
        assert _documented("guard", name, kind) == ("stops" if given else "reported")
        _clear(run)
        fault()
        assert outcomes(run.cancel()) == {n: "failed" if n in hit else "cancelled" for n in SOUND}
        _clear(run)
        assert outcomes(run.cancel()) == dict.fromkeys(hit, "cancelled")
        assert run.state("Disabled") >= SOUND
        held.nothing_is_open(run)
        for command, then in (("plan", "hold"), ("apply", "scheduled"), ("cancel", "cancelled")):
            first = "stops" if given else "failed"
            words = f"{first}, then {then}"
            if command == "plan":
                words = first if given else then
            assert _documented(command, name, kind) == words
