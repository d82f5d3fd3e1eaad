"""What a plan over an organization takes: python -m benchmarks.simulate_organization [--quick].

The real planner makes a plan of whole accounts: collector, rules, limiter, sessions of roles,
botocore's clients, signing and parsing. Only the last step is not real, the sending: the light AWS
answers in this process, with AWS's quotas, after 40 ms; and nobody waits in real time
(`virtual_time`). Accounts and Regions have quotas of their own and share nothing but the machine
that plans; so some Regions of one account are simulated in full, several accounts to see how long
each waits for its scan, and the rest is multiplied. Processor time is measured apart, of real
commands that send real requests, with one process and with two.

Prints the tables of docs/scale.md.
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from unittest.mock import patch
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from keysweep.remediation import planner, policy_file
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.aws.concurrency import ACCOUNT_REGIONS, SCANS
from keysweep.remediation.aws.quotas import per_second
from keysweep.remediation.evidence import SOURCES, ahead, collector
from keysweep.remediation.evidence.history.athena import FRESH, AthenaHistory, Keep
from keysweep.remediation.evidence.history.athena_query import AthenaName
from keysweep.remediation.evidence.references import scan
from keysweep.remediation.findings import Results
from keysweep.remediation.models import (
    NEXT_WAVE,
    AliasMoves,
    Evidence,
    Finding,
    FindingStatus,
    KeyArn,
    KeyHistory,
    UseAttempts,
    VerdictKind,
)

from .aws import Aws
from .aws_server import Setting, World, answer_to
from .bench_jobs import Measured
from .scenario import OWN, REGIONS, Scenario, access_key
from .virtual_time import VirtualTime

ACCOUNTS: Final = 1_000
REGIONS_EACH: Final = 17
KEYS_EACH: Final = 500

SAMPLED: Final = 3
"""Regions of an account that are simulated."""

AT_A_TIME: Final = 100
"""Accounts that a distributed map works on side by side, a task of its own for each."""

CORES: Final = 16
"""Processes of a machine for which the time is computed."""

JOBS_SCENARIO: Final = Scenario(8, 3, 50)
"""What one and two processes are measured with: as many disabled keys as in `SHARES`."""

QUICK_SCENARIO: Final = Scenario(4, 2, 10)

ALONE: Final = Scenario(1, 1, 1)
"""What the start of a process is measured with."""

LATENCY: Final = 0.040
"""Seconds of every answer."""

KMS_DOLLARS: Final = 0.03 / 10_000
"""A request to KMS beyond the free ones ("AWS Key Management Service Pricing")."""

A_MONTH: Final = 1.0
"""Dollars of a key ("AWS Key Management Service Pricing")."""


@dataclass(frozen=True)
class Share:
    """How many keys of an account-Region are disabled, and how many of these a tag holds."""

    name: str
    one_disabled_in: int
    kept: int
    athena: bool = False
    """Whether `--history` reads the log files of a trail. Not counted: Athena's own time, and the
    event history's about the keys of the first wave, a request each."""

    @property
    def disabled(self) -> int:
        """In one account-Region."""
        return KEYS_EACH // self.one_disabled_in


SHARES: Final = (
    Share("10 % disabled, 80 % of these tagged", 10, 80),
    Share("10 % disabled", 10, 0),
    Share("10 % disabled, Athena", 10, 0, athena=True),
    Share("all disabled", 1, 0),
    Share("all disabled, Athena", 1, 0, athena=True),
)


@dataclass(frozen=True)
class Simulated:
    """A plan of whole accounts."""

    seconds: float
    requests: Mapping[str, float]
    throttled: int
    scheduled: int

    @property
    def total(self) -> float:
        """All requests."""
        return sum(self.requests.values())

    @property
    def to_kms(self) -> float:
        """Requests that KMS has its price for."""
        return sum(n for name, n in self.requests.items() if name.startswith("kms:"))


class _NoEvents(AthenaHistory):
    """A table without an event about any key."""

    @classmethod
    def of(cls, accounts: Accounts) -> _NoEvents:
        """Over the policy's days, up to yesterday."""
        name = AthenaName("team", "audit", "trail")
        return cls(accounts, name, 400, 10**12, accounts.clock.now() - FRESH)

    def read(
        self,
        keys: Iterable[KeyArn],
        known: Mapping[KeyArn, Evidence],  # noqa: ARG002 - as the base
        keep: Keep,
    ) -> None:
        """Nothing, and that for the whole window."""
        since = self.since
        for arn in keys:
            keep(
                Evidence(
                    key_arn=arn,
                    alias_moves=AliasMoves(since=since),
                    history=KeyHistory(since=since),
                    use_attempts=UseAttempts(since=since),
                )
            )


class _Sent:
    """Answers every request in this process."""

    def __init__(self, world: World, clock: VirtualTime) -> None:
        self._world = world
        self._clock = clock

    def __call__(self, request: AWSPreparedRequest) -> AWSResponse:
        address = urlsplit(request.url)
        path = f"{address.path}?{address.query}" if address.query else address.path
        lines = [f"{request.method} {path} HTTP/1.1", f"Host: {address.netloc}"]
        for name, value in request.headers.items():
            lines.append(f"{name}: {value.decode() if isinstance(value, bytes) else value}")
        given = request.body or b""
        body = given if isinstance(given, bytes) else given.encode()
        status, kind, text = answer_to(self._world, "\r\n".join(lines).encode(), body)
        self._clock.sleep(LATENCY)
        headers = {"Content-Type": kind, "Content-Length": str(len(text))}
        return AWSResponse(request.url, status, headers, _Body(text))


class _Body(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        """As urllib3's."""
        yield self.read()


def simulate(share: Share, accounts: int, regions: int) -> Simulated:
    """Make the plan of so many accounts; the first belongs to the given credentials."""
    scenario = _Held(accounts, regions, KEYS_EACH, share.one_disabled_in, share.kept)
    world = World(Setting(0.0, True, scenario))
    most = 0 if share.athena else 10**6
    rules = policy_file.load().model_copy(update={"max_keys": most})
    now = datetime.now(UTC)
    found = tuple(
        Finding(
            scanner="prowler",
            check_id="kms_cmk_not_disabled",
            status=FindingStatus.FAIL,
            source="results.ocsf.json",
            position=f"record {number}",
            key_arn=KeyArn.parse(arn),
            time=now,
        )
        for number, arn in enumerate(filter(scenario.is_disabled, scenario.arns()), 1)
    )
    with (
        VirtualTime(ahead, collector, scan) as clock,
        patch.object(URLLib3Session, "send", _sending(_Sent(world, clock))),
    ):
        connections = Accounts(
            Access(role_name="KeysweepReader"), ClientSettings(rules.quota_share)
        )
        sources, history = dict(SOURCES), None
        if share.athena:
            history = _NoEvents.of(connections)
            sources |= history.sources()
        made = planner.build(
            Results((), found, (), ()),
            rules,
            collector.Collector(connections, sources=sources),
            history=history,
        )
        seconds = clock.now
    unread = {
        hold.rule
        for item in made.items
        for hold in item.reasons
        if item.verdict is VerdictKind.HOLD and hold.rule not in {"protected-tag", NEXT_WAVE}
    }
    assert not unread, f"the simulation holds keys for {unread}"
    return Simulated(
        seconds,
        world.counts,
        world.throttled.total(),
        sum(not item.reasons or item.reasons[0].rule == NEXT_WAVE for item in made.items),
    )


def _sending(sent: _Sent) -> Any:
    return lambda _session, request: sent(request)


@dataclass(frozen=True)
class _Held(Scenario):
    """A scenario in which the tag holds a share of the disabled keys."""

    def is_kept(self, arn: str) -> bool:
        """By the key's number among the disabled ones, in tens."""
        return int(arn[-12:], 16) // self.disabled_one_in % 10 * 10 < self.kept


def main() -> None:
    """Simulate, and print the tables."""
    parser = argparse.ArgumentParser(prog="simulate_organization", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two Regions instead of three")
    regions = 2 if parser.parse_args().quick else SAMPLED
    with credentials():
        _print(regions)


def credentials() -> Any:
    """A context with the credentials of the first account."""
    return patch.dict(
        os.environ,
        {
            "AWS_ACCESS_KEY_ID": access_key(OWN),
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_REGION": REGIONS[0],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        },
    )


def _print(regions: int) -> None:
    one = {share: scaled(simulate(share, 1, regions), 1 / regions) for share in SHARES}
    turn = scan_seconds(regions)
    jobs, each = measured()
    tables = (
        _account(one, each, turn * (REGIONS_EACH - regions)),
        _bound(one),
        _organization(one, each, turn, regions),
        jobs,
    )
    for table in tables:
        print(table)
    print(
        f"{CORES} cores: the largest of\n"
        f"* account-Regions in turn: seconds of {regions} / ({ACCOUNT_REGIONS} x {CORES}),\n"
        f"* scans in turn: {turn:.2f} s of each account-Region / {CORES},\n"
        f"* processors: requests x {each * 1000:.2f} ms / {CORES}.\n"
        f"Queries in Athena, whose time comes on top: "
        f"one for each of {REGIONS_EACH} Regions"
    )


def scan_seconds(regions: int) -> float:
    """Seconds that a process takes for one more account-Region, where scans wait for their turn."""
    few, many = (3 * SCANS // regions, 9 * SCANS // 2 // regions)
    waited = [simulate(SHARES[0], accounts, regions).seconds for accounts in (few, many)]
    return (waited[1] - waited[0]) / (many - few) / regions


def scaled(made: Simulated, times: float) -> Simulated:
    """That many account-Regions like this one, concurrently: the seconds stay the same."""
    return Simulated(
        made.seconds,
        {name: n * times for name, n in made.requests.items()},
        made.throttled,
        round(made.scheduled * times),
    )


def seconds_on(one: Simulated, each: float, turn: float, cores: int) -> float:
    """Seconds of all account-Regions with a process for each core: what binds."""
    account_regions = ACCOUNTS * REGIONS_EACH
    in_turn = max(one.seconds / ACCOUNT_REGIONS, turn)
    return max(in_turn, one.total * each) * account_regions / cores


def _account(one: Mapping[Share, Simulated], each: float, later: float) -> str:
    """One account, whose last scan begins later than in the simulation of few Regions."""
    account = {share: scaled(made, REGIONS_EACH) for share, made in one.items()}
    return _table(
        (f"one account: {REGIONS_EACH} Regions x {KEYS_EACH} keys", "candidates", "to schedule"),
        ("requests", "KMS requests", "throttled", "seconds", "CPU seconds"),
        [
            (
                share.name,
                f"{share.disabled * REGIONS_EACH:,}",
                f"{made.scheduled:,}",
                f"{made.total:,.0f}",
                f"{made.to_kms:,.0f}",
                f"{made.throttled}",
                f"{made.seconds + later:,.0f}",
                f"{made.total * each:,.0f}",
            )
            for share, made in account.items()
        ],
    )


def _bound(one: Mapping[Share, Simulated]) -> str:
    """The operations that take longest at their allowed rate, in one account-Region."""
    rows = []
    paced = policy_file.load().quota_share
    for share, made in one.items():
        floors = {name: n / (per_second(name) * paced) for name, n in made.requests.items()}
        rows += (
            (
                share.name,
                f"`{name}`",
                f"{made.requests[name]:,.0f}",
                f"{per_second(name):g}/s",
                f"{floors[name]:,.0f}",
                f"{floors[name] / made.seconds:.0%}",
            )
            for name in sorted(floors, key=lambda name: -floors[name])[:2]
        )
    return _table(
        ("one account-Region", "operation", "requests", "AWS's quota"),
        ("seconds at 80 %", "share of the time"),
        rows,
    )


def _organization(one: Mapping[Share, Simulated], each: float, turn: float, regions: int) -> str:
    rows = []
    for share, made in one.items():
        account = scaled(made, REGIONS_EACH)
        alone = made.seconds + turn * (REGIONS_EACH - regions)
        cpu = account.total * each
        rows.append(
            (
                share.name,
                f"{share.disabled * REGIONS_EACH * ACCOUNTS:,}",
                f"{account.total * ACCOUNTS / 1e6:,.1f} million",
                f"{seconds_on(made, 0, turn, 1) / 3600:,.1f} h",
                f"{cpu * ACCOUNTS / 3600:,.1f} h",
                f"{seconds_on(made, each, turn, CORES) / 60:,.0f} min",
                f"{max(alone, cpu) * ACCOUNTS / AT_A_TIME / 60:,.0f} min",
                f"${account.to_kms * ACCOUNTS * KMS_DOLLARS:,.0f}",
                f"${account.scheduled * ACCOUNTS * A_MONTH:,.0f}",
            )
        )
    return _table(
        (f"{ACCOUNTS:,} accounts x {REGIONS_EACH} x {KEYS_EACH}", "candidates", "requests"),
        (
            *("one process, by waiting", "one core, by CPU", f"{CORES} cores"),
            *(f"{AT_A_TIME} accounts at a time", "KMS requests", "monthly savings at most"),
        ),
        rows,
    )


def measured(*, quick: bool = False) -> tuple[str, float]:
    """A table of one and two processes, measured as real ones against the light AWS, and the
    seconds of the processor for one request of the two, their starts left out.
    """
    scenario = QUICK_SCENARIO if quick else JOBS_SCENARIO
    with Aws() as aws:
        start = Measured(aws, ALONE, 1)
        both = {jobs: Measured(aws, scenario, jobs) for jobs in (1, 2)}
        for one in (start, *both.values()):
            one.plan()
    each = [
        (one.cpu - jobs * start.cpu) / (one.requests - jobs * start.requests)
        for jobs, one in both.items()
    ]
    accounts, regions, keys = scenario.accounts, scenario.regions, scenario.keys
    table = _table(
        (f"{accounts} accounts x {regions} Regions x {keys} disabled keys", "requests", "seconds"),
        ("CPU seconds", "CPU of a request", "MB of the largest process", "times as fast"),
        [
            (
                f"--jobs {jobs}, measured",
                f"{one.requests:,}",
                f"{one.wall:,.0f}",
                f"{one.cpu:,.0f}",
                f"{cpu * 1000:.2f} ms",
                f"{one.rss:,.0f}",
                f"{both[1].wall / one.wall:.2f}",
            )
            for (jobs, one), cpu in zip(both.items(), each, strict=True)
        ],
    )
    return table, each[-1]


def _table(head: tuple[str, ...], more: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [(*head, *more), tuple("---" for _ in (*head, *more)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
