"""Processes for `plan`, `status`, `guard` and `doctor`: the same results as of one process."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import boto3
import pytest
import workers_here
from botocore.exceptions import ClientError
from command_runs import Done, run_here
from ordinary_runs import in_front_of, operator, records
from prowler_records import prowler_record
from scenarios import DATA, DEAD, SHOP
from stages import wait_for

from embedded_aws import ordinary
from embedded_aws.process import EmbeddedAws
from keysweep.remediation.aws import Access, Accounts
from keysweep.remediation.aws.clock import Clock
from keysweep.remediation.errors import AccountUnavailable, InvariantError
from keysweep.remediation.evidence import collector
from keysweep.remediation.models import AccountRegion
from keysweep.remediation.workers import Workers, pool, process, silence
from keysweep.remediation.workers.peer import Peer, PeerError, PeerLost
from keysweep.remediation.workers.process import tell_log, write_log

TESTS = Path(__file__).parents[1]
ROLE = ("--role-name", "KeysweepOperator")
JSON = ("--format", "json")

ACCOUNTS = (ordinary.QUIET, ordinary.RESTRICTED)


@pytest.fixture(scope="module")
def ordinary_aws() -> Iterator[EmbeddedAws]:
    with EmbeddedAws(ordinary.scenario()) as running:
        yield running


@pytest.mark.sample
@pytest.mark.parametrize(
    "command",
    [("plan", "--out", "-"), ("doctor", "--format", "json")],
    ids=lambda words: words[0],
)
def test_ordinary_accounts_are_read_alike_by_one_process_and_by_several(
    command: tuple[str, ...],
    ordinary_aws: EmbeddedAws,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Several read ahead here, as they do for many account-Regions."""
    workers_here.stop_clocks(monkeypatch)
    started = workers_here.as_threads(monkeypatch)
    monkeypatch.setattr(collector, "keys_ahead", lambda _regions, jobs: 32 if jobs > 1 else 0)
    given = records(ordinary_aws, *ACCOUNTS)

    def run(jobs: int) -> Done:
        name, *options = command
        arguments = (name, "-", "--role-name", ordinary.ROLE, *options, "--jobs", str(jobs))
        with in_front_of(ordinary_aws):
            return run_here(arguments, tmp_path, operator(ordinary_aws), given)

    one = run(1)
    assert not started
    several = run(2)
    assert len(started) == 2
    assert several.document == one.document
    assert several == one


@pytest.mark.sample
def test_workers_are_in_the_network_of_the_demo(
    ordinary_aws: EmbeddedAws, state_only: Path, tmp_path: Path
) -> None:
    """In the network that the demo, the tutorial and the end-to-end tests run in."""
    options = ("--policy", state_only, "--role-name", ordinary.ROLE, "--jobs", "2")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "embedded_aws.network", "plan", "-", *options, "--out", "-"],
        input=records(ordinary_aws, *ACCOUNTS),
        env={
            **os.environ,
            **ordinary_aws.environment(ordinary.QUIET),
            "PYTHONPATH": str(TESTS),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    verdicts = {item["verdict"] for item in json.loads(done.stdout)["items"]}
    assert verdicts == {"schedule"}


@pytest.fixture
def pending(
    aws: EmbeddedAws,
    keysweep: Callable[..., Done],
    planned: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[Any]:
    """Workers that are threads, and a journal of two accounts."""
    assert keysweep("apply", planned, *ROLE, "--yes").code == 0
    workers_here.stop_clocks(monkeypatch)
    monkeypatch.setattr(workers_here.Stopped, "at", Clock().now())
    return workers_here.as_threads(monkeypatch)


def test_status_is_the_same(pending: list[Any], keysweep: Callable[..., Done]) -> None:
    one = keysweep("status", *ROLE, *JSON)
    assert not pending
    two = keysweep("status", *ROLE, *JSON, "--jobs", "2")
    assert len(pending) == 2
    assert (two.code, two.document) == (one.code, one.document)
    assert len(two.document["rows"]) == 5


def test_guard_is_the_same_and_only_the_parent_cancels(
    pending: list[Any],
    aws: EmbeddedAws,
    keysweep: Callable[..., Done],
    state_only: Path,
    planned: Path,
) -> None:
    watch = ("guard", "--policy", state_only, "--plan", planned, *ROLE, *JSON)
    key = aws.key_arn(DATA, "eu-west-1", "dead-other")
    one = keysweep(*watch)
    two = keysweep(*watch, "--jobs", "2")
    assert len(pending) == 2
    assert (two.code, two.out) == (one.code, one.out)
    assert len(two.out.splitlines()) == 5
    with pytest.raises(ClientError):
        boto3.client("kms", **aws.client_arguments(DATA, "eu-west-1")).encrypt(
            KeyId=key, Plaintext=b"data"
        )
    done = keysweep(*watch, "--jobs", "2", "--cancel", "--yes")
    assert done.code == 1
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["key_arn"] for row in rows if row["in_use"]] == [key]
    found = aws.key(key)
    assert found is not None
    assert found["state"] == "Disabled"


@pytest.mark.parametrize("command", ["plan", "status", "guard", "doctor"])
def test_accounts_whose_workers_end_early_are_unreadable(
    command: str,
    pending: list[Any],
    keysweep: Callable[..., Done],
    results: Callable[..., Path],
    state_only: Path,
    aws: EmbeddedAws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers_here.ended_early(monkeypatch)
    keys = [key["arn"] for key in aws.keys(state="PendingDeletion") if key["name"] != "pending"]
    arguments: dict[str, tuple[str | Path, ...]] = {
        "plan": (results(*keys), "--policy", state_only, "--out", "-"),
        "status": JSON,
        "guard": ("--policy", state_only, *JSON),
        "doctor": (results(*keys), *JSON),
    }
    done = keysweep(command, *arguments[command], *ROLE, "--jobs", "2")
    assert done.code == 1
    rows = {"plan": len(keys), "status": len(keys), "guard": len(keys), "doctor": 3}
    assert done.out.count("exit code 7") >= rows[command]


def test_one_account_needs_no_process(
    aws: EmbeddedAws,
    keysweep: Callable[..., Done],
    results: Callable[..., Path],
    state_only: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started = workers_here.as_threads(monkeypatch)
    arguments = ("plan", results(), "--policy", state_only, "--account", SHOP, "--jobs", "2")
    assert keysweep(*arguments).code == 0
    assert not started


class Writing:
    """A job that would change AWS, or cannot be done."""

    def start(
        self, accounts: Accounts, report: Callable[[str, int], None]
    ) -> Callable[[AccountRegion], str]:
        def do(where: AccountRegion) -> str:
            report("tags", 1)
            connection = accounts.connect(where)
            connection.client("kms").list_keys()
            if where.account_id == DATA:
                raise ZeroDivisionError
            connection.client("kms", writes=True)
            return where.region

        return do


def test_a_worker_has_no_client_that_writes_and_its_errors_are_those_of_the_run(
    aws: EmbeddedAws,
    as_operator: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers_here.as_threads(monkeypatch)
    read: list[tuple[str, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in as_operator().items():
            patch.setenv(name, value)
        accounts = Accounts(Access(role_name="KeysweepOperator"))
        with Workers(accounts, Writing(), 2, lambda *one: read.append(one), print) as workers:
            for account, cause in ((SHOP, InvariantError), (DATA, ZeroDivisionError)):
                with pytest.raises(PeerError, match=cause.__name__):
                    workers.run(account, AccountRegion("aws", account, "eu-west-1"), account)
            nowhere = AccountRegion("aws", "999999999999", "eu-west-1")
            with pytest.raises(AccountUnavailable, match="999999999999"):
                workers.run(nowhere.account_id, nowhere, "nowhere")
    assert len(read) == 3
    assert {call["account"] for call in aws.calls(operation="ListKeys")} == {SHOP, DATA}


class Numbered:
    """A job that answers each task with the number of its worker."""

    numbers = itertools.count()

    def start(
        self, accounts: Accounts, report: Callable[[str, int], None]
    ) -> Callable[[None], int]:
        number = next(self.numbers)
        return lambda _task: number


def test_accounts_are_shared_out_by_their_work(monkeypatch: pytest.MonkeyPatch) -> None:
    workers_here.as_threads(monkeypatch)
    with Workers(Accounts(), Numbered(), 2, lambda _piece, _keys: None, print) as workers:
        work = {"large": 5, "small": 1, "second": 3, "third": 2, "last": 1}
        worker_of = {
            account: workers.run(account, None, "keys", size) for account, size in work.items()
        }
        assert workers.run("second", None, "keys") == worker_of["second"]
    assert worker_of["small"] == worker_of["second"] != worker_of["large"]
    assert worker_of["third"] == worker_of["small"]
    assert worker_of["last"] == worker_of["large"]


class Waiting:
    """A job whose tasks wait for a message about their worker, or for its messages."""

    peers: ClassVar[list[Peer]] = []
    released = threading.Event()

    def start(
        self, accounts: Accounts, report: Callable[[str, int], None]
    ) -> Callable[[str], bool]:
        def do(what: str) -> bool:
            if what == "notice":
                return self.released.wait(60)
            wait_for(lambda: self.peers[0].received > 3)
            return True

        return do


def test_the_tasks_of_a_silent_worker_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    workers_here.as_threads(monkeypatch)
    monkeypatch.setattr(process, "_show_life", lambda _peer: None)
    monkeypatch.setattr(silence, "SECONDS", 0.01)
    monkeypatch.setattr(Waiting, "released", threading.Event())
    notices: list[str] = []

    def notice(message: str) -> None:
        notices.append(message)
        Waiting.released.set()

    with Workers(Accounts(), Waiting(), 1, lambda _piece, _keys: None, notice) as workers:
        assert workers.run(SHOP, "notice", f"account {SHOP}, eu-west-1") is True
    (message,) = notices
    assert f"account {SHOP}, eu-west-1" in message


def test_a_worker_whose_tasks_wait_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counted(Peer):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            Waiting.peers.append(self)

    workers_here.as_threads(monkeypatch)
    monkeypatch.setattr(pool, "Peer", Counted)
    monkeypatch.setattr(silence, "SECONDS", 0.01)
    monkeypatch.setattr(Waiting, "peers", [])
    with Workers(Accounts(), Waiting(), 1, lambda _piece, _keys: None, print) as workers:
        assert workers.run(SHOP, "messages", "keys") is True


def test_silence_begins_after_some_looks_at_a_worker_with_a_task() -> None:
    def looks(received: Iterable[int], *, busy: bool) -> list[bool]:
        silent = silence.Silence()
        return [silent.begins(number, busy=busy) for number in received]

    often = 3 * silence.LOOKS
    found = looks([0] * often, busy=True)
    assert (found.index(True), found.count(True)) == (silence.LOOKS - 1, 1)
    assert not any(looks([0] * often, busy=False))
    assert not any(looks(range(often), busy=True))
    twice = looks([*[0] * often, *[1] * often], busy=True)
    assert twice.count(True) == 2


# --- real processes -------------------------------------------------------------------------------


@dataclass
class Hanging:
    """A run of `plan` by two processes, one of which waits for an answer about DATA."""

    run: subprocess.Popen[str]
    workers: dict[str, int]
    """Process of each account's worker."""

    def end(self) -> tuple[int, str]:
        """Exit code, and what it wrote to standard error."""
        _, err = self.run.communicate(timeout=120)
        return self.run.returncode, err


@pytest.fixture
def hanging(
    own_server: EmbeddedAws, tmp_path: Path, state_only: Path
) -> Iterator[Callable[[], Hanging]]:
    regions = {name: {"keys": [{"name": "dead", **DEAD}]} for name in ("eu-west-1", "us-east-1")}
    accounts = {SHOP: {"regions": regions}, DATA: {"roles": [ROLE[1]], "regions": regions}}
    own_server.reset({"accounts": accounts})
    own_server.fault(
        "hang_before", operation="DescribeKey", account=DATA, region="eu-west-1", times=None
    )
    given = tmp_path / "results.ocsf.json"
    found = [prowler_record(key["arn"], own_server.now()) for key in own_server.keys()]
    given.write_text(json.dumps(found), encoding="utf-8")
    log = tmp_path / "run.log"
    runs = []

    def start() -> Hanging:
        command = ("plan", given, "--policy", state_only, *ROLE, "--jobs", "2", "--log-file", log)
        runs.append(
            subprocess.Popen(
                [sys.executable, "-P", "-m", "keysweep.remediation", *map(str, command)],
                cwd=tmp_path,
                env={**os.environ, **own_server.environment(SHOP)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        wait_for(lambda: _described(log, SHOP, 2) and own_server.faults()[0]["hit"] > 0)
        wait_for(lambda: _described(log, DATA, 1))
        text = log.read_text("utf-8")
        numbers = dict(re.findall(r"(worker-\d)/ is process (\d+)", text))
        of = {
            account: int(numbers[worker])
            for worker, account in re.findall(r" (worker-\d)/.*account=(\d{12}) ", text)
        }
        return Hanging(runs[-1], of)

    yield start
    own_server.clear_faults()
    for run in runs:
        run.kill()
        run.communicate()


def _described(log: Path, account: str, times: int) -> bool:
    """Whether so many keys of the account were described."""
    text = log.read_text("utf-8") if log.exists() else ""
    return len(re.findall(rf"kms:DescribeKey account={account} ", text)) == times


def test_a_killed_worker_fails_its_account_alone(
    hanging: Callable[[], Hanging], own_server: EmbeddedAws, tmp_path: Path
) -> None:
    run = hanging()
    assert len({*run.workers.values(), run.run.pid}) == 3
    os.kill(run.workers[DATA], signal.SIGKILL)
    own_server.clear_faults()
    code, err = run.end()
    assert code == 1
    assert "Traceback" not in err
    plan = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert [DATA in sentence for sentence in plan["unread_accounts"]] == [True]
    assert "SIGKILL" in plan["unread_accounts"][0]
    verdicts = {(item["account_id"], item["region"]): item["verdict"] for item in plan["items"]}
    assert verdicts == {
        (account, region): "schedule" if account == SHOP else "hold"
        for account in (SHOP, DATA)
        for region in ("eu-west-1", "us-east-1")
    }


def test_ctrl_c_ends_all_processes_at_once(hanging: Callable[[], Hanging]) -> None:
    run = hanging()
    os.killpg(run.run.pid, signal.SIGINT)
    code, err = run.end()
    assert code == 1
    assert err.startswith("keysweep: ")
    assert err.count("\n") == 1
    wait_for(lambda: not any(map(_is_running, run.workers.values())))


def test_a_worker_whose_parent_has_ended_does_not_report_its_log() -> None:
    ours, theirs = multiprocessing.Pipe()
    theirs.close()
    peer = Peer(ours, None, 1)
    with pytest.raises(PeerLost):
        peer.tell(write_log, "lines")
    tell_log(peer, "lines")


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
