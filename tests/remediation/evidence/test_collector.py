"""The collector asks the cheapest first, and nothing expensive about a held key."""

from __future__ import annotations

import threading
import tracemalloc
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from botocore.session import Session
from dead_key import ACCOUNT, ARN, DEAD, NOW, changed, policy

from keysweep.remediation.aws.clients import MOST_CLIENTS
from keysweep.remediation.aws.concurrency import SCANS
from keysweep.remediation.errors import AccountUnavailable
from keysweep.remediation.evidence import SOURCES, Collector, Source
from keysweep.remediation.evidence.collector import OUR_BUG, operations
from keysweep.remediation.evidence.references.entries import reference_list
from keysweep.remediation.evidence.turns import Turns
from keysweep.remediation.models import (
    PIECES,
    AccountRegion,
    Cost,
    Evidence,
    Grant,
    KeyArn,
    Unreadable,
)
from keysweep.remediation.planner import FOR_REVIEW
from keysweep.remediation.policy import Policy
from keysweep.remediation.rules import RULES, evaluate

SHUT = "account 000000000000 is shut"


class NoConnection:
    """A connection without clients."""

    def __init__(self, account_region: AccountRegion) -> None:
        self.account_id = account_region.account_id
        self.region = account_region.region

    def limited_to(self, _operations: frozenset[str]) -> NoConnection:
        return self

    def acting(self) -> AbstractContextManager[None]:
        return nullcontext()


class NoAccounts:
    """Every account is open, and there is nothing in it: the sources below know it all."""

    def connect(self, account_region: AccountRegion) -> NoConnection:
        if account_region.account_id == "000000000000":
            raise AccountUnavailable(SHUT)
        return NoConnection(account_region)


class World:
    """Sources that answer from memory, and remember what was asked."""

    def __init__(self, *truth: Evidence) -> None:
        self.truth = {evidence.key_arn: evidence for evidence in truth}
        self.reads: list[tuple[str, KeyArn]] = []

    def sources(self) -> dict[str, Source]:
        return {piece: self._source(source) for piece, source in SOURCES.items()}

    def _source(self, source: Source) -> Source:
        piece = source.piece

        def read_key(_: Any, evidence: Evidence) -> Any:
            self.reads.append((piece, evidence.key_arn))
            return getattr(self.truth[evidence.key_arn], piece)

        def read_account_region(connection: Any, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
            return {evidence.key_arn: read_key(connection, evidence) for evidence in group}

        if source.read_key is not None:
            return Source(piece, source.cost, (), read_key=read_key, after=source.after)
        return Source(
            piece, source.cost, (), read_account_region=read_account_region, after=source.after
        )

    def collect(self, under: Policy, *, ask_all: bool = False) -> Mapping[KeyArn, Evidence]:
        collector = Collector(NoAccounts(), sources=self.sources())
        return collector.collect(
            self.truth,
            lambda e: evaluate(e, under, NOW, ask_all=ask_all).unasked,
            lambda arn: Evidence(key_arn=arn, finding_time=self.truth[arn].finding_time),
        )

    def pieces(self, arn: KeyArn = ARN) -> list[str]:
        return [piece for piece, of in self.reads if of == arn]


def cost_of(piece: str) -> int:
    return SOURCES[piece].cost


BY_RULES = {piece for rule in RULES for piece in rule.needed(Policy())}
NEEDED_BY_DEFAULT = BY_RULES.union(*(SOURCES[piece].after for piece in BY_RULES))


def test_every_piece_that_rules_need_is_read_once_for_a_dead_key() -> None:
    world = World(DEAD)
    world.collect(Policy())
    assert Counter(world.pieces()) == Counter(NEEDED_BY_DEFAULT)


def test_the_cheapest_come_first() -> None:
    world = World(DEAD)
    world.collect(Policy())
    costs = [cost_of(piece) for piece in world.pieces()]
    assert costs == sorted(costs)


def test_nothing_is_read_about_a_key_that_free_rules_hold() -> None:
    world = World(DEAD)
    world.collect(policy(accounts={"deny": [ACCOUNT]}))
    assert world.reads == []


@pytest.mark.parametrize(
    ("evidence", "most_expensive"),
    [
        (changed(description={"origin": "EXTERNAL"}), Cost.DESCRIBE),
        (changed(grants=(Grant(grant_id="g", grantee_principal=ACCOUNT),)), Cost.KEY_CALL),
        (changed(history=Unreadable(unreadable="denied")), Cost.EVENT_NAME),
        (changed(last_use={"used": NOW}), Cost.LAST_USE),
    ],
    ids=["description", "grants", "history", "last-use"],
)
def test_nothing_more_expensive_is_read_about_a_held_key(
    evidence: Evidence, most_expensive: Cost
) -> None:
    world = World(evidence)
    world.collect(Policy())
    assert max(cost_of(piece) for piece in world.pieces()) == most_expensive


def test_explain_reads_everything_even_about_a_held_key() -> None:
    world = World(changed(tags={"keysweep:keep": ""}))
    world.collect(policy(protected_keys=["alias/other"]), ask_all=True)
    assert set(world.pieces()) == PIECES - FOR_REVIEW


def test_a_lifted_rule_asks_for_nothing() -> None:
    exception_for = {
        "key": "all",
        "rule": "use-attempted",
        "reason": "x",
        "approved_by": "security",
        "until": "2026-12-31",
    }
    world = World(DEAD)
    world.collect(policy(exceptions=[exception_for]))
    assert set(world.pieces()) == NEEDED_BY_DEFAULT - {"use_attempts"}


def test_expensive_evidence_is_read_only_for_keys_that_need_it() -> None:
    other = KeyArn("aws", ACCOUNT, "us-east-1", ARN.key_id)
    world = World(DEAD, changed(key_arn=other, description={"origin": "EXTERNAL"}))
    world.collect(Policy())
    assert world.pieces(other) == ["description"]
    assert set(world.pieces(ARN)) == NEEDED_BY_DEFAULT


def test_an_account_that_stays_shut_is_unknown_for_its_keys_alone() -> None:
    shut = KeyArn("aws", "000000000000", "eu-west-1", ARN.key_id)
    world = World(DEAD, changed(key_arn=shut))
    found = world.collect(Policy())
    assert found[shut].description == Unreadable(unreadable=SHUT)
    assert found[ARN].use_attempts == DEAD.use_attempts


def test_what_is_read_after_another_waits_for_it() -> None:
    world = World(DEAD)
    collector = Collector(NoAccounts(), sources=world.sources())
    collector.collect(
        [ARN],
        lambda e: frozenset({"rotations"}) if e.rotations is None else frozenset(),
    )
    assert world.pieces() == ["description", "rotations"]


def test_a_key_that_a_source_leaves_out_is_unknown() -> None:
    forgetful = Source("tags", Cost.KEY_CALL, (), read_account_region=lambda *_: {})
    found = Collector(NoAccounts(), sources={"tags": forgetful}).collect(
        [ARN],
        lambda e: frozenset({"tags"}) if e.tags is None else frozenset(),
    )
    assert isinstance(found[ARN].tags, Unreadable)
    assert found[ARN].tags.unreadable.endswith(f"left out this key ({OUR_BUG})")


def test_a_source_of_one_region_is_read_once_for_the_keys_of_all_regions() -> None:
    """It gets the keys that wait for its other pieces too."""
    asked: list[tuple[str, set[KeyArn]]] = []

    def source(piece: str) -> Source:
        def read_all(waiting: Mapping[KeyArn, Evidence]) -> Mapping[KeyArn, Any]:
            assert all(evidence.key_arn == arn for arn, evidence in waiting.items())
            asked.append((piece, set(waiting)))
            return dict.fromkeys(waiting, getattr(DEAD, piece))

        return Source(piece, Cost.EVENT_NAME, (), read_all=read_all)

    far = KeyArn("aws", "444455556666", "us-east-1", ARN.key_id)
    pieces = {ARN: ("alias_moves", "history"), far: ("history",)}
    found = Collector(
        NoAccounts(), sources={piece: source(piece) for piece in ("alias_moves", "history")}
    ).collect(pieces, lambda e: frozenset(p for p in pieces[e.key_arn] if getattr(e, p) is None))
    assert asked == [("alias_moves", {ARN, far}), ("history", {ARN, far})]
    assert (found[ARN].alias_moves, found[far].alias_moves) == (DEAD.alias_moves, None)
    assert [found[arn].history for arn in pieces] == [DEAD.history] * 2


def test_keys_of_an_account_region_that_wait_for_different_pieces_get_them() -> None:
    other = KeyArn("aws", ACCOUNT, ARN.region, "0" + ARN.key_id[1:])
    pieces = {ARN: "grants", other: "history"}

    def source(piece: str, cost: Cost) -> Source:
        def read(_: Any, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
            return {evidence.key_arn: getattr(DEAD, piece) for evidence in group}

        return Source(piece, cost, (), read_account_region=read)

    sources = {
        "grants": source("grants", Cost.KEY_CALL),
        "history": source("history", Cost.EVENT_NAME),
    }
    found = Collector(NoAccounts(), sources=sources).collect(
        pieces, lambda e: frozenset({p for p in [pieces[e.key_arn]] if getattr(e, p) is None})
    )
    assert (found[ARN].grants, found[other].history) == (DEAD.grants, DEAD.history)


def test_a_key_that_waits_for_its_turn_keeps_no_other_key_back() -> None:
    """GetKeyLastUsage and LookupEvents have quotas of their own: both are taken from together."""
    expensive = threading.Event()

    def last_use(_: Any, evidence: Evidence) -> Any:
        # The second key goes on only when the first one is at its next, more expensive piece.
        if evidence.key_arn != ARN and not expensive.wait(timeout=120):
            raise TimeoutError
        return DEAD.last_use

    def use_attempts(_: Any, __: Evidence) -> Any:
        expensive.set()
        return DEAD.use_attempts

    other = KeyArn("aws", ACCOUNT, ARN.region, "0" + ARN.key_id[1:])
    sources = {
        "last_use": Source("last_use", Cost.LAST_USE, (), read_key=last_use),
        "use_attempts": Source("use_attempts", Cost.EVENT_KEY, (), read_key=use_attempts),
    }
    found = Collector(NoAccounts(), sources=sources).collect(
        [ARN, other],
        lambda e: frozenset(piece for piece in sources if getattr(e, piece) is None),
    )
    assert [e.use_attempts for e in found.values()] == [DEAD.use_attempts] * 2


def test_account_regions_are_read_in_parallel() -> None:
    together = threading.Barrier(40, timeout=120)

    def describe(_: Any, __: Evidence) -> Any:
        together.wait()
        return DEAD.description

    source = Source("description", Cost.DESCRIBE, (), read_key=describe)
    arns = [KeyArn("aws", f"{n:012d}", "eu-west-1", ARN.key_id) for n in range(1, 41)]
    found = Collector(NoAccounts(), sources={"description": source}).collect(
        arns,
        lambda e: frozenset({"description"}) if e.description is None else frozenset(),
    )
    assert {e.description for e in found.values()} == {DEAD.description}


def test_progress_gets_the_piece_and_the_number_of_keys() -> None:
    reported: list[tuple[str, int]] = []
    world = World(DEAD)
    collector = Collector(
        NoAccounts(), sources=world.sources(), progress=lambda p, n: reported.append((p, n))
    )
    collector.collect([ARN], lambda e: evaluate(e, Policy(), NOW).unasked)
    assert reported == [(piece, 1) for piece in world.pieces()]


def test_every_source_is_declared_in_full() -> None:
    assert set(SOURCES) == PIECES
    for source in SOURCES.values():
        assert source.permissions, source.piece
        assert all(action.count(":") == 1 for action in source.permissions)
        assert source.cost > Cost.FREE
        assert set(source.after) <= PIECES


@pytest.mark.parametrize("piece", ["tags", "description", "aliases", "grants", "rotations"])
def test_evidence_that_could_not_be_read_stays_so_in_json(piece: str) -> None:
    evidence = Evidence.model_validate(
        {
            "key_arn": KeyArn.parse(
                f"arn:aws:kms:eu-west-1:111122223333:key/{'1' * 8}-1111-1111-1111-{'1' * 12}"
            ),
            piece: Unreadable(unreadable="denied"),
        }
    )
    for text in (evidence.model_dump_json(), evidence.model_dump_json(exclude_none=True)):
        assert getattr(Evidence.model_validate_json(text), piece) == Unreadable(unreadable="denied")


def test_accounts_share_reduced_clients_of_every_operation_that_sources_call() -> None:
    session = Session()
    known = {
        f"{service}:{operation}"
        for service in {name.split(":")[0] for name in operations()}
        for operation in session.get_service_model(service).operation_names
    }
    assert operations() <= known
    assert {"cloudtrail:LookupEvents", "kms:DescribeKey"} <= operations()
    services = {name.split(":")[0] for name in operations() | reference_list().operations()}
    # Those of a Region, and the own ones of three accounts that are scanned at a time.
    assert len(services) + SCANS * 10 <= MOST_CLIENTS


def test_scans_of_a_region_follow_each_other() -> None:
    turns = Turns(1)
    order: list[str] = []
    begun = threading.Event()
    waiting = [*("b", "a", "c", "b"), *("a", "c")]

    def one(region: str) -> None:
        with turns.of(region):
            order.append(region)

    with ThreadPoolExecutor(len(waiting)) as threads, turns.of("b"):
        for region in waiting:
            threads.submit(one, region)
        begun.wait(0.2)
        assert not order
    assert order == ["b", "b", "a", "a", "c", "c"]


@pytest.mark.parametrize(("account_regions", "ahead"), [(SCANS + 1, True), (SCANS, False)])
def test_keys_of_many_account_regions_are_read_ahead_while_these_are_scanned(
    account_regions: int, *, ahead: bool
) -> None:
    """Each key is looked up once, and one that the scan holds does not show its lookup."""
    lookups: Counter[KeyArn] = Counter()
    all_looked_up = threading.Event()
    arns = [
        KeyArn("aws", ACCOUNT, region, number + ARN.key_id[1:])
        for region in [f"eu-west-{n}" for n in range(1, 6)][:account_regions]
        for number in "01"
    ]

    def scan(_: Any, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
        if ahead and not all_looked_up.wait(120):
            raise TimeoutError
        return {e.key_arn: DEAD.references for e in group}

    def use_attempts(_: Any, evidence: Evidence) -> Any:
        lookups[evidence.key_arn] += 1
        if len(lookups) == len(arns):
            all_looked_up.set()
        return DEAD.use_attempts

    def needed(evidence: Evidence) -> frozenset[str]:
        if evidence.references is not None and evidence.key_arn.key_id.startswith("0"):
            return frozenset()
        return frozenset(piece for piece in sources if getattr(evidence, piece) is None)

    sources = {
        "references": Source("references", Cost.ACCOUNT_REGION_SCAN, (), read_account_region=scan),
        "use_attempts": Source("use_attempts", Cost.EVENT_KEY, (), read_key=use_attempts),
    }
    found = Collector(NoAccounts(), sources=sources).collect(arns, needed)
    needy = {arn for arn in arns if arn.key_id.startswith("1")}
    assert lookups == Counter(arns if ahead else needy)
    assert {arn for arn, evidence in found.items() if evidence.use_attempts} == needy
    assert {evidence.references for evidence in found.values()} == {DEAD.references}


@pytest.mark.sample
def test_keys_that_wait_for_all_others_take_no_memory() -> None:
    """Their evidence is on disk, and so may be what is read for them."""
    arns = [
        KeyArn("aws", f"{1 + n // 10:012d}", ARN.region, f"{n:08x}{ARN.key_id[8:]}")
        for n in range(4_000)
    ]

    def tags(_: Any, group: Sequence[Evidence]) -> Mapping[KeyArn, Any]:
        return {e.key_arn: {f"{e.key_arn.key_id}-{n}": str(n) for n in range(50)} for e in group}

    def history(waiting: Mapping[KeyArn, Evidence]) -> Mapping[KeyArn, Any]:
        return dict.fromkeys(waiting, DEAD.history)

    sources = {
        "tags": Source("tags", Cost.KEY_CALL, (), read_account_region=tags),
        "history": Source("history", Cost.EVENT_NAME, (), read_all=history),
    }
    tracemalloc.start()
    try:
        found = Collector(NoAccounts(), sources=sources).collect(
            arns, lambda e: frozenset(p for p in sources if getattr(e, p) is None)
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found[arns[-1]].history == DEAD.history
    assert peak < 20_000_000


@pytest.mark.parametrize(("patience", "together"), [(60.0, False), (0.05, True)])
def test_scans_of_another_region_wait_for_those_of_the_first_but_not_forever(
    patience: float, *, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turns, "PATIENCE", patience)
    turns = Turns(3)
    begun = {region: threading.Event() for region in ("a", "b")}

    def one(region: str) -> None:
        with turns.of(region):
            begun[region].set()

    with ThreadPoolExecutor(2) as threads:
        with turns.of("a"):
            for region in begun:
                threads.submit(one, region)
            assert begun["a"].wait(10)
            assert begun["b"].wait(10 if together else 0.2) is together
        assert begun["b"].wait(10)
