"""Each source of evidence against the embedded AWS: values, pages, and reasons for not knowing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from scenarios import DATA, DEAD, SHOP

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Accounts, ClientSettings
from keysweep.remediation.evidence import SOURCES, Collector, Source
from keysweep.remediation.evidence.collector import OUR_BUG
from keysweep.remediation.models import (
    PIECES,
    Evidence,
    KeyArn,
    KeyDescription,
    NotFound,
    Unreadable,
)

FAST = ClientSettings(quota_share=100)
"""The embedded AWS counts no requests here, so nothing has to wait for a quota."""

Read = Callable[..., dict[str, Evidence]]


@pytest.fixture
def aws(scenario: Callable[[Mapping[str, Any]], EmbeddedAws], monkeypatch: pytest.MonkeyPatch):
    """Begin with keys in one Region, or with whole Regions, and be their account's operator."""

    def begin(*keys: Mapping[str, Any], regions: Mapping[str, Any] | None = None) -> EmbeddedAws:
        regions = regions or {"eu-west-1": {"keys": list(keys)}}
        embedded = scenario({SHOP: {"regions": regions}})
        for name, value in embedded.environment(SHOP, "eu-west-1").items():
            monkeypatch.setenv(name, value)
        return embedded

    return begin


def read(
    embedded: EmbeddedAws,
    *pieces: str,
    names: Iterable[str] = (),
    sources: Mapping[str, Source] = SOURCES,
    clear: bool = True,
) -> dict[str, Evidence]:
    """These pieces of the named keys, or of all, by the key's name."""
    by_arn = {
        key["arn"]: key["name"]
        for key in embedded.keys()
        if key["account"] == SHOP and (not names or key["name"] in names)
    }
    if clear:
        embedded.clear_calls()
    collector = Collector(Accounts(settings=FAST), sources=sources)
    found = collector.collect(
        map(KeyArn.parse, by_arn),
        lambda e: frozenset(p for p in pieces if getattr(e, p) is None),
    )
    return {by_arn[str(arn)]: evidence for arn, evidence in found.items()}


def calls(embedded: EmbeddedAws, operation: str) -> int:
    """How often an operation was called."""
    return len(embedded.calls(operation=operation))


# --- what is there -----------------------------------------------------------------------------


def test_description_has_what_the_rules_need(aws) -> None:
    embedded = aws(
        regions={
            "eu-west-1": {
                "keys": [
                    {"name": "dead", "description": "Old shop", **DEAD},
                    {"name": "brought", "origin": "EXTERNAL", **DEAD},
                    {"name": "set", **DEAD, "replicas": {"us-east-1": {"state": "Disabled"}}},
                    {"name": "gone", "state": "PendingDeletion"},
                ]
            },
            "us-east-1": {},
        }
    )
    found = {n: e.description for n, e in read(embedded, "description").items()}
    dead, primary, gone = found["dead"], found["set"], found["gone"]
    assert isinstance(dead, KeyDescription)
    assert (dead.key_state, dead.key_manager, dead.description) == (
        "Disabled",
        "CUSTOMER",
        "Old shop",
    )
    assert isinstance(found["brought"], KeyDescription)
    assert found["brought"].origin == "EXTERNAL"
    assert isinstance(gone, KeyDescription)
    assert gone.deletion_date is not None
    homes = {(key["region"], key["name"]): key["arn"] for key in embedded.keys()}
    assert isinstance(primary, KeyDescription)
    assert {primary.multi_region_type} <= {"PRIMARY", "REPLICA"}
    assert {str(primary.primary), *map(str, primary.replicas)} == {
        arn for (_, name), arn in homes.items() if name.startswith("set")
    }


def test_a_key_that_does_not_exist_is_not_found(aws) -> None:
    aws({"name": "dead", **DEAD})
    absent = KeyArn("aws", SHOP, "eu-west-1", "00000000-0000-0000-0000-000000000000")
    found = Collector(Accounts(settings=FAST)).collect(
        [absent],
        lambda e: frozenset({"description"}) if e.description is None else frozenset(),
    )
    assert found[absent].description == NotFound()


def test_tags_and_aliases_and_grants_come_whole_from_all_pages(aws) -> None:
    many_tags = {f"tag-{n:02}": str(n) for n in range(50)}
    embedded = aws(
        {
            "name": "rich",
            "tags": many_tags,
            "aliases": [f"alias/rich-{n}" for n in range(40)],
            **DEAD,
        },
        {"name": "other", "aliases": [f"alias/other-{n}" for n in range(40)], **DEAD},
        {"name": "poor", **DEAD},
        {
            "name": "lent",
            "grants": [{"grantee": "arn:aws:iam::{account}:role/x", "count": 120}],
            **DEAD,
        },
    )
    found = read(embedded, "tags", "aliases", "grants")
    assert found["rich"].tags == many_tags
    assert found["rich"].aliases == tuple(sorted(f"alias/rich-{n}" for n in range(40)))
    assert found["other"].aliases == tuple(sorted(f"alias/other-{n}" for n in range(40)))
    assert (found["poor"].tags, found["poor"].aliases, found["poor"].grants) == ({}, (), ())
    assert isinstance(found["lent"].grants, tuple)
    assert len({grant.grant_id for grant in found["lent"].grants}) == 120
    assert calls(embedded, "ListAliases") == 2, "one listing of two pages serves all keys"


def test_a_grant_says_who_and_what(aws) -> None:
    embedded = aws(
        {
            "name": "lent",
            "grants": [
                {
                    "grantee": f"arn:aws:iam::{DATA}:role/partner",
                    "retiring": "arn:aws:iam::{account}:role/admin",
                    "operations": ["Decrypt"],
                    "name": "nightly",
                },
                {"grantee_service": "dynamodb.eu-west-1.amazonaws.com"},
            ],
            **DEAD,
        }
    )
    grants = read(embedded, "grants")["lent"].grants
    assert isinstance(grants, tuple)
    assert {(g.grantee_principal, g.retiring_principal, g.operations, g.name) for g in grants} == {
        (
            f"arn:aws:iam::{DATA}:role/partner",
            f"arn:aws:iam::{SHOP}:role/admin",
            ("Decrypt",),
            "nightly",
        ),
        ("dynamodb.eu-west-1.amazonaws.com", None, ("Decrypt", "GenerateDataKey"), None),
    }
    outsiders = [pair for grant in grants for pair in grant.outsiders(SHOP)]
    assert outsiders == [("grantee", f"arn:aws:iam::{DATA}:role/partner")]


ODD = {
    "Effect": "Allow",
    "NotPrincipal": {"AWS": DATA},
    "Action": "kms:*",
    "Resource": "*",
}


def test_key_policies_are_read_as_they_are(aws) -> None:
    embedded = aws(
        {"name": "plain", **DEAD},
        {"name": "odd", "policy": {"Version": "2012-10-17", "Statement": [ODD]}, **DEAD},
        {
            "name": "shared",
            "policy": {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": ["{account}", DATA]},
                    "Action": "kms:*",
                    "Resource": "*",
                },
            },
            **DEAD,
        },
    )
    found = {n: e.key_policy for n, e in read(embedded, "key_policy").items()}
    assert all(
        policy is not None and not isinstance(policy, Unreadable) for policy in found.values()
    )
    assert (found["plain"].account_root, found["plain"].outside) == (True, ())
    assert found["odd"].problem == "statement 1 uses NotPrincipal"
    assert (found["shared"].account_root, found["shared"].outside) == (
        True,
        (f"{DATA} (statement 1)",),
    )
    assert len({policy.sha256 for policy in found.values()}) == 3


def test_rotations_are_counted_where_there_are_any(aws) -> None:
    embedded = aws(
        {"name": "never", **DEAD},
        {"name": "thrice", "rotations": 3, **DEAD},
        {"name": "signs", "spec": "RSA_2048", "usage": "SIGN_VERIFY", **DEAD},
        {"name": "macs", "spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC", **DEAD},
    )
    found = read(embedded, "rotations")
    assert {name: e.rotations for name, e in found.items()} == {
        "never": 0,
        "thrice": 3,
        "signs": 0,
        "macs": 0,
    }
    assert calls(embedded, "ListKeyRotations") == 2


def test_last_use_is_read_three_ways(aws, server: EmbeddedAws) -> None:
    embedded = aws(
        {"name": "used", "last_used": {"days_ago": 12, "operation": "Sign"}, **DEAD},
        {"name": "unused", **DEAD},
        {"name": "young", "state": "Disabled", "created_days_ago": 100, "disabled_days_ago": 90},
    )
    found = {name: e.last_use for name, e in read(embedded, "last_use").items()}
    now = embedded.now()
    assert not any(isinstance(use, Unreadable) for use in found.values())
    assert found["used"].operation == "Sign"
    assert abs(found["used"].used.timestamp() - (now - 12 * 86400)) < 3600
    assert (found["unused"].used, found["unused"].never) == (None, False)
    assert abs(found["unused"].tracking_start.timestamp() - (now - 300 * 86400)) < 3600
    assert (found["young"].used, found["young"].never) == (None, True)


def test_an_sdk_without_last_use_names_the_version_that_has_it(
    aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = aws({"name": "dead", **DEAD})

    class OldClient:
        """A client made by an SDK of before April 2026."""

    class OldPlace:
        def client(self, _: str) -> OldClient:
            return OldClient()

    reader = SOURCES["last_use"].read_key
    assert reader is not None
    arn = KeyArn.parse(embedded.keys()[0]["arn"])
    value = reader(OldPlace(), Evidence(key_arn=arn))
    assert isinstance(value, Unreadable)
    assert "install boto3 1.42.97 or later" in value.unreadable


# --- CloudTrail --------------------------------------------------------------------------------


def event(name: str, days_ago: float, **values: object) -> dict[str, object]:
    return {"name": name, "days_ago": days_ago, **values}


def test_the_latest_change_dates_the_state(aws) -> None:
    embedded = aws(
        {"name": "long", **DEAD},
        {"name": "recent", **DEAD, "disabled_days_ago": 10, "disabled_by": "ann"},
        {
            "name": "turned",
            **DEAD,
            "disabled_days_ago": 20,
            "events": [event("EnableKey", 30), event("DisableKey", 60)],
        },
        {"name": "restored", "state": "Disabled", "restored_days_ago": 40},
    )
    found = {name: e.history for name, e in read(embedded, "history").items()}
    assert not any(isinstance(history, Unreadable) for history in found.values())
    assert (found["long"].last_change, found["long"].cancellations) == (None, ())
    assert found["recent"].last_change.event == "DisableKey"
    assert found["recent"].last_change.who == f"arn:aws:sts::{SHOP}:assumed-role/ann/session"
    assert found["turned"].last_change.event == "DisableKey"
    assert [r.event for r in found["restored"].cancellations] == ["CancelKeyDeletion"]
    age = timedelta(seconds=embedded.now() - found["long"].since.timestamp())
    assert timedelta(days=89.9) < age < timedelta(days=90.1)


def test_a_change_that_failed_changed_nothing(aws) -> None:
    refused = {"error": "AccessDenied", "message": "no"}
    embedded = aws(
        {
            "name": "tried",
            **DEAD,
            "events": [event("EnableKey", 5, **refused), event("CancelKeyDeletion", 4, **refused)],
        }
    )
    history = read(embedded, "history")["tried"].history
    assert not isinstance(history, Unreadable)
    assert history is not None
    assert (history.last_change, history.cancellations) == (None, ())


def test_a_change_is_found_on_the_last_page_and_read_once_for_all_keys(aws) -> None:
    busy = {"name": "busy-{n}", "count": 3, "events": [event("DisableKey", 5, count=60)]}
    embedded = aws(busy, {"name": "dead", **DEAD, "disabled_days_ago": 80})
    found = read(embedded, "history")
    assert found["dead"].history.last_change is not None
    # 180 of DisableKey and one older are four pages; the other five names have one page each.
    assert calls(embedded, "LookupEvents") == 4 + 5


def test_a_change_without_resources_is_matched_by_its_request(aws) -> None:
    hidden = event("DisableKey", 7, with_resources=False)
    embedded = aws({"name": "hidden", **DEAD, "events": [hidden]}, {"name": "other", **DEAD})
    found = read(embedded, "history")
    assert found["hidden"].history.last_change is not None
    assert found["other"].history.last_change is None


USE = [
    event("Decrypt", 3),
    event("Decrypt", 3, error="DisabledException", message="... is disabled."),
    event("CreateGrant", 3),
    event("ReEncrypt", 3, by="ec2.amazonaws.com"),
    event("GenerateMac", 89, error="AccessDenied"),
]
NO_USE = [
    event("DescribeKey", 1, count=20),
    event("GetKeyPolicy", 1),
    event("ListGrants", 1),
    event("ListResourceTags", 1),
    event("TagResource", 1),
    event("EnableKey", 1),
    event("ScheduleKeyDeletion", 1),
    event("RetireGrant", 1),
]


@pytest.mark.parametrize("use", USE, ids=lambda e: f"{e['name']}-{e.get('error', 'allowed')}")
def test_use_is_cryptography_and_grants_allowed_or_refused(aws, use: dict[str, object]) -> None:
    embedded = aws({"name": "needed", **DEAD, "events": [*NO_USE, use]})
    attempts = read(embedded, "use_attempts")["needed"].use_attempts
    assert not isinstance(attempts, Unreadable)
    assert [(a.event, a.error) for a in attempts.attempts] == [(use["name"], use.get("error"))]
    assert attempts.attempts[0].who


@pytest.mark.parametrize(
    ("spec", "usage", "used"),
    [
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", False),
        ("HMAC_256", "GENERATE_VERIFY_MAC", False),
        ("RSA_2048", "ENCRYPT_DECRYPT", True),
        ("ECC_NIST_P256", "SIGN_VERIFY", True),
    ],
)
def test_fetching_the_public_key_is_use_where_there_is_one(aws, spec, usage, used) -> None:
    fetched = event("GetPublicKey", 2, error="DisabledException")
    embedded = aws({"name": "pair", **DEAD, "spec": spec, "usage": usage, "events": [fetched]})
    known = read(embedded, "description", "use_attempts")["pair"].use_attempts
    assert [a.event for a in known.attempts] == (["GetPublicKey"] if used else [])
    unknown = read(embedded, "use_attempts")["pair"].use_attempts
    assert [a.event for a in unknown.attempts] == ["GetPublicKey"]


def test_reads_tags_and_changes_of_state_are_no_use(aws) -> None:
    old = event("Decrypt", 95)
    embedded = aws({"name": "dead", **DEAD, "events": [*NO_USE, old]})
    attempts = read(embedded, "use_attempts")["dead"].use_attempts
    assert not isinstance(attempts, Unreadable)
    assert (attempts.attempts, attempts.all_read) == ((), True)


def test_use_behind_many_reads_is_found_on_a_later_page(aws) -> None:
    events = [event("DescribeKey", 1, count=170), event("Decrypt", 2)]
    embedded = aws({"name": "needed", **DEAD, "events": events})
    attempts = read(embedded, "use_attempts")["needed"].use_attempts
    assert [a.event for a in attempts.attempts] == ["Decrypt"]
    assert calls(embedded, "LookupEvents") == 4


def test_attempts_that_all_fit_into_one_answer_are_counted_exactly(aws) -> None:
    embedded = aws({"name": "needed", **DEAD, "events": [event("Decrypt", 2, count=3)]})
    attempts = read(embedded, "use_attempts")["needed"].use_attempts
    assert ([a.event for a in attempts.attempts], attempts.all_read) == (["Decrypt"] * 3, True)
    assert calls(embedded, "LookupEvents") == 1


def test_the_newest_attempts_are_enough(aws) -> None:
    embedded = aws({"name": "busy", **DEAD, "events": [event("Decrypt", 2, count=400)]})
    attempts = read(embedded, "use_attempts")["busy"].use_attempts
    assert len(attempts.attempts) == 50
    assert not attempts.all_read
    assert calls(embedded, "LookupEvents") == 1


# --- what could not be had ---------------------------------------------------------------------

OPERATIONS = {
    "description": "DescribeKey",
    "tags": "ListResourceTags",
    "aliases": "ListAliases",
    "grants": "ListGrants",
    "key_policy": "GetKeyPolicy",
    "rotations": "ListKeyRotations",
    "declarations": "DescribeStackResources",
    "history": "LookupEvents",
    "alias_moves": "LookupEvents",
    "later_aliases": "ListAliases",
    "last_use": "GetKeyLastUsage",
    "use_attempts": "LookupEvents",
}


def test_every_source_but_the_references_is_in_this_table() -> None:
    assert set(OPERATIONS) == PIECES - {"references"} == set(SOURCES) - {"references"}


@pytest.mark.parametrize("piece", sorted(OPERATIONS))
def test_a_denial_is_unknown_and_names_the_permission(aws, piece: str) -> None:
    embedded = aws({"name": "dead", **DEAD})
    embedded.fault("deny", operation=OPERATIONS[piece], times=None)
    value = getattr(read(embedded, piece)["dead"], piece)
    assert isinstance(value, Unreadable)
    assert value.permission in SOURCES[piece].permissions
    assert value.permission.endswith(f":{OPERATIONS[piece]}")
    assert f"in account {SHOP}, eu-west-1" in value.unreadable


@pytest.mark.parametrize("kind", ["truncate", "truncate_unsized", "truncate_valid_length"])
@pytest.mark.parametrize("piece", sorted(OPERATIONS))
def test_a_truncated_answer_is_unreadable_and_never_empty(aws, piece: str, kind: str) -> None:
    embedded = aws({"name": "dead", **DEAD})
    embedded.fault(kind, operation=OPERATIONS[piece], times=None)
    value = getattr(read(embedded, piece)["dead"], piece)
    assert isinstance(value, Unreadable)


@pytest.mark.parametrize(
    "piece", ["alias_moves", "aliases", "grants", "history", "later_aliases", "use_attempts"]
)
def test_a_truncated_second_page_is_unreadable_too(aws, piece: str) -> None:
    embedded = aws(
        {
            "name": "rich",
            **DEAD,
            "grants": [{"grantee": "arn:aws:iam::{account}:role/x", "count": 60}],
            "aliases": [f"alias/rich-{n}" for n in range(49)],
            "events": [event("DescribeKey", 1, count=60), event("DisableKey", 2, count=60)],
        },
        {"name": "more", "aliases": [f"alias/more-{n}" for n in range(49)], **DEAD},
    )
    embedded.fault("truncate", operation=OPERATIONS[piece], skip=1, times=None)
    names = ["rich", "more"] if piece == "aliases" else ["rich"]
    value = getattr(read(embedded, piece, names=names)["rich"], piece)
    assert isinstance(value, Unreadable)


def test_an_error_with_one_key_is_the_row_of_that_key(aws) -> None:
    embedded = aws({"name": "sick", **DEAD}, {"name": "well", **DEAD})
    arn = next(key["arn"] for key in embedded.keys() if key["name"] == "sick")
    embedded.fault("deny", operation="ListGrants", key=arn, times=None)
    found = read(embedded, "grants")
    assert isinstance(found["sick"].grants, Unreadable)
    assert found["well"].grants == ()


def test_an_account_that_cannot_be_entered_is_unknown(aws) -> None:
    aws({"name": "dead", **DEAD})
    foreign = KeyArn("aws", DATA, "eu-west-1", "00000000-0000-0000-0000-000000000000")
    found = Collector(Accounts(settings=FAST)).collect(
        [foreign], lambda e: PIECES - {p for p in PIECES if getattr(e, p)}
    )
    assert all(isinstance(getattr(found[foreign], piece), Unreadable) for piece in PIECES)
    assert "--role-name" in found[foreign].description.unreadable


def test_a_piece_without_a_source_is_unreadable(aws) -> None:
    embedded = aws({"name": "dead", **DEAD})
    value = read(embedded, "tags", sources={})["dead"].tags
    assert isinstance(value, Unreadable)
    assert value.unreadable.endswith(f"no source reads it ({OUR_BUG})")


def test_an_answer_that_is_not_understood_is_unknown(aws) -> None:
    def odd(*_: object) -> object:
        return {}["Grants"]

    embedded = aws({"name": "dead", **DEAD})
    sources = {"grants": Source("grants", SOURCES["grants"].cost, (), read_key=odd)}
    value = read(embedded, "grants", sources=sources)["dead"].grants
    assert isinstance(value, Unreadable)
    assert "not understood (KeyError" in value.unreadable


def test_a_value_of_the_wrong_kind_is_unknown(aws) -> None:
    embedded = aws({"name": "dead", **DEAD})
    wrong = Source("grants", SOURCES["grants"].cost, (), read_key=lambda *_: "none")
    value = read(embedded, "grants", sources={"grants": wrong})["dead"].grants
    assert isinstance(value, Unreadable)


def test_text_that_no_plan_can_hold_makes_one_piece_of_one_key_unreadable(aws) -> None:
    embedded = aws({"name": "odd", **DEAD}, {"name": "dead", **DEAD})
    (odd,) = (one["arn"] for one in embedded.keys() if one["name"] == "odd")
    tags = Source(
        "tags",
        SOURCES["tags"].cost,
        (),
        read_key=lambda _, key: {"team": "\ud800" if str(key.key_arn) == odd else "data"},
    )
    found = read(embedded, "tags", sources={"tags": tags})
    assert isinstance(found["odd"].tags, Unreadable)
    assert found["dead"].tags == {"team": "data"}
