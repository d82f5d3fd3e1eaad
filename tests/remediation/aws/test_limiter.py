"""The limiter: within AWS's quotas over all clients and threads, slower when throttled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.process import EmbeddedAws
from embedded_aws.quotas import PER_SECOND as EMBEDDED
from keysweep.remediation.aws import Access, Accounts, ClientSettings
from keysweep.remediation.aws.limiter import Limiter, Pace
from keysweep.remediation.aws.quotas import OTHERWISE, PER_SECOND, per_second
from keysweep.remediation.models import KeyArn
from keysweep.remediation.write import OPERATIONS

SHOP = "111122223333"
Scenario = Callable[[Mapping[str, Any]], EmbeddedAws]


class HandClock:
    """A clock that a test moves, or that moves by what a pace sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, ceiling: float) -> Pace:
        return Pace(ceiling, self, self.sleep)


def test_a_burst_of_threads_leaves_at_the_pace() -> None:
    pace = Pace(50)
    start = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda _: pace.wait(), range(40)))
    assert 40 / 50 * 0.95 <= time.monotonic() - start < 60


def test_a_pause_is_followed_by_no_burst() -> None:
    clock = HandClock()
    pace = clock.pace(10)
    clock.now += 60
    for _ in range(5):
        pace.wait()
    assert clock.slept == pytest.approx([0.1, 0.1, 0.1])


def test_a_pace_begins_with_one_token() -> None:
    clock = HandClock()
    pace = clock.pace(4)
    pace.wait()
    assert clock.slept == []
    pace.wait()
    assert clock.slept == pytest.approx([0.25])


def test_throttling_slows_once_a_second_and_success_recovers() -> None:
    clock = HandClock()
    pace = clock.pace(10)
    for _ in range(16):  # answers of requests that left together
        pace.answered(throttled=True)
    assert pace.rate == pytest.approx(7)
    clock.now += 1.5
    pace.answered(throttled=True)
    assert pace.rate == pytest.approx(4.9)
    rates = []
    for _ in range(60):
        clock.now += 0.5
        pace.answered(throttled=False)
        rates.append(pace.rate)
    assert rates == sorted(rates)
    assert rates[0] < 7
    assert rates[-1] == 10


def test_a_change_of_pace_concerns_the_thread_that_waits() -> None:
    clock = HandClock()
    pace = clock.pace(1)
    pace.wait()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        if len(slept) == 1:
            clock.now -= 0.5  # woken early, and the operation was throttled meanwhile
            pace.answered(throttled=True)

    pace._sleep = sleep
    pace.wait()
    assert slept == pytest.approx([1.0, 0.5 / 0.7])


def test_throttling_without_end_never_stops_a_pace() -> None:
    clock = HandClock()
    pace = clock.pace(2)
    for _ in range(100):
        clock.now += 2
        pace.answered(throttled=True)
    assert pace.rate == pytest.approx(0.2)


def test_accounts_regions_and_operations_have_paces_of_their_own() -> None:
    limiter = Limiter(0.5)
    one = limiter.pace("1", "eu-west-1", "kms:ScheduleKeyDeletion")
    assert one is limiter.pace("1", "eu-west-1", "kms:ScheduleKeyDeletion")
    others = {
        limiter.pace("2", "eu-west-1", "kms:ScheduleKeyDeletion"),
        limiter.pace("1", "us-east-1", "kms:ScheduleKeyDeletion"),
        limiter.pace("1", "eu-west-1", "kms:CancelKeyDeletion"),
    }
    assert one not in others
    assert len(others) == 3
    assert one.ceiling == 7.5


def test_an_operation_without_a_known_quota_gets_a_low_rate() -> None:
    assert per_second("glue:GetSecurityConfigurations") == OTHERWISE


def test_every_write_has_a_quota_and_the_embedded_aws_has_the_same() -> None:
    writes = {f"kms:{operation.name}" for operation in OPERATIONS}
    assert writes <= PER_SECOND.keys()
    shared = PER_SECOND.keys() & EMBEDDED.keys()
    assert writes | {"kms:GetKeyLastUsage", "cloudtrail:LookupEvents"} <= shared
    assert {name: PER_SECOND[name] for name in shared} == {name: EMBEDDED[name] for name in shared}


def _scenario(aws: Scenario, count: int, **key: Any) -> tuple[EmbeddedAws, list[KeyArn]]:
    key = {"name": "k-{n}", "count": count, "state": "Disabled", **key}
    server = aws({SHOP: {"regions": {"eu-west-1": {"keys": [key]}}}})
    return server, [KeyArn.parse(one["arn"]) for one in server.keys()]


def test_schedules_by_many_threads_and_clients_are_never_throttled(aws: Scenario) -> None:
    server, arns = _scenario(aws, 30)
    server.quotas(True)
    connection = Accounts().connect(arns[0].account_region)
    clients = [
        connection.clients.make(connection.session, SHOP, "kms", "eu-west-1") for _ in range(3)
    ]

    def schedule(number: int) -> None:
        clients[number % 3].schedule_key_deletion(KeyId=str(arns[number]), PendingWindowInDays=7)

    start = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(schedule, range(30)))
    assert time.monotonic() - start >= 30 / 12 * 0.95
    outcomes = [call["outcome"] for call in server.calls(operation="ScheduleKeyDeletion")]
    assert outcomes == ["ok"] * 30


def test_a_share_of_the_quota_is_what_the_policy_says(aws: Scenario) -> None:
    _, arns = _scenario(aws, 4, state="PendingDeletion")
    kms = (
        Accounts(settings=ClientSettings(quota_share=0.4))
        .connect(arns[0].account_region)
        .client("kms", writes=True)
    )
    start = time.monotonic()
    for arn in arns:
        kms.cancel_key_deletion(KeyId=str(arn))
    assert time.monotonic() - start >= 3 / 2 * 0.95


def test_each_attempt_of_botocores_own_retries_waits_its_turn(aws: Scenario) -> None:
    server, arns = _scenario(aws, 1)
    server.fault("throttle", operation="ListGrants", times=2)
    connection = Accounts().connect(arns[0].account_region)
    waited: list[str] = []
    pace = connection.clients._limiter.pace(SHOP, "eu-west-1", "kms:ListGrants")
    ordinary = pace.wait
    pace.wait = lambda: (waited.append("turn"), ordinary())[1]  # type: ignore[method-assign]
    connection.client("kms").list_grants(KeyId=str(arns[0]))
    assert len(waited) == len(server.calls(operation="ListGrants")) == 3
    assert pace.rate < pace.ceiling == 80


def test_a_reserved_turn_is_waited_for_once(aws: Scenario) -> None:
    _, arns = _scenario(aws, 2, state="PendingDeletion")
    connection = Accounts(settings=ClientSettings(quota_share=0.1)).connect(arns[0].account_region)
    start = time.monotonic()
    pace = connection.clients._limiter.pace(SHOP, "eu-west-1", "kms:CancelKeyDeletion")
    turns: list[str] = []
    ordinary = pace.wait
    pace.wait = lambda: (turns.append("turn"), ordinary())[1]  # type: ignore[method-assign]
    connection.turn("kms:CancelKeyDeletion")
    kms = connection.client("kms", writes=True)
    kms.cancel_key_deletion(KeyId=str(arns[0]))
    assert len(turns) == 1
    kms.cancel_key_deletion(KeyId=str(arns[1]))
    assert len(turns) == 2
    assert time.monotonic() - start >= 2 * 0.95


@pytest.mark.parametrize("kind", ["throttle", "error_500", "drop_before", "drop_after"])
def test_a_write_is_sent_once_for_any_answer(kind: str, aws: Scenario) -> None:
    server, arns = _scenario(aws, 1)
    server.fault(kind, operation="ScheduleKeyDeletion", times=None)
    kms = Accounts(Access()).connect(arns[0].account_region).client("kms", writes=True)
    with pytest.raises(Exception):  # noqa: B017 - which one is not the question
        kms.schedule_key_deletion(KeyId=str(arns[0]), PendingWindowInDays=7)
    assert len(server.calls(operation="ScheduleKeyDeletion")) == 1


def test_a_read_is_tried_the_configured_number_of_times(aws: Scenario) -> None:
    server, arns = _scenario(aws, 1)
    server.fault("error_500", operation="ListGrants", times=None)
    kms = (
        Accounts(settings=ClientSettings(attempts=2)).connect(arns[0].account_region).client("kms")
    )
    with pytest.raises(ClientError, match="KMSInternalException"):
        kms.list_grants(KeyId=str(arns[0]))
    assert len(server.calls(operation="ListGrants")) == 2


def test_retries_are_set_explicitly_and_not_by_the_environment(
    aws: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, arns = _scenario(aws, 1)
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    connection = Accounts().connect(arns[0].account_region)
    configured = {
        writes: connection.client("kms", writes=writes).meta.config.retries
        for writes in (False, True)
    }
    assert configured == {
        False: {"mode": "standard", "total_max_attempts": 5},
        True: {"mode": "standard", "total_max_attempts": 1},
    }


@pytest.mark.parametrize(
    ("code", "status", "slower"),
    [
        ("ThrottlingException", 400, True),
        ("RequestLimitExceeded", 503, True),
        ("SomethingNew", 429, True),
        ("AccessDeniedException", 400, False),
        ("InternalFailure", 500, False),
    ],
)
def test_throttling_is_recognized_by_code_or_status(code: str, status: int, slower: bool) -> None:
    limiter = Limiter()
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    operation = SimpleNamespace(name="ListKeys")
    limiter._answered(SHOP, "eu-west-1", "kms", operation=operation, response=(None, answer))
    assert (limiter.pace(SHOP, "eu-west-1", "kms:ListKeys").rate < 400) is slower


def test_a_lost_answer_changes_no_pace() -> None:
    limiter = Limiter()
    limiter._answered(SHOP, "eu-west-1", "kms", operation=SimpleNamespace(name="ListKeys"))
    assert limiter.pace(SHOP, "eu-west-1", "kms:ListKeys").rate == 400
