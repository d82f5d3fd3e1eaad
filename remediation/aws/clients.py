"""Create AWS clients: rate limited, without truncated responses, with an explicit retry mode.

The first client imports botocore, so that commands without AWS start quickly.
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

MOST_CLIENTS: Final = 208
"""Clients to keep: those that accounts share in a Region, one for each of some 155 services, and
some of other Regions and of single accounts. The least recently used are closed first, and with one
too few, each scan would create all of them again. Each has connections and takes up to a megabyte,
most of it for the certificates of TLS."""

CONNECTIONS: Final = 256
"""Idle connections that a client keeps: those of all threads of the accounts that share it."""

_OF_ONE_ACCOUNT: Final = frozenset({"s3", "s3control", "sts"})
"""Services whose clients keep Regions, sessions or endpoints of one account's resources."""

OPEN_FILES: Final = 4096
"""Open connections and files of a run. Shells allow 256 or 1,024 by default."""


@dataclass(frozen=True)
class ClientSettings:
    """How a run calls AWS. Times are in seconds."""

    quota_share: float = SHARE
    """Highest share of AWS's request quotas to use."""
    connect_timeout: float = 5
    read_timeout: float = 30
    attempts: int = 5
    """Attempts of a read, including the first. A write has one."""

    def config(self, *, writes: bool) -> Config:
        """Configuration of a client.

        The retry mode is explicit because botocore's default differs by version. A write is never
        retried: the retry could not tell its own success from another's (rule 5 of
        docs/safety.md).
        """
        from botocore.config import Config

        return Config(
            retries={"mode": "standard", "total_max_attempts": 1 if writes else self.attempts},
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
            max_pool_connections=CONNECTIONS,
            user_agent_extra=_user_agent(),
        )


@cache
def _user_agent() -> str:
    """User agent in CloudTrail. Cached: reading the version takes a sixth of creating a client."""
    return f"keysweep/{version('keysweep')}"


class Clients:
    """Create clients and keep the most recently used. Thread-safe, as are its clients."""

    def __init__(self, settings: ClientSettings | None = None, most: int = MOST_CLIENTS) -> None:
        self._settings = settings or ClientSettings()
        self._limiter = Limiter(self._settings.quota_share)
        self._most = most
        self._kept: OrderedDict[tuple[Session, str, str, bool], Any] = OrderedDict()
        self._loaders: dict[Operations, ReducedLoader] = {}
        self._limited: dict[tuple[Session, Operations], Session] = {}
        self._ordinary: dict[Session, Session] = {}
        self._shared: dict[Session, Session] = {}
        """The session of several accounts in place of one's reduced session."""
        self._of_accounts: dict[tuple[str | None, Operations], Session] = {}
        self._shareable = dict.fromkeys(_OF_ONE_ACCOUNT, False)
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
        shared: bool = False,
    ) -> Any:
        """Return a client, kept or new.

        `shared`: it may serve several accounts, and is only called by threads that act for one.
        """
        with self._lock:  # sessions are not thread-safe; takes 5 ms and sends nothing
            of_several = self._shared.get(session) if shared and not writes else None
            if of_several is not None and self._is_shared(of_several, service):
                session, account = of_several, None
            else:
                account = account_id
            key = (session, service, region, writes)
            client = self._kept.get(key)
            if client is None:
                client = self._kept[key] = self.make(
                    session, account, service, region, writes=writes
                )
            self._kept.move_to_end(key)
            old = self._kept.popitem(last=False)[1] if len(self._kept) > self._most else None
        if old is not None:
            old.close()  # a thread that still uses it opens a new connection
        return client

    def limited_to(self, session: Session, operations: Operations) -> Session:
        """Return a faster session for only these operations, or `session` if there is none."""
        with self._lock:
            limited = self._limited.get((session, operations))
            if limited is None:
                limited = self._limited[session, operations] = self._reduce(session, operations)
                self._ordinary[limited] = session
            return limited

    def _is_shared(self, session: Session, service: str) -> bool:
        """Whether clients of a service keep nothing that belongs to one account."""
        if service not in self._shareable:
            try:
                model = session.get_service_model(service)
                # Endpoints that a client discovers are an account's own.
                discovers = [
                    name
                    for name in model.operation_names
                    if model.operation_model(name).endpoint_discovery
                ]
                self._shareable[service] = not discovers
            except Exception:  # noqa: BLE001 - as in `_reduce`; each account has its own client
                _log.info("no shared client of %s with this botocore", service, exc_info=True)
                self._shareable[service] = False
        return self._shareable[service]

    def _reduce(self, session: Session, operations: Operations) -> Session:
        try:
            from .reduced_models import ReducedLoader, reduced_session
            from .sessions import Acting, session_like

            loader = self._loaders.get(operations)
            if loader is None:
                given = session.get_component("data_loader")
                loader = self._loaders[operations] = ReducedLoader(given, operations)
            reduced = reduced_session(session, loader)
            of = session.profile, operations
            if of not in self._of_accounts:
                shared = self._of_accounts[of] = reduced_session(session, loader, Acting())
                self._ordinary[shared] = session_like(session, Acting())
            self._shared[reduced] = self._of_accounts[of]
        except Exception:  # noqa: BLE001 - internals of other versions can fail in any way
            _log.info("no reduced session with this botocore", exc_info=True)
            return session
        return reduced

    def make(
        self,
        session: Session,
        account_id: str | None,
        service: str,
        region: str,
        *,
        writes: bool = False,
        **credentials: str | None,
    ) -> Any:
        """Create a client. Client types are created at run time, hence Any.

        `account_id` None: that of the calling thread.
        """
        from .response_integrity import reject_truncated_responses

        config = self._settings.config(writes=writes)
        client = self._create(session, service, region, config=config, **credentials)
        reject_truncated_responses(client)
        self._limiter.attach(client, account_id)
        log_requests(client, account_id)
        return client

    def _create(self, session: Session, service: str, region: str, **settings: Any) -> Any:
        """Create a client from a reduced session, or from its ordinary one if that fails."""
        ordinary = self._ordinary.get(session, session)
        if ordinary is not session:
            try:
                return _create(session, service, region, **settings)
            except Exception:  # noqa: BLE001 - the ordinary session raises the real error
                _log.info("no reduced client of %s with this botocore", service, exc_info=True)
        return _create(ordinary, service, region, **settings)

    def plain(self, session: Session, service: str, region: str, *, configured: bool) -> Any:
        """Create a client without FIPS or dual-stack endpoints, whatever is configured."""
        from botocore.config import Config

        config = Config(  # type: ignore[call-arg]  # the last one is not in the stubs
            use_fips_endpoint=False,
            use_dualstack_endpoint=False,
            ignore_configured_endpoint_urls=not configured,
        )
        with self._lock:
            return self._create(session, service, region, config=config)

    def reserve(self, account_id: str, region: str, operation: str) -> None:
        """Wait until this thread may send its next request of `service:Operation`."""
        self._limiter.reserve(account_id, region, operation)


def _create(session: Session, service: str, region: str, **settings: Any) -> Any:
    """A client. Raises BotoCoreError, also for settings that botocore cannot use."""
    from botocore.exceptions import BotoCoreError

    create: Callable[..., Any] = session.create_client
    try:
        return create(service, region, **settings)
    except BotoCoreError:
        raise
    except Exception as error:
        from .access_errors import configuration_error

        raise configuration_error(error) from error


def _allow_open_files() -> None:
    """Raise the soft limit of open files to what a run needs, up to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        with suppress(ValueError, OSError):  # the run continues with fewer connections
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
