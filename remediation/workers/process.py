"""The process of a worker: serves its parent until the pipe between them is closed."""

from __future__ import annotations

import gc
import logging
import os
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

from .. import diagnostics
from ..aws import Access, ClientSettings
from ..aws.clock import Clock
from ..aws.concurrency import ACCOUNT_REGIONS
from ..errors import present
from . import silence
from .peer import Peer, PeerLost
from .remote import Home, RemoteAccounts

_log: Final = logging.getLogger(__name__)

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pool import Job


@dataclass(frozen=True)
class Setup:
    """What a worker is started with."""

    access: Access
    settings: ClientSettings
    clock: Clock
    job: Job
    log_label: str | None
    """Name of the worker in the log; None: there is no log."""
    collect_after: tuple[int, int, int]
    """Thresholds of `gc.set_threshold`."""


class Worker:
    """What the parent's calls are for."""

    def __init__(self) -> None:
        self.peer: Peer | None = None
        self.do: Callable[[Any], Any] | None = None
        self.log = ExitStack()


def start(worker: Worker, setup: Setup) -> None:
    """Prepare for tasks: the first call of the parent."""
    peer = present(worker.peer, "the pipe to the parent")
    gc.set_threshold(*setup.collect_after)
    if setup.log_label is not None:
        worker.log.enter_context(
            diagnostics.to_parent(lambda text: tell_log(peer, text), setup.log_label)
        )
    threading.Thread(target=_show_life, args=(peer,), name="signs of life", daemon=True).start()
    accounts = RemoteAccounts(setup.access, setup.settings, setup.clock, peer.call)
    worker.do = setup.job.start(accounts, lambda piece, keys: peer.tell(report, piece, keys))


def _show_life(peer: Peer) -> None:
    """Send a message now and then, also while all threads wait."""
    with suppress(PeerLost):
        while not peer.ended.wait(silence.SECONDS):
            peer.tell(alive)


def alive(_home: Home) -> None:
    """Take a sign of life. The parent counts all messages."""


def run_task(worker: Worker, task: Any) -> Any:
    """Do one task."""
    return present(worker.do, "the job of the worker")(task)


def report(home: Home, piece: str, keys: int) -> None:
    """Tell the parent what was read."""
    home.report(piece, keys)


def tell_log(peer: Peer, text: str) -> None:
    """Send lines of this worker to the parent's log. A parent that has ended has none."""
    with suppress(PeerLost):
        peer.tell(write_log, text)


def write_log(_home: Home, text: str) -> None:
    """Write lines of this worker to the parent's log."""
    diagnostics.write_through(text)


def main(descriptor: int) -> None:
    """Serve until the parent closes its end of the pipe, or ends, and end then at once."""
    try:
        serve(Connection(descriptor))
    except Exception:  # noqa: BLE001 - the parent names the exit code
        _log.critical("unexpected error", exc_info=True)
        os._exit(1)
    os._exit(0)


def serve(pipe: Connection) -> None:
    """Do tasks until the pipe is closed."""
    worker = Worker()
    worker.peer = Peer(pipe, worker, ACCOUNT_REGIONS)
    with worker.log:
        worker.peer.listen()
