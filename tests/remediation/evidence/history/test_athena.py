"""A trail's log files in Athena: the very SQL on gzip files, beside the event history."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dead_key import ACCOUNT, DEAD, changed
from scenarios import DEAD as DEAD_KEY

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Accounts, ClientSettings
from keysweep.remediation.errors import AccountUnavailable, BadInput
from keysweep.remediation.evidence import SOURCES, Collector
from keysweep.remediation.evidence.history import athena, athena_sql
from keysweep.remediation.evidence.history.athena import PIECES, AthenaHistory
from keysweep.remediation.models import Evidence, KeyArn, Unreadable
from keysweep.remediation.policy import Policy
from keysweep.remediation.rules import evaluate

OTHER = "444455556666"
FAST = ClientSettings(quota_share=100)
NAME = "athena:history/audit.trail"
DAYS = 95

Read = Callable[..., dict[str, Evidence]]


def event(name: str, days_ago: float, **more: object) -> dict[str, Any]:
    return {"name": name, "days_ago": days_ago, **more}


@pytest.fixture
def aws(scenario: Callable[[Mapping[str, Any]], EmbeddedAws], monkeypatch: pytest.MonkeyPatch):
    """Begin with keys in eu-west-1 of one account, and a table there over both accounts' trail."""

    def begin(*keys: Mapping[str, Any], far: tuple[Any, ...] = (), **table: Any) -> EmbeddedAws:
        regions = {"eu-west-1": {"keys": list(keys), "athena": table}, "us-east-1": {"keys": far}}
        embedded = scenario({ACCOUNT: {"regions": regions}, OTHER: {"regions": ["eu-west-1"]}})
        for name, value in embedded.environment(ACCOUNT, "eu-west-1").items():
            monkeypatch.setenv(name, value)
        return embedded

    return begin


def read(embedded: EmbeddedAws, *, by_athena: bool = True, days: int = DAYS) -> dict[str, Evidence]:
    """What the history shows of every key of the account, by the key's name."""
    accounts = Accounts(settings=FAST)
    sources = dict(SOURCES)
    if by_athena:
        sources |= AthenaHistory.open(accounts, NAME, days).sources()
    names = {key["arn"]: key["name"] for key in embedded.keys(account=ACCOUNT)}
    pieces = {*PIECES, "description", "aliases"}
    found = Collector(accounts, sources=sources).collect(
        map(KeyArn.parse, names),
        lambda e: frozenset(p for p in pieces if getattr(e, p) is None),
    )
    return {names[str(arn)]: evidence for arn, evidence in found.items()}


def attempts(evidence: Evidence) -> set[tuple[str, str | None]]:
    return {(one.event, one.error) for one in evidence.use_attempts.attempts}


# --- what the rows say --------------------------------------------------------------------------


def test_one_query_shows_all_keys_of_a_region(aws) -> None:
    embedded = aws(
        {"name": "dead", **DEAD_KEY, "disabled_days_ago": 80},
        {"name": "used", **DEAD_KEY, "events": [event("Decrypt", 60, count=30)]},
        {"name": "restored", **DEAD_KEY, "restored_days_ago": 70},
        {"name": "changed", **DEAD_KEY, "events": [event("ReEncrypt", 10), event("Sign", 9)]},
        far=({"name": "far", **DEAD_KEY, "disabled_days_ago": 50},),
    )
    found = read(embedded)
    assert len(embedded.calls(operation="StartQueryExecution")) == 2
    assert embedded.calls(operation="LookupEvents") == []
    assert {n: e.history.last_change and e.history.last_change.event for n, e in found.items()} == {
        "dead": "DisableKey",
        "used": None,
        "restored": "CancelKeyDeletion",
        "changed": None,
        "far": "DisableKey",
    }
    assert [one.event for one in found["restored"].history.cancellations] == ["CancelKeyDeletion"]
    assert {n: attempts(e) for n, e in found.items() if attempts(e)} == {
        "used": {("Decrypt", None)},
        "changed": {("ReEncrypt", None), ("Sign", None)},
    }
    assert not found["used"].use_attempts.all_read
    age = timedelta(seconds=embedded.now() - found["dead"].history.since.timestamp())
    assert timedelta(days=DAYS) <= age < timedelta(days=DAYS, minutes=5)


NAMINGS = {
    "by ARN": {},
    "by id": {"key_id": "{id}", "with_resources": False, "message": "no"},
    "by alias": {"key_id": "alias/mine", "with_resources": False, "message": "no"},
    "by the ARN of an alias": {
        "key_id": f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/mine",
        "with_resources": False,
        "message": "no",
    },
    "in the message": {"key_id": "", "with_resources": False},
    "in the resources": {"key_id": ""},
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_a_refused_call_is_recognized(aws, naming: str) -> None:
    refused = event("Decrypt", 20, error="DisabledException", **NAMINGS[naming])
    keys = (
        {"name": "mine", **DEAD_KEY, "aliases": ["alias/mine"], "events": [refused]},
        {"name": "other", **DEAD_KEY, "aliases": ["alias/my"]},
    )
    found = read(aws(*keys))
    assert {n: attempts(e) for n, e in found.items()} == {
        "mine": {("Decrypt", "DisabledException")},
        "other": set(),
    }


def test_an_alias_that_holds_an_id_is_an_alias(aws) -> None:
    alias = "alias/app-2f94b26d-630d-533b-be64-3de28d30146d"
    refused = event(
        "Encrypt", 20, error="DisabledException", key_id=alias, with_resources=False, message="no"
    )
    embedded = aws({"name": "mine", **DEAD_KEY, "aliases": [alias], "events": [refused]})
    assert attempts(read(embedded)["mine"]) == {("Encrypt", "DisabledException")}


def test_an_alias_counts_only_where_no_key_is_named(aws) -> None:
    """The alias was on another key when that one was used by it."""
    used = event("Decrypt", 30, key_id="alias/moved")
    embedded = aws(
        {"name": "before", "created_days_ago": 900, "events": [used]},
        {"name": "now", **DEAD_KEY, "aliases": ["alias/moved"]},
    )
    found = read(embedded)
    assert (attempts(found["before"]), attempts(found["now"])) == ({("Decrypt", None)}, set())


def test_each_of_two_keys_may_be_named_by_an_alias(aws) -> None:
    both = {"sourceKeyId": "00000000-0000-0000-0000-000000000000", "destinationKeyId": "alias/to"}
    refused = event("ReEncrypt", 20, error="DisabledException", request=both)
    refused |= {"with_resources": False, "message": "no"}
    embedded = aws({"name": "to", **DEAD_KEY, "aliases": ["alias/to"], "events": [refused]})
    assert attempts(read(embedded)["to"]) == {("ReEncrypt", "DisabledException")}


def test_keys_that_need_different_pieces_take_one_query(aws) -> None:
    """Such as those for which an exception lifts a rule."""
    embedded = aws({"name": "dead", **DEAD_KEY}, {"name": "excepted", **DEAD_KEY})
    accounts = Accounts(settings=FAST)
    dead, excepted = (KeyArn.parse(key["arn"]) for key in embedded.keys(account=ACCOUNT))
    pieces = {dead: PIECES, excepted: ("use_attempts",)}
    found = Collector(
        accounts, sources={**SOURCES, **AthenaHistory.open(accounts, NAME, DAYS).sources()}
    ).collect(pieces, lambda e: frozenset(p for p in pieces[e.key_arn] if getattr(e, p) is None))
    assert found[excepted].alias_moves is None
    assert not attempts(found[excepted])
    assert len(embedded.calls(operation="StartQueryExecution")) == 1


def test_without_the_aliases_of_a_key_its_history_is_unknown(aws) -> None:
    embedded = aws({"name": "dead", **DEAD_KEY})
    embedded.fault("deny", operation="ListAliases", times=None)
    found = read(embedded)["dead"]
    assert all(isinstance(getattr(found, piece), Unreadable) for piece in PIECES)


def test_a_call_that_is_denied_to_another_account_is_only_in_its_log(aws) -> None:
    denied = event("Decrypt", 20, error="AccessDenied", account=OTHER, with_resources=False)
    by_id = event("Encrypt", 20, error="x", account=OTHER, key_id="{id}", with_resources=False)
    embedded = aws(
        {"name": "lent", **DEAD_KEY, "events": [denied]},
        {"name": "alike", **DEAD_KEY, "events": [by_id | {"message": "no"}]},
    )
    found = read(embedded)
    assert attempts(found["lent"]) == {("Decrypt", "AccessDenied")}
    assert attempts(found["alike"]) == set(), "an id names a key of the caller's own account"
    assert attempts(read(embedded, by_athena=False)["lent"]) == set()


def test_a_call_that_both_accounts_record_is_one_attempt(aws) -> None:
    both = event("Decrypt", 20, shared="00000000-0000-0000-0000-000000000001")
    embedded = aws({"name": "lent", **DEAD_KEY, "events": [both, both | {"account": OTHER}]})
    assert len(read(embedded)["lent"].use_attempts.attempts) == 1


def test_replicas_of_a_key_are_used_apart(aws) -> None:
    embedded = aws(
        {
            "name": "set",
            **DEAD_KEY,
            "replicas": {"us-east-1": {"state": "Disabled"}},
            "events": [event("Decrypt", 20)],
        }
    )
    found = {
        arn.region: evidence
        for arn, evidence in _by_arn(embedded).items()
        if arn.key_id.startswith("mrk-")
    }
    assert {region: attempts(e) for region, e in found.items()} == {
        "eu-west-1": {("Decrypt", None)},
        "us-east-1": set(),
    }


FORMS: dict[str, dict[str, object]] = {
    "ends of ids": {},
    "ends that many ids have": {"LISTED": (1,)},
    "no list": {"LISTED": ()},
    "a query for each 40 days": {"MOST_PARTITIONS": 80},
}
"""How queries may differ: what they list, and how many folders they may read."""


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_other_keys_are_left_out(aws, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those of a replica with the same id, and of keys in the caller's own account."""
    for name, value in FORMS[form].items():
        monkeypatch.setattr(athena_sql, name, value)
    refused = {"error": "DisabledException", "message": "no", "with_resources": False}
    lent = event("Decrypt", 20, error="AccessDenied", account=OTHER, with_resources=False)
    embedded = aws(
        {
            "name": "set",
            **DEAD_KEY,
            "aliases": ["alias/set"],
            "replicas": {"us-east-1": {"state": "Disabled"}},
            "events": [event("Decrypt", 30), event("Encrypt", 21, key_id="alias/set", **refused)],
        },
        {"name": "lent", **DEAD_KEY, "events": [lent]},
        {"name": "changed", **DEAD_KEY, "events": [event("DisableKey", 50), event("Sign", 51)]},
        *({"name": f"dead-{n}", **DEAD_KEY} for n in range(4)),
        *(
            {"name": f"used-{n}", "created_days_ago": 900, "events": [event("Verify", n + 9)]}
            for n in range(20)
        ),
    )
    found = _by_arn(embedded, lambda name: not name.startswith("used-"))
    each = 3 if "MOST_PARTITIONS" in FORMS[form] else 1
    assert len(embedded.calls(operation="StartQueryExecution")) == 2 * each
    names = {key["arn"]: key["name"] for key in embedded.keys(account=ACCOUNT)}
    used = {(names[str(arn)], arn.region): attempts(one) for arn, one in found.items()}
    assert {where: those for where, those in used.items() if those} == {
        ("set", "eu-west-1"): {("Decrypt", None), ("Encrypt", "DisabledException")},
        ("lent", "eu-west-1"): {("Decrypt", "AccessDenied")},
        ("changed", "eu-west-1"): {("Sign", None)},
    }
    changes = {e.history.last_change.event for e in found.values() if e.history.last_change}
    assert changes == {"DisableKey"}


def _by_arn(
    embedded: EmbeddedAws, wanted: Callable[[str], bool] = lambda _: True
) -> dict[KeyArn, Evidence]:
    accounts = Accounts(settings=FAST)
    history = AthenaHistory.open(accounts, NAME, DAYS)
    arns = [KeyArn.parse(k["arn"]) for k in embedded.keys(account=ACCOUNT) if wanted(k["name"])]
    found = Collector(accounts, sources={**SOURCES, **history.sources()}).collect(
        arns, lambda e: frozenset(p for p in PIECES if getattr(e, p) is None)
    )
    return dict(found)


OPERATIONS = (
    *("Decrypt", "Encrypt", "ReEncrypt", "GenerateDataKey", "GetPublicKey", "CreateGrant"),
    *("DescribeKey", "EnableKey", "DisableKey", "CancelKeyDeletion", "TagResource"),
)


def _random_keys(chance: random.Random) -> list[dict[str, Any]]:
    keys: list[dict[str, Any]] = []
    for number in range(16):
        events = []
        for _ in range(chance.choice([0, 0, 1, 2, 5])):
            one = event(chance.choice(OPERATIONS), chance.uniform(3, 88))
            if chance.random() < 0.4:
                one |= {"error": "DisabledException"}
            events.append(one | {"count": chance.choice([1, 3])})
        for _ in range(chance.choice([0, 0, 1])):
            moved = chance.choice(["CreateAlias", "UpdateAlias", "DeleteAlias"])
            alias = f"alias/shared-{chance.randrange(3)}"
            events.append(event(moved, chance.uniform(3, 88), alias=alias))
        keys.append(
            {
                "name": f"key-{number}",
                **DEAD_KEY,
                "spec": chance.choice(["SYMMETRIC_DEFAULT", "RSA_2048"]),
                "aliases": [f"alias/own-{number}"] * chance.randrange(2),
                "events": events,
            }
        )
    return keys


@pytest.mark.parametrize("seed", [1, 2])
def test_both_histories_lead_to_the_same_verdict(aws, seed: int) -> None:
    """Events of the last 90 days, before those that the log files may not have."""
    embedded = aws(*_random_keys(random.Random(seed)))
    now = datetime.fromtimestamp(embedded.now(), UTC)
    policy = Policy()

    def holds(evidence: Evidence) -> set[str]:
        whole = DEAD.model_copy(
            update={
                "key_arn": evidence.key_arn,
                "description": evidence.description,
                "aliases": evidence.aliases,
                **{piece: getattr(evidence, piece) for piece in PIECES},
            }
        )
        return {hold.rule for hold in evaluate(whole, policy, now, ask_all=True).holds}

    by_athena, by_lookup = read(embedded), read(embedded, by_athena=False)
    assert {n: holds(e) for n, e in by_athena.items()} == {
        n: holds(e) for n, e in by_lookup.items()
    }
    assert {n: attempts(e) for n, e in by_athena.items()} == {
        n: attempts(e) for n, e in by_lookup.items()
    }
    assert len({frozenset(holds(e)) for e in by_athena.values()}) > 3, "the events differ"


# --- whole, or on hold --------------------------------------------------------------------------

UNKNOWN: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the trail leaves out KMS": (
        {"selectors": {"EventSelectors": [{"ReadWriteType": "WriteOnly"}]}},
        ["selectors"],
    ),
    "the trail is switched off": ({"trail_status": {"IsLogging": False}}, ["trail/all"]),
    "the trail cannot deliver": (
        {"trail_status": {"LatestDeliveryError": "NoSuchBucket"}},
        ["NoSuchBucket"],
    ),
    "the trail was switched on within the window": (
        {"trail_status": {"StartLoggingTime": "2026-11-01T00:00:00Z"}},
        ["trail/all", "2026-11-01"],
    ),
    "the trail does not show since when it is on": (
        {"trail_status": {"StartLoggingTime": None}},
        ["trail/all"],
    ),
    "a rule archives log files": (
        {"lifecycle": [{"Transition": {"Days": 60, "StorageClass": "GLACIER"}}]},
        ["rule", "GLACIER", "60"],
    ),
    "a rule deletes log files": ({"lifecycle": [{"Expiration": {"Days": 60}}]}, ["rule", "60"]),
    # Each day has a read of KMS all the same: rules leave small files where they are.
    "a former rule archived log files": (
        {"archived": [{"days_ago": 90}]},
        ["s3://amzn-s3-demo-bucket/", f"/{ACCOUNT}/CloudTrail/eu-west-1/"],
    ),
    "the trail writes elsewhere": ({"trail": {"S3BucketName": "else"}}, ["amzn-s3-demo-bucket"]),
    "the table has another location": ({"location": "s3://else/"}, ["audit.trail"]),
    "no projection": ({"properties": {"projection.enabled": "false"}}, ["audit.trail"]),
    "a Region is left out": ({"regions": ("us-east-1",)}, ["leaves", "eu-west-1"]),
    "the account is left out": ({"accounts": (OTHER,)}, ["leaves", ACCOUNT]),
    "an account of the bucket is left out": ({"accounts": (ACCOUNT,)}, ["leaves", OTHER]),
    "the table begins later": ({"first_day_days_ago": 60}, ["begins"]),
    "a column is missing": ({"lacks_columns": ("resources",)}, ["resources"]),
    "a day is missing": ({"missing": [{"days_ago": 40, "account": ACCOUNT}]}, [ACCOUNT, "1 of"]),
    "the days before a day are missing": ({"days": 30}, [ACCOUNT, "eu-west-1"]),
    "the query fails": (
        {"queries_end": "FAILED", "queries_end_reason": "HIVE_CURSOR_ERROR: x"},
        ["FAILED", "HIVE_CURSOR_ERROR", ACCOUNT],
    ),
    "the query is cancelled": ({"queries_end": "CANCELLED"}, ["CANCELLED"]),
    "the query is cut": ({"cutoff_bytes": 10_000}, ["CANCELLED", "limit"]),
    "an earlier result is reused": ({"reused": True}, ["earlier"]),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_incomplete_evidence_is_unreadable(aws, case: str) -> None:
    table, words = UNKNOWN[case]
    found = read(aws({"name": "dead", **DEAD_KEY}, **table))["dead"]
    for piece in PIECES:
        value = getattr(found, piece)
        assert isinstance(value, Unreadable)
        assert all(word in value.unreadable for word in words)


def test_what_is_whole_is_known(aws) -> None:
    rules = (
        {"Transition": {"Days": 30, "StorageClass": "GLACIER_IR"}},
        {"Transition": {"Days": 200, "StorageClass": "GLACIER"}, "Expiration": {"Days": 400}},
    )
    found = read(aws({"name": "dead", **DEAD_KEY}, lifecycle=rules))["dead"]
    assert not any(isinstance(getattr(found, piece), Unreadable) for piece in PIECES)


@pytest.mark.parametrize(
    ("table", "known"),
    [
        ({"multi_region": False}, {"near": True, "far": False}),
        ({"missing": [{"days_ago": 40, "region": "us-east-1"}]}, {"near": True, "far": False}),
        ({"missing": [{"days_ago": 40, "account": OTHER}]}, {"near": True, "far": True}),
        # The trail's home Region shows its changes, on which all keys depend.
        ({"missing": [{"days_ago": 40, "region": "eu-west-1"}]}, {"near": False, "far": False}),
        ({"quiet": [{"days_ago": 40, "region": "eu-west-1"}]}, {"near": False, "far": True}),
        ({"archived": [{"days_ago": 90, "region": "eu-west-1"}]}, {"near": False, "far": False}),
        ({"regions": ("us-east-1",)}, {"near": False, "far": False}),
        # Calls of other accounts to a key may be in their logs alone.
        (
            {"archived": [{"days_ago": 90, "account": OTHER, "region": "eu-west-1"}]},
            {"near": False, "far": True},
        ),
        ({"archived": [{"days_ago": 90, "region": "us-east-1"}]}, {"near": True, "far": False}),
        ({"missing": [{"days_ago": 0}, {"days_ago": 1}]}, {"near": True, "far": True}),
        ({"organization": False}, {"near": True, "far": True}),
        ({"properties": {"projection.region.type": "injected"}}, {"near": True, "far": True}),
        ({"prefix": "logs/of/all"}, {"near": True, "far": True}),
    ],
)
def test_each_key_depends_on_its_own_account_and_region(aws, table, known) -> None:
    embedded = aws({"name": "near", **DEAD_KEY}, far=({"name": "far", **DEAD_KEY},), **table)
    found = read(embedded)
    assert {n: not isinstance(e.history, Unreadable) for n, e in found.items()} == known


TRAIL = f"arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/all"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "PutEventSelectors"},
        {"name": "StopLogging"},
        {"name": "PutEventSelectors", "trail": TRAIL, "account": OTHER},
        {"name": "DeleteTrail", "trail": TRAIL, "account": OTHER},
    ],
    ids=lambda change: " by ".join([change["name"], *change.keys() & {"account"}]),
)
def test_what_a_trail_logged_before_a_change_is_unknown(aws, change: dict[str, str]) -> None:
    """Also a change that a delegated administrator makes, in whose log it is."""
    embedded = aws(
        {"name": "old", **DEAD_KEY},
        {"name": "young", "created_days_ago": 40},
        far=({"name": "far", **DEAD_KEY},),
        changes=[{"name": "UpdateTrail", "days_ago": 70}, {**change, "days_ago": 50}],
    )
    found = read(embedded)
    known = {n: not isinstance(e.history, Unreadable) for n, e in found.items()}
    assert known == {"old": False, "young": True, "far": False}
    day = datetime.fromtimestamp(embedded.now(), UTC) - timedelta(days=50)
    caller = f"{change.get('account', ACCOUNT)}:user/administrator"
    for name in ("old", "far"):
        assert all(
            word in found[name].history.unreadable
            for word in (TRAIL, change["name"], f"{day:%Y-%m-%d}", caller)
        )
    assert len(embedded.calls(operation="StartQueryExecution")) == 1, "no query for held keys"


UNCHANGED: dict[str, dict[str, Any]] = {
    "before the window": {"days_ago": 97},
    "of another trail": {"trail": "other"},
    "of a trail of that name in another account": {"account": OTHER},
    "refused": {"error": "AccessDenied"},
    "that changes nothing": {"name": "DescribeTrails"},
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_an_event_that_does_not_change_the_trail_holds_nothing(aws, case: str) -> None:
    change = {"name": "PutEventSelectors", "days_ago": 50, **UNCHANGED[case]}
    found = read(aws({"name": "dead", **DEAD_KEY}, changes=[change]))["dead"]
    assert not any(isinstance(getattr(found, piece), Unreadable) for piece in PIECES)


def test_the_home_region_of_the_trail_is_queried_without_keys_too(aws) -> None:
    for changes, known in (([], True), ([{"name": "PutEventSelectors", "days_ago": 9}], False)):
        embedded = aws(far=({"name": "far", **DEAD_KEY},), changes=changes)
        found = read(embedded)["far"]
        assert isinstance(found.history, Unreadable) is not known
        assert len(embedded.calls(operation="StartQueryExecution")) == (2 if known else 1)


def test_the_window_of_a_young_key_begins_with_it(aws) -> None:
    embedded = aws({"name": "young", "created_days_ago": 40}, {"name": "old", **DEAD_KEY}, days=45)
    found = read(embedded)
    assert not isinstance(found["young"].history, Unreadable)
    assert isinstance(found["old"].history, Unreadable)


@pytest.mark.parametrize("lost", ["cut", "repeats"])
def test_pages_that_are_lost_or_repeated_are_unknown(aws, lost: str) -> None:
    toggles = [event("DisableKey", 20 + n / 1000) for n in range(1100)]
    busy = {"name": "busy", **DEAD_KEY, "events": toggles}
    found = read(aws(busy))["busy"].history
    assert found.last_change.event == "DisableKey"
    assert isinstance(read(aws(busy, loses_pages=lost))["busy"].history, Unreadable)


@pytest.mark.parametrize(
    "operation",
    [
        *("DescribeTrails", "GetEventSelectors", "GetTrailStatus"),
        *("GetBucketLifecycleConfiguration", "ListObjectsV2"),
        *("StartQueryExecution", "GetQueryExecution", "GetQueryResults"),
    ],
)
def test_a_denial_is_unknown_and_names_the_permission(aws, operation: str) -> None:
    embedded = aws({"name": "dead", **DEAD_KEY})
    embedded.fault("deny", operation=operation, times=None)
    value = read(embedded)["dead"].use_attempts
    assert isinstance(value, Unreadable)
    others = {
        "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
        "ListObjectsV2": "s3:ListBucket",
    }
    assert (value.permission or "").endswith(others.get(operation, operation))


def test_a_listing_of_log_files_that_is_denied_is_unknown(aws) -> None:
    """The first listing is of the accounts' folders."""
    embedded = aws({"name": "dead", **DEAD_KEY}, far=({"name": "far", **DEAD_KEY},))
    embedded.fault("deny", operation="ListObjectsV2", times=1, skip=2)
    found = read(embedded)
    unknown = [name for name, e in found.items() if isinstance(e.history, Unreadable)]
    assert len(unknown) == 1


@pytest.mark.parametrize("operation", ["GetTable", "DescribeTrails", "GetQueryResults"])
def test_a_truncated_answer_is_unreadable(aws, operation: str) -> None:
    embedded = aws({"name": "dead", **DEAD_KEY})
    skip = 1 if operation == "GetTable" else 0  # the first is asked before anything is read
    embedded.fault("truncate_valid_length", operation=operation, times=None, skip=skip)
    assert isinstance(read(embedded)["dead"].history, Unreadable)


def test_a_workgroup_that_cannot_be_used_is_refused_before_anything_is_read(aws) -> None:
    for table, text in (
        ({"cutoff_bytes": None}, NAME),
        ({"workgroup_state": "DISABLED"}, NAME),
        ({}, "athena:history/audit.other"),
    ):
        aws({"name": "dead", **DEAD_KEY}, **table)
        with pytest.raises(BadInput):
            AthenaHistory.open(Accounts(settings=FAST), text, DAYS)
    embedded = aws({"name": "dead", **DEAD_KEY})
    for operation in ("GetWorkGroup", "GetTable"):
        embedded.clear_faults()
        embedded.fault("deny", operation=operation, times=None)
        with pytest.raises(AccountUnavailable) as caught:
            AthenaHistory.open(Accounts(settings=FAST), NAME, DAYS)
        assert caught.value.exit_code == 1


# --- many rows ----------------------------------------------------------------------------------


def _row(kind: str, names: str, latest: str, **more: str) -> dict[str, str]:
    usual = {"kind": kind, "account": ACCOUNT, "event": "Decrypt"}
    empty = dict.fromkeys(("error", "alias", "target", "who", "shared", "days"), "")
    return {**usual, **empty, "names": names, "latest": latest, **more}


def _reading(key: Evidence, since: datetime) -> athena._Reading:
    """Of one key and 300 days, each with a read of KMS."""
    reading = athena._Reading(since, since + timedelta(days=300))
    reading.expect(key)
    reading.add(_row("day", "", "", days=" ".join(map(str, range(300)))))
    return reading


def only(reading: athena._Reading) -> Evidence:
    [found] = reading.pieces("audit.trail")
    return found


@pytest.mark.sample
def test_many_rows_take_no_more_memory() -> None:
    """Rows of other keys are not kept, and of a key the newest are enough."""
    key = changed(aliases=())
    since = datetime(2026, 1, 1, tzinfo=UTC)
    reading = _reading(key, since)
    own, other = str(key.key_arn), str(key.key_arn).replace("key/", "key/0")[:-1]
    tracemalloc.start()
    try:
        for second in range(60_000):
            time = f"{since + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"
            name, account = (own, ACCOUNT) if second % 3 == 0 else (other, f"{second:012}")
            reading.add(_row("use", name, time, account=account))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
    found = only(reading).use_attempts
    assert len(found.attempts) == athena.MOST_ATTEMPTS
    assert found.attempts[0].time == since + timedelta(seconds=59_997)


def test_rows_of_many_changes_keep_the_last_one_and_every_cancellation() -> None:
    key = changed(aliases=())
    since = datetime(2026, 1, 1, tzinfo=UTC)
    reading = _reading(key, since)
    for second in range(2_000):
        time = f"{since + timedelta(seconds=second):%Y-%m-%dT%H:%M:%SZ}"
        name = "CancelKeyDeletion" if second in {3, 700} else "DisableKey"
        failed = "KMSInvalidStateException" if second > 1_900 else ""
        reading.add(_row("change", str(key.key_arn), time, event=name, error=failed))
    found = only(reading).history
    assert found.last_change.time == since + timedelta(seconds=1_900)
    assert [one.time - since for one in found.cancellations] == [
        timedelta(seconds=3),
        timedelta(seconds=700),
    ]
