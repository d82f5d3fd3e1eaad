"""The watch over the waiting period: attempts to use a key, and the cancelled deletion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from dead_key import ARN, NOW, changed, decision_on, event, gap_of, plan_item, plan_of
from lifted_rules import lift
from stages import Stages, few_references

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.access import Access
from keysweep.remediation.cancel import Batch
from keysweep.remediation.evidence import Collector
from keysweep.remediation.guard import (
    GUARD_PIECES,
    GuardRow,
    pending_keys,
    to_cancel,
    watch,
)
from keysweep.remediation.journal import History, IntentLine, Journal, KeyRecord, OutcomeLine
from keysweep.remediation.lifecycle import CANCELLED_ELSEWHERE
from keysweep.remediation.models import (
    AliasMove,
    Evidence,
    Grant,
    KeyArn,
    KeyResult,
    LastUse,
    Outcome,
    Reference,
    References,
    Unreadable,
    UseAttempt,
    UseAttempts,
)
from keysweep.remediation.plan import Plan
from keysweep.remediation.policy import Policy, policies_folder
from keysweep.remediation.report.key_rows import guard_row
from keysweep.remediation.report.tables import guard_summary

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
NO_ATTEMPT_FOUND = "no attempt found"


# --- as processes ------------------------------------------------------------------------------


def kms(aws: EmbeddedAws, region: str = "eu-west-1") -> Any:
    return boto3.client("kms", **aws.client_arguments(SHOP, region))


def use(aws: EmbeddedAws, arn: str) -> None:
    """An application tries to encrypt with the key, and is refused."""
    with pytest.raises(ClientError) as refused:
        kms(aws).encrypt(KeyId=arn, Plaintext=b"order")
    assert "pending deletion" in str(refused.value)


def rows(done: Any) -> dict[str, Any]:
    """The lines of `--format json`, by ARN."""
    return {row["key_arn"]: row for row in map(json.loads, done.out.splitlines())}


@pytest.fixture
def waiting(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any], state_only: Path
) -> Callable[..., Any]:
    """The plan is applied; runs guard under the policy that the plan was made with."""
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0

    def guard(*arguments: str) -> Any:
        return keysweep("guard", *arguments, "--policy", state_only, *ROLE)

    return guard


def test_a_key_that_an_application_tries_to_use_on_day_12_is_found_and_restored(
    aws: EmbeddedAws, waiting: Callable[..., Any], tmp_path: Path
) -> None:
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-2")
    aws.advance(days=12)
    quiet = waiting()
    assert quiet.code == 0
    assert quiet.out.startswith(f"5 keys checked: {NO_ATTEMPT_FOUND}")

    use(aws, arn)
    found = waiting("--format", "json")
    assert found.code == 1
    assert {key for key, row in rows(found).items() if row["in_use"]} == {arn}
    (sign,) = rows(found)[arn]["signs"]
    assert sign["rule"] == "use-attempted"
    assert "Encrypt" in sign["message"]
    assert "KMSInvalidStateException" in sign["message"]
    assert aws.key(arn)["state"] == "PendingDeletion", "only --cancel changes anything"

    others = {key["arn"] for key in aws.keys(state="PendingDeletion")} - {arn}
    refused = waiting("--cancel", "--format", "json")
    assert (refused.code, rows(refused)[arn]["in_use"]) == (2, True)
    with Journal(tmp_path / "keysweep-journal.jsonl"):
        locked = waiting("--cancel", "--yes", "--format", "json")
    assert (locked.code, rows(locked)[arn]["in_use"]) == (3, True)
    assert aws.key(arn)["state"] == "PendingDeletion"
    restored = waiting("--cancel", "--keep", "--yes", "--format", "json")
    assert restored.code == 1, "a person should hear of it"
    assert rows(restored)[arn]["cancellation"]["outcome"] == "cancelled"
    assert aws.key(arn)["state"] == "Disabled"
    assert set(aws.key(arn)["tags"]) == {"keysweep:keep"}
    assert {key["arn"] for key in aws.keys(state="PendingDeletion")} == others

    journal = (tmp_path / "keysweep-journal.jsonl").read_text().splitlines()
    assert [line["command"] for line in map(json.loads, journal) if line["line"] == "run"] == [
        *("apply", "guard"),
    ]
    looks = [line for line in map(json.loads, journal) if line["line"] == "look"]
    assert [arn in line["keys"] for line in looks] == [True] * 4, (
        "also those that cancelled nothing"
    )
    quiet = waiting()
    assert quiet.code == 0
    assert quiet.out.startswith("4 keys checked: "), "what is restored is no longer watched"


def test_a_locked_journal_holds_up_no_key_of_another(
    aws: EmbeddedAws,
    planned: Path,
    keysweep: Callable[..., Any],
    state_only: Path,
    tmp_path: Path,
) -> None:
    used = {}
    for region, name in (("eu-west-1", "dead-2"), ("us-east-1", "dead-far")):
        journal = tmp_path / f"{region}.jsonl"
        applied = keysweep(
            *("apply", planned, "--region", region, "--journal", journal, "--yes", *ROLE)
        )
        assert applied.code == 0
        used[region] = aws.key_arn(SHOP, region, name)
        with pytest.raises(ClientError):
            kms(aws, region).encrypt(KeyId=used[region], Plaintext=b"order")
    paths = [tmp_path / f"{region}.jsonl" for region in used]
    journals = [word for path in paths for word in ("--journal", path)]
    with Journal(paths[0]):
        done = keysweep(
            *("guard", *journals, "--policy", state_only, "--cancel", "--yes", *ROLE),
            *("--format", "json"),
        )
    assert done.code == 1
    assert paths[0].name in done.err
    assert {key for key, row in rows(done).items() if row["in_use"]} == {*used.values()}
    restored = {key for key, row in rows(done).items() if row["cancellation"]}
    assert restored == {used["us-east-1"]}
    assert aws.key(used["us-east-1"])["state"] == "Disabled"
    assert aws.key(used["eu-west-1"])["state"] == "PendingDeletion"


def test_without_keys_their_state_is_not_reported() -> None:
    restored = GuardRow(key_arn=ARN, state="Disabled")
    assert guard_summary(()) != guard_summary([restored])


@pytest.mark.parametrize(
    ("outcome", "pending"), [(Outcome.CANCELLED, False), (Outcome.FAILED, True)]
)
def test_a_restored_key_is_not_shown_as_pending(outcome: Outcome, pending: bool) -> None:
    done = KeyResult(key_arn=ARN, outcome=outcome)
    seen = GuardRow(key_arn=ARN, state="PendingDeletion", deletion_date=NOW, days_left=18)
    row = guard_row(seen.model_copy(update={"cancellation": done}))
    assert (row.state == "PendingDeletion", row.deletion_date == NOW) == (pending, pending)
    assert row.why[0][0] == outcome.value


def test_it_never_says_unused(aws: EmbeddedAws, waiting: Callable[..., Any]) -> None:
    done = waiting("--format", "json")
    assert done.code == 0
    assert {row["use"] for row in rows(done).values()} == {"no attempt seen (weak)"}
    assert "unused" not in done.out


def test_a_use_well_before_apply_is_no_sign(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any], state_only: Path
) -> None:
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    with pytest.raises(ClientError):
        kms(aws).encrypt(KeyId=arn, Plaintext=b"order")
    aws.advance(hours=2)
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    done = keysweep("guard", "--policy", state_only, *ROLE, "--format", "json")
    assert done.code == 0, done.out
    assert rows(done)[arn]["use"] == "no attempt seen (weak)"


def test_what_others_did_to_the_deletion_is_reported(
    aws: EmbeddedAws, waiting: Callable[..., Any]
) -> None:
    gone, moved = (aws.key_arn(SHOP, "eu-west-1", name) for name in ("dead-1", "dead-3"))
    aws.advance(days=2)
    for arn in (gone, moved):
        kms(aws).cancel_key_deletion(KeyId=arn)
    kms(aws).schedule_key_deletion(KeyId=moved, PendingWindowInDays=7)
    done = waiting("--format", "json")
    assert done.code == 1
    assert rows(done)[gone]["in_use"] is False
    (note,) = rows(done)[gone]["notes"]
    assert "user/operator on" in note
    assert [sign["rule"] for sign in rows(done)[moved]["signs"]] == ["restored"]
    (note,) = rows(done)[moved]["notes"]
    assert len(re.findall(r"\d{4}-\d\d-\d\d", note)) == 2


def test_a_deletion_that_another_user_scheduled_again_is_reported_and_left_alone(
    aws: EmbeddedAws, waiting: Callable[..., Any], keysweep: Callable[..., Any]
) -> None:
    moved, used = (aws.key_arn(SHOP, "eu-west-1", name) for name in ("dead-3", "dead-1"))
    aws.advance(days=2)
    kms(aws).cancel_key_deletion(KeyId=moved)
    kms(aws).schedule_key_deletion(KeyId=moved, PendingWindowInDays=7)
    use(aws, moved)
    use(aws, used)
    before = {key["arn"] for key in aws.keys(state="PendingDeletion")}
    done = waiting("--cancel", "--yes", "--format", "json")
    assert done.code == 1
    assert {sign["rule"] for sign in rows(done)[moved]["signs"]} == {"restored", "use-attempted"}
    cancellation = rows(done)[moved]["cancellation"]
    assert cancellation["outcome"] == "unchanged"
    assert "--key" in cancellation["message"]
    assert rows(done)[used]["cancellation"]["outcome"] == "cancelled"
    assert {key["arn"] for key in aws.keys(state="PendingDeletion")} == before - {used}
    by_hand = keysweep("cancel", "--key", moved, "--yes", *ROLE)
    assert by_hand.code == 0
    assert aws.key(moved)["state"] == "Disabled"


def test_all_looks_into_the_accounts_named_through_their_role(
    aws: EmbeddedAws, waiting: Callable[..., Any]
) -> None:
    other = aws.key_arn(DATA, "eu-west-1", "dead-other")
    by_hand = aws.key_arn(SHOP, "eu-west-1", "pending")
    alias = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    client: Any = boto3.client("kms", **aws.client_arguments(DATA, "eu-west-1"))
    with pytest.raises(ClientError, match="is pending deletion"):
        client.encrypt(KeyId=other, Plaintext=b"order")
    use(aws, by_hand)
    kms(aws).delete_alias(AliasName="alias/dead-1")
    accounts = ("--account", SHOP, "--account", DATA)
    every = ("--all", *accounts, "--region", "eu-west-1", "--plan", "plan.json")
    done = waiting(*every, "--cancel", "--yes", "--format", "json")
    assert done.code == 1, done.err
    pending = {key["arn"] for key in aws.keys(state="PendingDeletion")}
    signs = {key: {s["rule"] for s in row["signs"]} for key, row in rows(done).items()}
    assert {key: rules for key, rules in signs.items() if rules} == {
        other: {"use-attempted"},
        by_hand: {"use-attempted"},
        alias: {"changed"},
    }
    assert {
        key: row["cancellation"]["outcome"] for key, row in rows(done).items() if signs[key]
    } == (dict.fromkeys((other, by_hand, alias), "cancelled"))
    assert set(rows(done)) == pending | {other, by_hand, alias}


def test_all_sees_a_resource_that_names_a_key_by_its_alias(
    scenario: Callable[..., EmbeddedAws], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pending = {"state": "PendingDeletion", "scheduled_days_ago": 3, "window_days": 30}
    secret = {"Name": "s", "KmsKeyId": "alias/orders"}
    region = {
        "keys": [
            {"name": "named", "aliases": ["alias/orders"], **pending},
            {"name": "quiet", "aliases": ["alias/other"], **pending},
        ],
        "resources": [{"call": "secretsmanager.create_secret", "with": secret}],
    }
    aws = scenario({SHOP: {"regions": {"eu-west-1": region}}})
    for name, value in aws.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    few_references(monkeypatch)
    collector = Stages(aws, tmp_path, Policy()).collector()
    keys = pending_keys(collector, ["eu-west-1"])
    found = watch(History({}), keys, collector, Policy())
    assert {row.key_arn: {sign.rule for sign in row.signs} for row in found} == {
        KeyArn.parse(aws.key_arn(SHOP, "eu-west-1", "named")): {"in-use"},
        KeyArn.parse(aws.key_arn(SHOP, "eu-west-1", "quiet")): set(),
    }


def test_a_deletion_that_is_near_is_reported(aws: EmbeddedAws, waiting: Callable[..., Any]) -> None:
    aws.advance(days=26)
    assert waiting().out.startswith(f"5 keys checked: {NO_ATTEMPT_FOUND}")
    done = waiting("--days", "5", "--format", "json")
    assert done.code == 0
    assert all("UTC" in row["notes"][0] for row in rows(done).values())
    assert "UTC" in waiting("--days", "5").out


def test_what_is_gone_is_reported_and_needs_no_fix(
    aws: EmbeddedAws, waiting: Callable[..., Any]
) -> None:
    keys = {key["arn"] for key in aws.keys(state="PendingDeletion")} - {
        aws.key_arn(SHOP, "eu-west-1", "pending")
    }
    aws.advance(days=31)
    done = waiting("--format", "json")
    assert done.code == 0
    assert {key: row["state"] for key, row in rows(done).items()} == dict.fromkeys(keys, "deleted")


def test_all_reports_keys_that_it_cannot_describe(
    scenario: Callable[..., EmbeddedAws], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pending = {"state": "PendingDeletion", "scheduled_days_ago": 3, "window_days": 30}
    keys = [{"name": "dark", **pending}, {"name": "seen", **pending}, {"name": "alive"}]
    aws = scenario({SHOP: {"regions": {"eu-west-1": {"keys": keys}}}})
    for name, value in aws.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    few_references(monkeypatch)
    dark, seen = (KeyArn.parse(aws.key_arn(SHOP, "eu-west-1", name)) for name in ("dark", "seen"))
    aws.fault("deny", operation="DescribeKey", key=str(dark), times=None)
    collector = Stages(aws, tmp_path, Policy()).collector()
    found = watch(History({}), pending_keys(collector, ["eu-west-1"]), collector, Policy())
    assert {row.key_arn: row.state for row in found} == {dark: "unknown", seen: "PendingDeletion"}
    assert {row.key_arn: bool(row.unreadable) for row in found} == {dark: True, seen: False}


def test_an_alias_that_moved_since_the_plan_is_a_sign(
    aws: EmbeddedAws, waiting: Callable[..., Any]
) -> None:
    kms(aws).update_alias(
        AliasName="alias/dead-1", TargetKeyId=aws.key_arn(SHOP, "eu-west-1", "alive")
    )
    done = waiting("--plan", "plan.json", "--format", "json")
    assert done.code == 1
    in_use = {
        key: {sign["rule"] for sign in row["signs"]}
        for key, row in rows(done).items()
        if row["in_use"]
    }
    arn = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    assert in_use == {arn: {"alias-moved", "changed"}}


def test_what_cannot_be_read_is_neither_a_sign_nor_a_pass(
    aws: EmbeddedAws, waiting: Callable[..., Any]
) -> None:
    before = {key["arn"] for key in aws.keys(state="PendingDeletion")}
    aws.fault("deny", service="cloudtrail", account=SHOP, region="eu-west-1", times=None)
    done = waiting("--cancel", "--yes", "--format", "json")
    assert done.code == 1
    blind = {key for key, row in rows(done).items() if row["unreadable"]}
    assert blind == {aws.key_arn(SHOP, "eu-west-1", f"dead-{n}") for n in (1, 2, 3)}
    assert not any(row["in_use"] for row in rows(done).values())
    assert {key["arn"] for key in aws.keys(state="PendingDeletion")} == before


def test_every_pending_key_is_watched_with_the_generated_permissions_alone(
    scenario: Callable[..., EmbeddedAws], keysweep: Callable[..., Any], state_only: Path
) -> None:
    guard = json.loads((policies_folder() / "iam" / "guard.json").read_text(encoding="utf-8"))
    pending = {"state": "PendingDeletion", "scheduled_days_ago": 3, "window_days": 30}
    aws = scenario(
        {
            SHOP: {
                "regions": {
                    "eu-west-1": {
                        "keys": [
                            {"name": "by-hand", **pending},
                            {"name": "quiet", **pending},
                            {"name": "alive"},
                        ]
                    }
                },
                "policies": [
                    guard,
                    {"Statement": [{"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}]},
                ],
            }
        }
    )
    arn = aws.key_arn(SHOP, "eu-west-1", "by-hand")
    use(aws, arn)
    watching = ("--all", "--region", "eu-west-1", "--policy", state_only, "--format", "json")
    found = keysweep("guard", *watching)
    assert set(rows(found)) == {arn, aws.key_arn(SHOP, "eu-west-1", "quiet")}
    assert {key: row["unreadable"] for key, row in rows(found).items() if row["unreadable"]} == {}
    assert {key for key, row in rows(found).items() if row["in_use"]} == {arn}
    done = keysweep("guard", *watching, "--cancel", "--keep", "--yes")
    assert rows(done)[arn]["cancellation"]["outcome"] == "cancelled"
    assert {key["name"] for key in aws.keys(state="PendingDeletion")} == {"quiet"}


def test_a_region_that_cannot_be_listed_is_refused(
    aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    aws.fault("deny", operation="ListKeys", times=None)
    done = keysweep("guard", "--all", "--region", "eu-west-1")
    assert done.code == 1
    assert "kms:ListKeys" in done.err
    assert "kms:ListKeys" in done.err


def test_options_that_do_nothing_are_refused(keysweep: Callable[..., Any]) -> None:
    assert keysweep("guard", "--region", "eu-west-1").code == 2
    assert keysweep("guard", "--keep").code == 2


def test_each_check_is_a_journal_line_with_what_could_be_read(
    aws: EmbeddedAws, waiting: Callable[..., Any], tmp_path: Path
) -> None:
    aws.advance(days=1)
    aws.fault("deny", service="cloudtrail", account=SHOP, region="eu-west-1", times=None)
    done = waiting("--format", "json")
    assert done.code == 1
    (look,) = [
        line
        for line in map(json.loads, (tmp_path / "keysweep-journal.jsonl").open(encoding="utf-8"))
        if line["line"] == "look"
    ]
    read = {
        aws.key_arn(SHOP, "us-east-1", "dead-far"),
        aws.key_arn(DATA, "eu-west-1", "dead-other"),
    }
    assert set(look["keys"]) == read
    assert {key for key, row in rows(done).items() if row["checked_until"]} == read
    assert {rows(done)[key]["checked_until"] for key in read} == {look["until"]}
    delay = datetime.fromisoformat(look["time"]) - datetime.fromisoformat(look["until"])
    assert timedelta(minutes=15) <= delay < timedelta(minutes=17)
    assert re.findall(r"[0-9]+ keys", done.err) == ["2 keys", "3 keys"]


@pytest.mark.parametrize("why", ["a link", "locked"])
def test_a_check_that_cannot_be_recorded_counts_and_is_reported(
    why: str, aws: EmbeddedAws, waiting: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "keysweep-journal.jsonl"
    before = path.read_bytes()
    with ExitStack() as held:
        if why == "locked":
            held.enter_context(Journal(path))
        else:
            path.rename(tmp_path / "real.jsonl")
            path.symlink_to("real.jsonl")
        done = waiting()
    assert done.code == 0
    assert done.out.startswith("5 keys checked: ")
    assert str(path.name) in done.err
    assert "status" in done.err
    assert path.read_bytes() == before


# --- by evidence -------------------------------------------------------------------------------

SCHEDULED = NOW - timedelta(days=12)
PENDING = changed(
    description={"key_state": "PendingDeletion", "deletion_date": SCHEDULED + timedelta(days=30)}
)


def history() -> History:
    """A journal that scheduled the key twelve days ago."""
    intent = IntentLine(
        run="r", id="i", time=SCHEDULED, operation="ScheduleKeyDeletion", key_arn=ARN
    )
    outcome = OutcomeLine(
        run="r",
        id="i",
        time=SCHEDULED,
        operation="ScheduleKeyDeletion",
        key_arn=ARN,
        outcome=Outcome.SCHEDULED,
        deletion_date=SCHEDULED + timedelta(days=30),
    )
    return History({ARN: KeyRecord(ARN, scheduled=intent, scheduled_outcome=outcome)})


def watched(
    now: Evidence,
    policy: Policy | None = None,
    plan: Plan | None = None,
    journal: History | None = None,
) -> GuardRow:
    """The row of the key, when this is what the sources read."""

    def collect(keys: list[KeyArn], wanted: Callable[[Evidence], frozenset[str]]) -> Any:
        (evidence,) = [Evidence(key_arn=arn) for arn in keys]
        while pieces := wanted(evidence):
            evidence = evidence.model_copy(update={p: getattr(now, p) for p in pieces})
        return {ARN: evidence}

    clock = SimpleNamespace(now=lambda: NOW, elapsed=lambda: 0.0)
    accounts = SimpleNamespace(clock=clock, access=Access())
    collector = cast(Collector, SimpleNamespace(collect=collect, accounts=accounts))
    known = history() if journal is None else journal
    (row,) = watch(known, [ARN], collector, policy or Policy(), plan=plan)
    return row


def pending(**pieces: object) -> Evidence:
    """The pending key with other evidence."""
    return PENDING.model_copy(update=pieces)


VOLUME = Reference(service="ec2", resource="vol-1", region="eu-west-1", field="KmsKeyId")
GRANT = Grant(grant_id="g", grantee_principal=f"arn:aws:iam::{ARN.account_id}:role/app")


def attempt(days: float, error: str | None = None) -> UseAttempts:
    one = UseAttempt(event="Decrypt", time=NOW - timedelta(days=days), who="app", error=error)
    return UseAttempts(since=NOW - timedelta(days=90), attempts=(one,))


def moved(days: float, part: str = "moved", alias: str = "alias/shop") -> object:
    one = AliasMove(alias=alias, key_id="new", time=NOW - timedelta(days=days))
    return changed(alias_moves={part: (one,)}).alias_moves


def cancelled(days: float) -> object:
    return changed(history={"cancellations": (event("CancelKeyDeletion", days),)}).history


@pytest.mark.parametrize(
    ("pieces", "rule"),
    [
        ({"use_attempts": attempt(1, "KMSInvalidStateException")}, "use-attempted"),
        ({"use_attempts": attempt(1)}, "use-attempted"),
        ({"last_use": LastUse(used=NOW - timedelta(days=1), tracking_start=NOW)}, "used-recently"),
        ({"references": References(found=(VOLUME,), services=50)}, "in-use"),
        ({"grants": (GRANT,)}, "active-grant"),
        (
            {"key_policy": changed(key_policy={"outside": ("999988887777",)}).key_policy},
            "shared-outside",
        ),
        (
            {
                "history": changed(
                    history={"cancellations": (event("CancelKeyDeletion", 1),)}
                ).history
            },
            "restored",
        ),
        ({"alias_moves": moved(1)}, "alias-moved"),
        ({"alias_moves": moved(1, "possible")}, "alias-moved"),
    ],
)
def test_each_sign_holds_the_key(pieces: dict[str, object], rule: str) -> None:
    row = watched(pending(**pieces))
    assert row.in_use
    assert {sign.rule for sign in row.signs} == {rule}
    assert row.unreadable == ()


def test_attempts_are_counted_in_words() -> None:
    refused, allowed = attempt(1, "KMSInvalidStateException"), attempt(2)
    both = refused.model_copy(update={"attempts": refused.attempts + allowed.attempts})
    assert watched(pending(use_attempts=refused)).use == "1 attempt, all refused"
    assert watched(pending(use_attempts=both)).use == "2 attempts, 1 refused"
    cut = allowed.model_copy(update={"all_read": False})
    assert watched(pending(use_attempts=cut)).use == "at least 1 attempt, 0 refused"


@pytest.mark.parametrize(
    "pieces",
    [
        {},
        {"use_attempts": attempt(13, "DisabledException")},
        {"last_use": LastUse(used=NOW - timedelta(days=13), tracking_start=NOW)},
        {"history": cancelled(13)},
        {"alias_moves": moved(13)},
        {"alias_moves": moved(13, "possible")},
    ],
)
def test_signs_from_before_the_waiting_period_do_not_count_again(pieces: dict[str, object]) -> None:
    row = watched(pending(**pieces))
    assert (row.in_use, row.signs, row.unreadable) == (False, (), ())
    assert row.use == "no attempt seen (weak)"


@pytest.mark.parametrize("piece", sorted(GUARD_PIECES - {"aliases"}))
def test_a_piece_that_cannot_be_read_is_shown(piece: str) -> None:
    row = watched(pending(**{piece: Unreadable(unreadable="denied")}))
    assert not row.in_use
    assert row.unreadable
    assert all("denied" in one.message for one in row.unreadable)


@pytest.mark.parametrize(("days", "signs"), [(29, {"use-attempted"}), (31, set())])
def test_a_primary_that_waits_for_its_replicas_is_watched_for_thirty_days(
    days: int, signs: set[str]
) -> None:
    """It has no date yet, and with --all no journal need tell when its deletion was asked for."""
    description = changed(description={"key_state": "PendingReplicaDeletion"}).description
    row = watched(pending(description=description, use_attempts=attempt(days)), journal=History({}))
    assert {sign.rule for sign in row.signs} == signs
    assert (row.state, row.deletion_date, row.days_left) == ("PendingReplicaDeletion", None, None)


@pytest.mark.parametrize(
    ("history", "who"),
    [
        (cancelled(1), " by alice on 2026-10-31"),
        (cancelled(13), ""),
        (Unreadable(unreadable="denied"), ": denied"),
    ],
)
def test_who_cancelled_is_named_as_far_as_it_could_be_read(history: object, who: str) -> None:
    row = watched(changed(history=history))
    assert (row.state, row.in_use) == ("Disabled", False)
    (note,) = row.notes
    assert note.startswith(CANCELLED_ELSEWHERE)
    assert note.endswith(who)
    assert (note == CANCELLED_ELSEWHERE) == (who == "")


def test_a_gap_is_reported_until_the_policy_excepts_it() -> None:
    gap = gap_of(service="fsx", region="eu-west-1", why="denied")
    blind = pending(references=References(gaps=(gap,), services=50))
    row = watched(blind)
    assert not row.in_use
    assert [one.rule for one in row.unreadable] == ["in-use"]
    accepted = Policy.model_validate({"coverage_exceptions": [decision_on(gap)]})
    assert watched(blind, accepted).unreadable == ()


def exception_for(rule: str) -> Policy:
    return Policy.model_validate({"exceptions": [lift(rule)]})


def test_an_exception_lifts_what_lasts_and_never_what_happens() -> None:
    assert not watched(pending(grants=(GRANT,)), exception_for("active-grant")).in_use
    assert watched(pending(use_attempts=attempt(1)), exception_for("use-attempted")).in_use


def test_every_difference_from_the_plan_is_a_sign() -> None:
    plan = plan_of(plan_item())
    assert not watched(PENDING, plan=plan).in_use
    gap = gap_of(service="fsx", region="eu-west-1", why="denied")
    blind = watched(pending(references=References(gaps=(gap,), services=50)), plan=plan)
    assert (blind.in_use, {one.rule for one in blind.unreadable}) == (False, {"in-use"})
    # With the plan it is known which aliases the key had.
    assert not watched(pending(alias_moves=moved(1, "possible")), plan=plan).in_use
    own = moved(1, "possible", "alias/old-shop")
    assert watched(pending(alias_moves=own), plan=plan).in_use
    lifted = exception_for("active-grant")
    row = watched(pending(grants=(GRANT,), aliases=()), lifted, plan)
    assert {sign.rule for sign in row.signs} == {"changed"}
    assert {sign.message.split(": ")[1] for sign in row.signs} == {"aliases", "grants"}


def test_what_follows_a_cancellation_is_left_out_with_its_key() -> None:
    path, tag = Path("a.jsonl"), frozenset({"TagResource"})
    record = KeyRecord(ARN, follow_ups=tag)
    history = History({ARN: record})
    row = GuardRow(key_arn=ARN, state="Disabled")
    (batch,) = to_cancel([row], history, {path: [ARN]}, tag, path)
    assert batch.keys == [ARN]
    assert to_cancel([], history, {path: [ARN]}, tag, path) == ()


@pytest.mark.parametrize(("state", "chosen"), [("Disabled", True), ("PendingDeletion", False)])
def test_a_cancellation_without_an_outcome_is_finished(state: str, chosen: bool) -> None:
    path, other = Path("a.jsonl"), KeyArn.parse(str(ARN).replace("eu-west", "us-east"))
    opened = [
        IntentLine(id="1", run="1", time=NOW, operation="CancelKeyDeletion", key_arn=arn)
        for arn in (ARN, other)
    ]
    history = History({one.key_arn: KeyRecord(one.key_arn, open=(one,)) for one in opened})
    rows = [GuardRow(key_arn=one.key_arn, state=state) for one in opened]
    batches = to_cancel(rows, history, {path: [ARN]}, frozenset(), path)
    assert batches == ((Batch(path, [ARN], True), Batch(path, [other], True)) if chosen else ())
