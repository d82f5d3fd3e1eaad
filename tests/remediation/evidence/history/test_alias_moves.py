"""Which key an alias was moved away from, as events of CloudTrail alone tell."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dead_key import ACCOUNT, ARN, changed
from scenarios import DEAD

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Accounts, ClientSettings
from keysweep.remediation.evidence import SOURCES, Collector
from keysweep.remediation.evidence.history.alias_moves import SHOWN, Moves
from keysweep.remediation.evidence.history.athena import AthenaHistory
from keysweep.remediation.evidence.history.events import TrailEvent, parse
from keysweep.remediation.models import AliasMoves, Evidence, KeyArn, Unreadable

T0 = datetime(2026, 10, 1, tzinfo=UTC)
HOME = f"arn:aws:kms:eu-west-1:{ACCOUNT}:"
OLD, NEW, OTHER = (f"{n * 8}-0000-0000-0000-000000000000" for n in "abc")


def seen(
    name: str, second: int, key: str | None = None, alias: str = "alias/shop", **more: Any
) -> TrailEvent:
    """One event as CloudTrail records it; DeleteAlias has its key in the resources alone."""
    request = {"aliasName": alias}
    if name != "DeleteAlias" and key is not None:
        request["targetKeyId"] = key
    arn = key if key is None or key.startswith("arn:") else f"{HOME}key/{key}"
    detail = {
        "userIdentity": {"arn": "alice"},
        "requestParameters": request,
        "resources": [{"ARN": HOME + alias}, *([{"ARN": arn}] if arn else [])],
        **more,
    }
    time = T0 + timedelta(seconds=second)
    record = {"EventName": name, "EventTime": time, "CloudTrailEvent": json.dumps(detail)}
    return parse(record)


def away(*events: TrailEvent) -> dict[str, list[tuple[str, str, int]]]:
    """By former key: alias, new key and second of its moves, in whatever order the events come."""
    answers = [
        {
            key: [(m.alias, m.key_id, (m.time - T0).seconds) for m in moves]
            for key, moves in Moves.of(order).away.items()
        }
        for order in itertools.permutations(events)
    ]
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def unexplained(*events: TrailEvent) -> list[tuple[str, str]]:
    """Alias and new key of the moves from a key that no event shows."""
    return [(move.alias, move.key_id) for move in Moves.of(events).unexplained]


CREATED, MOVED = seen("CreateAlias", 0, OLD), seen("UpdateAlias", 5, NEW)


def test_the_former_key_is_that_of_the_newest_earlier_event() -> None:
    assert away(CREATED, MOVED) == {OLD: [("alias/shop", NEW, 5)]}
    assert unexplained(CREATED, MOVED) == []


def test_every_key_of_a_chain_is_former_but_the_last() -> None:
    assert away(CREATED, MOVED, seen("UpdateAlias", 9, OTHER)) == {
        OLD: [("alias/shop", NEW, 5)],
        NEW: [("alias/shop", OTHER, 9)],
    }


def test_a_move_in_two_steps_is_a_move() -> None:
    for gone in (seen("DeleteAlias", 3, OLD), seen("DeleteAlias", 3)):
        assert away(CREATED, gone, seen("CreateAlias", 5, NEW)) == {OLD: [("alias/shop", NEW, 5)]}
        assert unexplained(CREATED, gone, seen("CreateAlias", 5, NEW)) == []


def test_a_deletion_before_the_creation_shows_the_former_key() -> None:
    events = seen("DeleteAlias", 3, OLD), seen("CreateAlias", 5, NEW)
    assert away(*events) == {OLD: [("alias/shop", NEW, 5)]}
    assert unexplained(*events) == []


def test_a_deletion_that_names_no_key_leaves_the_former_key_unexplained() -> None:
    assert unexplained(seen("DeleteAlias", 3), seen("CreateAlias", 5, NEW)) == [("alias/shop", NEW)]
    assert unexplained(seen("DeleteAlias", 5), seen("CreateAlias", 5, NEW)) == [("alias/shop", NEW)]
    assert unexplained(seen("CreateAlias", 3, NEW), seen("DeleteAlias", 5)) == []


def test_an_update_without_an_earlier_event_is_unexplained() -> None:
    assert unexplained(MOVED, seen("UpdateAlias", 9, OTHER)) == [("alias/shop", NEW)]
    assert unexplained(CREATED) == []


def test_an_alias_that_is_only_deleted_has_not_moved() -> None:
    gone = seen("DeleteAlias", 3, OLD)
    assert away(CREATED, gone) == {}
    assert unexplained(CREATED, gone) == unexplained(gone) == []
    # What it was moved away from before stays a former key.
    assert away(CREATED, MOVED, seen("DeleteAlias", 9, NEW)) == {OLD: [("alias/shop", NEW, 5)]}


def test_an_alias_that_was_moved_back_is_on_its_key_again() -> None:
    assert away(CREATED, MOVED, seen("UpdateAlias", 9, OLD)) == {NEW: [("alias/shop", OLD, 9)]}


def test_an_update_to_the_same_key_is_no_move() -> None:
    assert away(CREATED, seen("UpdateAlias", 5, OLD), seen("UpdateAlias", 6, OLD)) == {}


def test_within_one_second_each_event_may_be_the_earlier_one() -> None:
    assert set(away(seen("UpdateAlias", 5, OLD), seen("UpdateAlias", 5, NEW), CREATED)) == {
        OLD,
        NEW,
    }
    together = seen("CreateAlias", 5, OLD), seen("UpdateAlias", 5, NEW)
    assert unexplained(*together) == [("alias/shop", NEW)]


@pytest.mark.parametrize("form", ["{}", HOME + "key/{}"])
def test_a_target_is_an_id_or_an_arn(form: str) -> None:
    events = seen("CreateAlias", 0, form.format(OLD)), seen("UpdateAlias", 5, form.format(NEW))
    assert away(*events) == {OLD: [("alias/shop", NEW, 5)]}


def test_calls_that_failed_moved_nothing() -> None:
    refused = seen("UpdateAlias", 5, NEW, errorCode="AccessDenied")
    assert away(CREATED, refused) == {}
    assert unexplained(refused) == []


def test_aliases_of_aws_and_other_aliases_are_apart() -> None:
    theirs = [seen(n, s, k, "alias/aws/ebs") for n, s, k in [("UpdateAlias", 1, NEW)]]
    assert unexplained(*theirs) == []
    assert away(CREATED, seen("CreateAlias", 5, NEW, "alias/other")) == {}


@pytest.mark.parametrize(
    "event",
    [
        seen("UpdateAlias", 1, None),
        seen("UpdateAlias", 1, OLD, requestParameters=None),
        seen("DeleteAlias", 1, OLD, requestParameters=None),
    ],
)
def test_an_event_without_its_request_is_not_understood(event: TrailEvent) -> None:
    with pytest.raises(ValueError, match="alias"):
        Moves.of([event])


def possible(evidence: Evidence, *events: TrailEvent) -> list[str]:
    """The aliases that may have been moved away from the key."""
    return [move.alias for move in Moves.of(events).of_key(evidence, T0).possible]


def test_a_key_may_be_the_former_one_if_it_is_older_and_had_no_other_alias() -> None:
    bare = changed(aliases=())
    young = changed(aliases=(), description={"creation_date": T0 + timedelta(seconds=6)})
    same_second = changed(
        aliases=(), description={"creation_date": T0 + timedelta(seconds=5, milliseconds=700)}
    )
    assert possible(bare, MOVED) == possible(same_second, MOVED) == ["alias/shop"]
    assert possible(young, MOVED) == possible(changed(), MOVED) == []
    assert possible(changed(aliases=Unreadable(unreadable="x")), MOVED) == ["alias/shop"]


@pytest.mark.parametrize("second", [4, 5, 6])
def test_an_alias_that_the_key_got_within_the_history_is_no_other_alias(second: int) -> None:
    renamed = changed(aliases=("alias/shop-old",))
    got = seen("CreateAlias", second, ARN.key_id, "alias/shop-old")
    assert possible(renamed, MOVED, got) == ["alias/shop"]
    assert possible(renamed, MOVED) == []


def test_the_key_that_got_the_alias_is_not_its_former_one() -> None:
    assert possible(changed(aliases=()), seen("UpdateAlias", 5, ARN.key_id)) == []


def test_of_many_moves_the_newest_are_kept() -> None:
    moves = [seen("UpdateAlias", n, NEW, f"alias/a{n}") for n in range(SHOWN + 5)]
    assert possible(changed(aliases=()), *moves) == [f"alias/a{n}" for n in range(SHOWN + 4, 4, -1)]


def test_a_new_move_is_a_difference_and_an_aged_one_is_none() -> None:
    two = Moves.of([CREATED, MOVED, seen("CreateAlias", 0, OLD, "alias/b")])
    key = changed(key_arn=KeyArn.parse(f"{HOME}key/{OLD}"))
    now = two.of_key(key, T0)
    none = AliasMoves(since=T0 - timedelta(days=1))
    assert changed(alias_moves=now).difference(changed(alias_moves=none)) == ("alias moves",)
    assert changed(alias_moves=none).difference(changed(alias_moves=now)) == ()


# --- against the embedded AWS -------------------------------------------------------------------


def past(name: str, days_ago: float, alias: str = "alias/shop", **more: object) -> dict[str, Any]:
    return {"name": name, "days_ago": days_ago, "alias": alias, **more}


KEYS = [
    {"name": "old", **DEAD, "events": [past("CreateAlias", 60)]},
    {"name": "new", "aliases": ["alias/shop"], "events": [past("UpdateAlias", 30)]},
    {
        "name": "tidied",
        **DEAD,
        "aliases": ["alias/tidied"],
        "events": [past("CreateAlias", 50, "alias/gone"), past("DeleteAlias", 40, "alias/gone")],
    },
]


@pytest.fixture
def moves(
    scenario: Callable[[Mapping[str, Any]], EmbeddedAws], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[EmbeddedAws, dict[str, Evidence]]]:
    """The pieces about aliases of each key, by its name."""

    def read(
        keys: list[dict[str, Any]], *, athena: bool = False
    ) -> tuple[EmbeddedAws, dict[str, Evidence]]:
        region = {"keys": keys, "athena": {"days": 800}}
        embedded = scenario({ACCOUNT: {"regions": {"eu-west-1": region}}})
        for name, value in embedded.environment(ACCOUNT, "eu-west-1").items():
            monkeypatch.setenv(name, value)
        accounts, sources = Accounts(settings=ClientSettings(quota_share=100)), SOURCES
        if athena:
            history = AthenaHistory.open(accounts, "athena:history/audit.trail", 800)
            sources = {**SOURCES, **history.sources()}
        names = {key["arn"]: key["name"] for key in embedded.keys()}
        collector = Collector(accounts, sources=sources)
        pieces = {"alias_moves", "later_aliases"}
        found = collector.collect(
            map(KeyArn.parse, names),
            lambda e: frozenset(p for p in pieces if getattr(e, p) is None),
        )
        return embedded, {names[str(arn)]: evidence for arn, evidence in found.items()}

    return read


@pytest.mark.parametrize("athena", [False, True])
def test_the_old_key_is_found_in_both_histories(moves, athena: bool) -> None:
    embedded, found = moves(KEYS, athena=athena)
    new = embedded.key_arn(ACCOUNT, "eu-west-1", "new").rsplit("/", 1)[-1]
    assert {
        name: [(m.alias, m.key_id) for m in e.alias_moves.moved] for name, e in found.items()
    } == {"old": [("alias/shop", new)], "new": [], "tidied": []}
    assert all(e.alias_moves.possible == () for e in found.values())
    once = {"LookupEvents": 3 * (not athena), "StartQueryExecution": 1 * athena}
    assert {name: len(embedded.calls(operation=name)) for name in once} == once


def test_years_of_moves_are_in_athena_alone(moves) -> None:
    keys = [{**KEYS[0], "events": [past("CreateAlias", 700)]}, *KEYS[1:]]
    assert [m.alias for m in moves(keys, athena=True)[1]["old"].alias_moves.moved] == ["alias/shop"]
    recent = moves(keys)[1]
    assert {name: [m.alias for m in e.alias_moves.possible] for name, e in recent.items()} == {
        "old": ["alias/shop"],
        "new": [],
        "tidied": [],
    }
    assert recent["old"].alias_moves.moved == ()


def test_older_moves_are_listed_for_review(moves) -> None:
    later = {"name": "later", "aliases": [f"alias/l{n:02}" for n in range(22)]}
    _, found = moves(
        [
            {"name": "old", **DEAD, "aliases": ["alias/own"]},
            {**later, "created_days_ago": 500},
            {"name": "older", "created_days_ago": 901, "aliases": ["alias/older"]},
            {"name": "aws/ebs", "manager": "AWS", "aliases": ["alias/aws/ebs"]},
        ]
    )
    listed = found["old"].later_aliases
    assert listed.count == 22
    assert {one.alias for one in listed.newest} <= set(later["aliases"])
    assert len(listed.newest) == 20
    assert found["later"].later_aliases.count == 0
