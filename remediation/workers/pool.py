"""Starts workers and gives them whole accounts. A worker that ends early fails its accounts."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Final, Protocol, Self

from .. import diagnostics
from ..aws import Accounts
from ..aws.concurrency import ACCOUNT_REGIONS
from ..errors import AccountUnavailable
from . import silence
from .peer import Peer, PeerLost
from .process import Setup, run_task, start
from .remote import Home, Report
from .silence import Silence

_log: Final = logging.getLogger(__name__)

_END_SECONDS: Final = 5.0
"""How long a worker may take to end."""

_ARENAS: Final = "1"
"""glibc keeps freed memory for each of many threads, unless set to share it ("mallopt(3)")."""

_PROGRAM: Final = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from keysweep.remediation.workers.process import main; main(int(sys.argv[1]))"
)


class Job(Protocol):
    """What workers do. Must be picklable, as must tasks and their results."""

    def start(self, accounts: Accounts, report: Report) -> Callable[[Any], Any]:
        """Called once in each worker; returns the function that does a task."""


@dataclass(eq=False)
class _Worker:
    """One process, as the parent sees it."""

    process: subprocess.Popen[bytes]
    peer: Peer
    work: int = 0
    """How much work the accounts of this worker are."""
    lost: str = ""
    """How the process ended, if it ended early."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    tasks: list[str] = field(default_factory=list)
    """What it is reading."""
    silence: Silence = field(default_factory=Silence)


class Workers:
    """Up to `number` processes. Each account belongs to one of them, which is started for it.

    Thread-safe. A context manager, at whose end no process is left.
    """

    def __init__(
        self,
        accounts: Accounts,
        job: Job,
        number: int,
        report: Report,
        notice: Callable[[str], None],
    ) -> None:
        """`notice` is called with a message about each worker that becomes silent."""
        self._home = Home(accounts, report)
        self._job = job
        self._number = number
        self._notice = notice
        self._ending = threading.Event()
        self._workers: list[_Worker] = []
        self._of_accounts: dict[str, _Worker] = {}
        self._started = 0
        self._lock = threading.Lock()

    def run(self, account_id: str, task: Any, what: str, work: int = 1) -> Any:
        """Do a task of this account in its worker; `what` names it in messages.

        `work` is how much all tasks of the account are, compared with those of others. Raises
        AccountUnavailable if the worker ended early, now or at an earlier task of the account.
        """
        with self._lock:
            worker = self._of_accounts.get(account_id)
            if worker is None:
                try:
                    worker = self._of_accounts[account_id] = self._with_least_work()
                except OSError as error:
                    raise AccountUnavailable(
                        f"No process for account {account_id} could be started: {error.strerror}. "
                        "Fix: run the same command again with --jobs 1"
                    ) from error
                worker.work += work
        worker.tasks.append(what)
        try:
            return worker.peer.call(run_task, task)
        except PeerLost as error:
            raise AccountUnavailable(
                f"The process that read account {account_id} ended early ({self._end_of(worker)}). "
                "Fix: run the same command again, with fewer --jobs if memory was short"
            ) from error
        finally:
            worker.tasks.remove(what)

    def _with_least_work(self) -> _Worker:
        """The worker whose accounts are the least work, or a new one."""
        alive = [one for one in self._workers if one.process.poll() is None]
        if len(alive) < self._number:
            self._workers.append(new := self._start())
            return new
        return min(alive, key=lambda one: one.work)

    def _start(self) -> _Worker:
        self._started += 1
        accounts = self._home.accounts
        process, pipe = spawn()
        peer = Peer(pipe, self._home, ACCOUNT_REGIONS)
        label = f"worker-{self._started}/"
        _log.debug("%s is process %d", label, process.pid)
        setup = Setup(
            accounts.access,
            accounts.settings,
            accounts.clock,
            self._job,
            label if diagnostics.is_on() else None,
            gc.get_threshold(),
        )
        threading.Thread(target=peer.listen, name=f"{label}pipe", daemon=True).start()
        with suppress(PeerLost):  # the first task shows it
            peer.tell(start, setup)
        return _Worker(process, peer)

    def _end_of(self, worker: _Worker) -> str:
        """How a worker ended whose pipe is closed."""
        with worker.lock:
            worker.lost = worker.lost or _ended(worker.process)
            return worker.lost

    def _watch(self) -> None:
        """Name the tasks of workers that become silent."""
        while not self._ending.wait(silence.SECONDS):
            for worker in [*self._workers]:
                tasks = [*worker.tasks]
                if worker.silence.begins(worker.peer.received, busy=bool(tasks)):
                    self._notice(silence.message(worker.process.pid, tasks))

    def __enter__(self) -> Self:
        threading.Thread(target=self._watch, name="watch of workers", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        for worker in self._workers:
            with suppress(PeerLost):
                worker.peer.end()
        for worker in self._workers:
            _ended(worker.process)


def spawn() -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a process; returns it with our end of the pipe. Raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = _without_interrupts(
            lambda: subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Its errors and its log come through the pipe.
                stderr=None if diagnostics.is_on() else subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={"MALLOC_ARENA_MAX": _ARENAS, **os.environ},
            )
        )
    return process, Connection(ours.detach())


def _without_interrupts(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start a process that Ctrl-C does not reach: it ends with this one, whose pipe it holds.

    It inherits the mask of this thread. A signal that comes now goes to another thread, or waits.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end of a process, or end it; returns how it ended."""
    try:
        code = process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
