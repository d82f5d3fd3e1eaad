"""The command and the embedded AWS in one process and one thread, on a clock of their own.

No sockets, no threads, no waiting: the same steps give the same history. At each event of a run (a
request, or a line of the journal) it can be killed, and other people can change a key.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from email.utils import formatdate
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from command_runs import Done, run_here, send_at_once

from embedded_aws import clock as embedded_clock
from embedded_aws import identity
from embedded_aws import scenario as schema
from embedded_aws.control import PREFIX, Control
from embedded_aws.gateway import Gateway
from embedded_aws.http_message import Reply, Request
from embedded_aws.kms.keys import Key
from embedded_aws.process import EmbeddedAws
from embedded_aws.world import World
from keysweep.remediation import alarms, diagnostics, policy_file, runner, status
from keysweep.remediation import write as write_stage
from keysweep.remediation.aws import accounts, sessions
from keysweep.remediation.aws import clock as command_clock
from keysweep.remediation.evidence import collector, references
from keysweep.remediation.evidence.references import scan
from keysweep.remediation.evidence.references.entries import ReferenceList
from keysweep.remediation.journal import Journal

EPOCH = datetime(2026, 6, 15, 12, tzinfo=UTC).timestamp()
ANSWER_SECONDS = 0.025
"""How long AWS takes to answer."""
READ_TIMEOUT = 30.0

ON_THE_WAY_SECONDS = 60.0
"""How long a request may be on its way."""

SHOP, DATA = "111122223333", "444455556666"
ROLE = "KeysweepOperator"
"""The role that enters the other account."""

BEFORE, AFTER, LATE = "before", "after", "late"
"""When a run is killed: before a request is sent, after AWS has carried it out, or while it is on
its way, so that AWS carries it out later. Of a line: before it is written, after, or in the middle.
"""

LINE = "line"
"""Name of an event that is a line of a journal; others have the names of operations."""
ANY = "any"
"""In place of a name: every event counts."""


class Killed(BaseException):
    """The end of a run that was killed: nothing in it may handle this."""


@dataclass(frozen=True)
class Kill:
    """The end of a run at an event of this name, after `skip` others."""

    event: str
    when: str
    skip: int = 0
    arrives_after: int = 0
    """For LATE: after how many requests of later runs AWS carries the request out."""


@dataclass(frozen=True)
class Late:
    """The `skip`-th request of this name gets no answer, and AWS carries it out later."""

    event: str
    skip: int = 0
    arrives_after: int = 0
    """After how many requests AWS carries it out."""


@dataclass(frozen=True)
class Interference:
    """What happens right before or after an event of a run."""

    event: str
    when: str
    skip: int
    do: Callable[[], None]


@dataclass
class _OnItsWay:
    request: Request
    journal: str | None
    left: int
    """How many requests come before it."""
    latest: float


@dataclass(frozen=True)
class Call:
    """A request that AWS has answered."""

    operation: str
    key_arn: str
    parameters: dict[str, Any]
    ours: bool
    """Whether a run sent it, not other people."""
    carried_out: bool
    answer: dict[str, Any] | None = None
    """What its caller got to read, if that was everything."""
    journal: str | None = None
    """The journal that announced it."""


class Watcher(Protocol):
    """Sees what goes over the wire, and into journals."""

    def written(self, journal: Path, line: dict[str, Any]) -> None: ...

    def sending(self, operation: str, parameters: dict[str, Any]) -> str | None: ...

    def answered(self, call: Call) -> None: ...


class Time:
    """In place of the module `time`: seconds that pass only when something takes them."""

    def __init__(self) -> None:
        self.seconds = EPOCH

    def time(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class InOrder(Executor):
    """An executor that does everything at once, in the caller's thread."""

    def __init__(self, max_workers: int = 1) -> None:
        self.max_workers = max_workers

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - as an executor passes it on
            future.set_exception(error)
        return future

    def map(self, fn: Callable[..., Any], *iterables: Any, **_: Any) -> Iterator[Any]:
        return iter([fn(*args) for args in zip(*iterables, strict=False)])


class InProcess(EmbeddedAws):
    """The embedded AWS in this process; `EmbeddedAws` without a server."""

    def __init__(self) -> None:
        super().__init__()
        self.gateway = Gateway(World(schema.parse(schema.EMPTY)))
        self.control = Control(self.gateway)
        self.endpoint = "http://127.0.0.1:1"

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        reply = self.control.answer(Request(method, PREFIX + path, {}, content))
        if reply.status != 200:
            raise ValueError(json.loads(reply.body)["error"])
        return json.loads(reply.body)


@functools.cache
def _aws() -> InProcess:
    """One a process: moto has one state."""
    return InProcess()


_whole = references.reference_list


@functools.cache
def _references() -> ReferenceList:
    """The one listing that histories change, instead of the hundred of the list."""
    entries = tuple(one for one in _whole().entries if one.operation == "ListSecrets")
    return ReferenceList(version=1, signs=_whole().signs, entries=entries)


_session = functools.cache(sessions.own_session)
_clients = functools.cache(accounts.Clients)
_entered: dict[str, Session] = {}
"""Shared by runs: making clients is most of what a run takes."""


class Simulation:
    """The embedded AWS, the command, and everything between them."""

    def __init__(self, patch: pytest.MonkeyPatch, watcher: Watcher) -> None:
        self.time = Time()
        self.aws = _aws()
        self.lag = 0.0
        """Seconds after which DescribeKey shows a change of state."""
        self._watcher = watcher
        self._ours = False
        self._spoilt = True
        self._kill: Kill | None = None
        self._dead = False
        self.late: Late | None = None
        self.interference: Interference | None = None
        self.events: list[str] = []
        """Names of the events of the last run, in order."""
        self.errors: list[BaseException] = []
        """Errors of the command itself in the last run."""
        self._moved: dict[str, float] = {}
        self._on_their_way: list[_OnItsWay] = []
        patch.setattr(embedded_clock, "time", self.time)
        patch.setattr(write_stage, "time", self.time)
        patch.setattr(command_clock, "_elapsed", self.time.monotonic)
        for module in (command_clock, policy_file):
            patch.setattr(module, "datetime", _datetime(self.time))
        for module in (collector, runner, scan, status):
            patch.setattr(module, "ThreadPoolExecutor", InOrder)
        patch.setattr(alarms, "notes", lambda keys, accounts: ())
        send_at_once(patch)
        patch.setattr(references, "reference_list", _references)
        patch.setattr(sessions, "own_session", _session)
        patch.setattr(sessions, "role_session", _entering(sessions.role_session))
        patch.setattr(sessions, "datetime", _datetime(self.time))
        renewed = functools.partial(
            sessions.DeferredRefreshableCredentials,
            time_fetcher=lambda: datetime.fromtimestamp(self.time.seconds, UTC),
        )
        patch.setattr(sessions, "DeferredRefreshableCredentials", renewed)
        patch.setattr(identity, "time", self.time)
        patch.setattr(accounts, "Clients", _clients)
        patch.setattr(URLLib3Session, "send", lambda _session, request: self._send(request))
        patch.setattr(diagnostics, "unexpected", self._unexpected(diagnostics.unexpected))
        append, move = Journal._append, Key.move
        patch.setattr(Journal, "_append", lambda journal, data: self._append(append, journal, data))
        patch.setattr(Key, "move", lambda key, *to, **also: self._move(move, key, *to, **also))

    def restart(self, scenario: Any, seconds: float, watcher: Watcher) -> None:
        """Begin again with the keys of EPOCH, at this time, with nothing on its way."""
        self._watcher = watcher
        self.time.seconds = EPOCH
        self.aws.reset(scenario)
        self.time.seconds = seconds
        self._moved.clear()
        self._on_their_way.clear()

    def run(
        self, arguments: Sequence[str | Path], folder: Path, kill: Kill | None = None
    ) -> Done | None:
        """Run the command; None: it was killed."""
        references._scans.clear()  # a session belongs to one run
        if self._spoilt:  # clients count the failures of their calls
            _clients.cache_clear()
            self._spoilt = False
        own = {"COLUMNS": "160", "KEYSWEEP_ROLE_NAME": ROLE}
        environment = self.aws.process_environment(SHOP, **own)
        self._kill, self._dead, self._ours = kill, False, True
        self.events.clear()
        self.errors.clear()
        try:
            return run_here(arguments, folder, environment)
        except Killed:
            return None
        finally:
            self._kill, self._dead, self._ours = None, False, False
            self.late = self.interference = None

    def _unexpected(self, describe: Callable[..., str]) -> Callable[..., str]:
        def noted(error: Exception, *arguments: Any) -> str:
            self.errors.append(error)
            return describe(error, *arguments)

        return noted

    def arrive(self) -> None:
        """Let AWS carry out every request that is on its way."""
        waiting, self._on_their_way = self._on_their_way, []
        for one in waiting:
            self._carry_out(one.request, ours=True, journal=one.journal)

    def others(self, account: str, region: str, operation: str, **parameters: Any) -> bool:
        """A KMS call of other people; whether AWS carried it out."""
        headers = {
            "authorization": f"Credential={self.aws.environment(account)['AWS_ACCESS_KEY_ID']}"
            f"/20260615/{region}/kms/aws4_request",
            "x-amz-target": f"TrentService.{operation}",
            "content-type": "application/x-amz-json-1.1",
        }
        body = json.dumps(parameters).encode()
        self.time.sleep(ANSWER_SECONDS)
        return self._carry_out(Request("POST", "/", headers, body), ours=False).status < 400

    def _counts_event(self, name: str) -> str | None:
        """Count an event; when the run ends in it."""
        if self._dead:
            raise Killed
        self.events.append(name)
        self._interfere(name, BEFORE)
        kill = self._kill
        if kill is None or kill.event not in {name, ANY}:
            return None
        before = len(self.events) if kill.event == ANY else self.events.count(name)
        if before != kill.skip + 1:
            return None
        self._dead = True
        return kill.when

    def _interfere(self, name: str, when: str) -> None:
        what = self.interference
        here = (name, when, self.events.count(name) - 1)
        if what is not None and (what.event, what.when, what.skip) == here:
            self.interference = None
            what.do()

    def _append(self, append: Callable[..., None], journal: Journal, data: bytes) -> None:
        when = self._counts_event(LINE)
        if when is None:
            append(journal, data)
        elif when != BEFORE:
            with Path(journal.path).open("ab") as file:
                file.write(data if when == AFTER else data[: len(data) // 2])
        if when in {None, AFTER}:
            self._watcher.written(journal.path, json.loads(data))
        if when is not None:
            raise Killed
        self._interfere(LINE, AFTER)

    def _move(self, move: Callable[..., None], key: Key, *to: Any, **also: Any) -> None:
        self._moved[key.arn] = self.time.seconds
        move(key, *to, **also)

    def _is_late(self, request: Request) -> bool:
        """Whether DescribeKey does not show the key's last change yet."""
        if not self.lag or request.operation != "DescribeKey":
            return False
        moved = self._moved.get(request.json()["KeyId"])
        return moved is not None and self.time.seconds - moved < self.lag

    def _send(self, prepared: AWSPreparedRequest) -> AWSResponse:
        request = _request(prepared)
        name = request.operation or request.target
        when = self._counts_event(name)
        self._arrivals()
        if when == BEFORE:
            raise Killed
        journal = None
        if self._ours and request.service == "kms":
            journal = self._watcher.sending(name, request.json())
        if when == LATE and self._kill is not None:
            self._leave(request, journal, self._kill.arrives_after)
            raise Killed
        late = self.late
        if late is not None and late.event == name and self.events.count(name) == late.skip + 1:
            self._leave(request, journal, late.arrives_after)
            self._spoilt = True
            self.time.sleep(READ_TIMEOUT)
            raise ReadTimeoutError(endpoint_url=prepared.url)
        self.time.sleep(ANSWER_SECONDS)
        if self._is_late(request):
            self.aws.fault("stale", operation="DescribeKey", key=request.json()["KeyId"])
        reply = self._carry_out(request, ours=self._ours, journal=journal)
        if when is not None:
            raise Killed
        self._interfere(name, AFTER)
        return _response(prepared, reply, self.time)

    def _leave(self, request: Request, journal: str | None, requests: int) -> None:
        latest = self.time.seconds + ON_THE_WAY_SECONDS
        self._on_their_way.append(_OnItsWay(request, journal, requests, latest))

    def _arrivals(self) -> None:
        for one in tuple(self._on_their_way):
            one.left -= 1
            if one.left < 0 or self.time.seconds > one.latest:
                self._on_their_way.remove(one)
                self._carry_out(one.request, ours=True, journal=one.journal)

    def _carry_out(self, request: Request, *, ours: bool, journal: str | None = None) -> Reply:
        for_kms = request.service == "kms"
        reply = self.aws.gateway.answer(request)
        if ours and (reply.cut not in {None, "stale"} or reply.status >= 400):
            self._spoilt = True
        if for_kms and request.operation is not None:
            lost = (reply.cut or "").endswith("_before")
            asked = request.json()
            named = str(asked.get("KeyId") or asked.get("TargetKeyId") or "")
            done = reply.status < 400 and not lost
            answer = json.loads(reply.body) if done and reply.cut in {None, "stale"} else None
            self._watcher.answered(
                Call(request.operation, named, asked, ours, done, answer, journal)
            )
        return reply


def _entering(role_session: Callable[..., Session]) -> Callable[..., Session]:
    """`role_session` that assumes the role in each run, and keeps the session, for its clients."""

    def enter(own: Session, role_arn: str, *arguments: Any) -> Session:
        new = role_session(own, role_arn, *arguments)
        old = _entered.setdefault(role_arn, new)
        old.get_credentials()._given = new.get_credentials()._given
        return old

    return enter


def _datetime(time: Time) -> type[datetime]:
    class Simulated(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(time.seconds, tz)

    return Simulated


def _request(prepared: AWSPreparedRequest) -> Request:
    parts = urlsplit(prepared.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    headers["host"] = parts.netloc
    body = prepared.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    return Request(str(prepared.method), target, headers, body)


@dataclass
class _Raw:
    body: bytes

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.body


def _response(prepared: AWSPreparedRequest, reply: Reply, time: Time) -> AWSResponse:
    """The reply as botocore gets it from a connection, spoilt as its fault demands."""
    cut = reply.cut or ""
    if cut.startswith("drop"):
        raise ConnectionClosedError(endpoint_url=prepared.url)
    if cut.startswith("hang"):
        time.sleep(READ_TIMEOUT)
        raise ReadTimeoutError(endpoint_url=prepared.url)
    body = reply.body
    headers = {**reply.headers, "Date": formatdate(time.seconds, usegmt=True)}
    if cut == "truncate_valid_length":
        body = body[: len(body) // 2]
    if cut != "truncate_unsized":
        headers.setdefault("Content-Length", str(len(body)))
    if cut in {"truncate", "truncate_unsized"}:
        body = body[: len(body) // 2]
    return AWSResponse(prepared.url, reply.status, headers, _Raw(body))


@contextlib.contextmanager
def begun(scenario: Any, watcher: Watcher) -> Iterator[Simulation]:
    """A simulation with this scenario."""
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(patch, watcher)
        simulation.aws.reset(scenario)
        yield simulation
