"""The one way to a client: paced, with whole answers, and with retries that are said explicitly.

botocore is imported when the first client is made, so that commands without AWS start at once.
"""

from __future__ import annotations

import logging
import resource
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from .limiter import SHARE, Limiter
from .request_log import log_requests

if TYPE_CHECKING:
    from botocore.config import Config
    from botocore.session import Session

    from .reduced_models import Operations, ReducedLoader

_log: Final = logging.getLogger(__name__)

MOST_CLIENTS: Final = 256
"""Clients kept at a time: three or four of each of the accounts and Regions that are worked on side
by side. Those that a scan of references used once go first. Each has connections and up to a
megabyte."""

OPEN_FILES: Final = 4096
"""Connections and files that a run may have open; shells allow 256 or 1,024 unless asked."""


@dataclass(frozen=True)
class ClientSettings:
    """How a run calls AWS. Times in seconds."""

    quota_share: float = SHARE
    """Share of AWS's request quotas that is taken at most."""
    connect_timeout: float = 5
    read_timeout: float = 30
    attempts: int = 5
    """For a read, the first one included. A write always goes out once."""

    def config(self, *, writes: bool) -> Config:
        """The configuration of a client.

        The retry mode is explicit, since botocore's default differs by version. A write is never
        retried: a retry would meet its own success (rule 5 of docs/safety.md).
        """
        from botocore.config import Config

        return Config(
            retries={"mode": "standard", "total_max_attempts": 1 if writes else self.attempts},
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            max_pool_connections=32,
            user_agent_extra=_user_agent(),
        )


@cache
def _user_agent() -> str:
    """What CloudTrail shows; read once, since that takes a sixth of what a client takes."""
    return f"keysweep/{version('keysweep')}"


class Clients:
    """Makes clients, and keeps the ones used last. Thread-safe, as its clients are."""

    def __init__(self, settings: ClientSettings | None = None, most: int = MOST_CLIENTS) -> None:
        self._settings = settings or ClientSettings()
        self._limiter = Limiter(self._settings.quota_share)
        self._most = most
        self._kept: OrderedDict[tuple[Session, str, str, bool], Any] = OrderedDict()
        self._loaders: dict[Operations, ReducedLoader] = {}
        self._limited: dict[tuple[Session, Operations], Session] = {}
        self._ordinary: dict[Session, Session] = {}
        self._lock = threading.Lock()
        _allow_open_files()

    def get(
        self,
        session: Session,
        account_id: str,
        service: str,
        region: str,
        *,
        writes: bool = False,
    ) -> Any:
        """A client, kept from before or new."""
        wanted = (session, service, region, writes)
        with self._lock:  # no network: a session is not thread-safe, and makes a client in 5 ms
            client = self._kept.get(wanted)
            if client is None:
                client = self._kept[wanted] = self.make(
                    session, account_id, service, region, writes=writes
                )
            self._kept.move_to_end(wanted)
            old = self._kept.popitem(last=False)[1] if len(self._kept) > self._most else None
        if old is not None:
            old.close()  # a thread that still calls it opens its own connection
        return client

    def limited_to(self, session: Session, operations: Operations) -> Session:
        """A session for calls of these operations only: faster, or `session` itself."""
        with self._lock:
            limited = self._limited.get((session, operations))
            if limited is None:
                limited = self._limited[session, operations] = self._reduce(session, operations)
                self._ordinary[limited] = session
            return limited

    def _reduce(self, session: Session, operations: Operations) -> Session:
        try:
            from .reduced_models import ReducedLoader, reduced_session

            loader = self._loaders.get(operations)
            if loader is None:
                given = session.get_component("data_loader")
                loader = self._loaders[operations] = ReducedLoader(given, operations)
            return reduced_session(session, loader)
        except Exception:  # noqa: BLE001 - internals of another botocore may fail in any way
            _log.info("no reduced session with this botocore", exc_info=True)
            return session

    def make(
        self,
        session: Session,
        account_id: str,
        service: str,
        region: str,
        *,
        writes: bool = False,
        **credentials: str | None,
    ) -> Any:
        """A new client. Their types are made at run time: hence Any."""
        from .response_integrity import reject_truncated_responses

        config = self._settings.config(writes=writes)
        client = self._create(session, service, region, config=config, **credentials)
        reject_truncated_responses(client)
        self._limiter.attach(client, account_id)
        log_requests(client, account_id)
        return client

    def _create(self, session: Session, service: str, region: str, **settings: Any) -> Any:
        """A client of the session, or of the ordinary one where a reduced one cannot make it."""
        ordinary = self._ordinary.get(session, session)
        if ordinary is not session:
            try:
                return _create(session, service, region, **settings)
            except Exception:  # noqa: BLE001 - the ordinary session says what it is
                _log.info("no reduced client of %s with this botocore", service, exc_info=True)
        return _create(ordinary, service, region, **settings)

    def plain(self, session: Session, service: str, region: str, *, configured: bool) -> Any:
        """A new client without FIPS or dual-stack endpoints, whatever the configuration says."""
        from botocore.config import Config

        config = Config(  # type: ignore[call-arg]  # the stubs do not know the last one
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
            ignore_configured_endpoint_urls=not configured,
        )
        with self._lock:
            return self._create(session, service, region, config=config)

    def reserve(self, account_id: str, region: str, operation: str) -> None:
        """Wait for the turn of this thread's next request of `service:Operation`."""
        self._limiter.reserve(account_id, region, operation)


def _create(session: Session, service: str, region: str, **settings: Any) -> Any:
    create: Callable[..., Any] = session.create_client
    return create(service, region, **settings)


def _allow_open_files() -> None:
    """Ask the operating system for as many as a run may need, within what it allows at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # then the run has fewer connections, and goes on
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
