"""Connections to account-Regions, through sessions whose account was checked."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, UnknownRegionError

from ..access import Access
from ..errors import AccountUnavailable, Misconfigured, present
from ..models import AccountRegion, KeyArn
from .access_errors import ProviderError, is_misconfigured, unavailable
from .acting import Actor, acting_as
from .clients import Clients, ClientSettings
from .clock import Clock

if TYPE_CHECKING:
    from botocore.session import Session

    from .reduced_models import Operations

_log: Final = logging.getLogger(__name__)

T = TypeVar("T")

_REGIONS_TRIED: Final = 2
_NOT_USABLE: Final = "The AWS configuration cannot be used"


@dataclass(frozen=True, eq=False)
class Own:
    """The credentials that the command was given, in one partition; one per run."""

    session: Session
    account_id: str
    arn: str


@dataclass(eq=False)
class Connection:
    """One Region of one account, with a session whose account was checked."""

    account_id: str
    region: str
    partition: str
    session: Session
    own: Own
    clock: Clock
    clients: Clients = field(default_factory=Clients)
    access: Access = field(default_factory=Access)
    """For commands to run next."""
    shares_clients: bool = False
    """Whether its clients may serve other accounts too. Each call is then made while `acting`."""

    @property
    def account_region(self) -> AccountRegion:
        """The account-Region of this connection."""
        return AccountRegion(self.partition, self.account_id, self.region)

    def client(self, service: str, *, region: str | None = None, writes: bool = False) -> Any:
        """A client of this account, by default in this Region; shared by threads."""
        return self.clients.get(
            self.session,
            self.account_id,
            service,
            region or self.region,
            writes=writes,
            shared=self.shares_clients,
        )

    def acting(self) -> AbstractContextManager[None]:
        """Let this thread call shared clients for this account."""
        credentials = present(self.session.get_credentials(), "the credentials of a session")
        return acting_as(Actor(self.account_id, credentials))

    def own_client(self, service: str, region: str) -> Any:
        """A client of the given credentials, for data that is the same in every account."""
        return self.clients.get(self.own.session, self.own.account_id, service, region)

    def same_everywhere(self, read: Callable[..., T], *arguments: Any) -> T:
        """What `read` returns for this connection, though it is the same in every account.

        A run reads it in one process.
        """
        return read(self, *arguments)

    def plain_client(self, service: str, region: str, *, configured: bool) -> Any:
        """A client that tells a service's plain host, and is never called.

        `configured`: whether endpoints that the user configured, such as `AWS_ENDPOINT_URL`, count.
        """
        return self.clients.plain(self.session, service, region, configured=configured)

    def limited_to(self, operations: Operations) -> Connection:
        """The same connection for these operations only, whose clients are created faster.

        Other accounts share them: call them while `acting`.
        """
        limited = self.clients.limited_to(self.session, operations)
        return replace(self, session=limited, shares_clients=True)

    @property
    def is_known(self) -> bool:
        """Whether this botocore lists the Region. A newer Region may exist all the same."""
        return self.region in self.session.get_available_regions("kms", self.partition)

    def turn(self, operation: str) -> None:
        """Wait until this thread's next request of `service:Operation` may be sent.

        So there is no wait between the last read of a key and the call that depends on it.
        """
        self.clients.reserve(self.account_id, self.region, operation)


class Accounts:
    """Connects to account-Regions. Enters each account once, and remembers each failure.

    Thread-safe. A slow account delays only the threads that need it.
    """

    def __init__(
        self, access: Access | None = None, settings: ClientSettings | None = None
    ) -> None:
        self.access = access or Access()
        self.settings = settings or ClientSettings()
        self._clients = Clients(self.settings)
        self.clock = Clock()
        self._lock = threading.Lock()
        self._account_locks: dict[str, threading.Lock] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._unavailable: dict[AccountRegion, AccountUnavailable] = {}
        self._own_lock = threading.Lock()
        self._own_session: Session | AccountUnavailable | None = None
        self._own: dict[str, Own] = {}
        self._no_own: dict[tuple[str, str], AccountUnavailable] = {}
        self._connections: dict[AccountRegion, Connection] = {}

    def admits(self, target: AccountRegion | KeyArn) -> bool:
        """Whether the options let this run read and change keys of the account-Region."""
        return self.access.admits(target)

    def demand_access(self, account_regions: Iterable[AccountRegion]) -> None:
        """Raise AccountUnavailable if the given credentials work for none of these.

        Two Regions of a partition are tried, since one may not be enabled, or not exist.
        """
        tried: dict[str, set[str]] = {}
        first: AccountUnavailable | None = None
        for account_region in account_regions:
            regions = tried.setdefault(account_region.partition, set())
            if account_region.region in regions or len(regions) == _REGIONS_TRIED:
                continue
            regions.add(account_region.region)
            try:
                own = self._own_of(account_region)
                self._clients.get(own.session, own.account_id, "kms", account_region.region)
            except AccountUnavailable as error:
                first = first or error
            except BotoCoreError as error:
                first = first or unavailable(_NOT_USABLE, error)
            else:
                return
        if first is not None:
            raise first

    def connect(self, account_region: AccountRegion) -> Connection:
        """Connect to an account-Region.

        Raises AccountUnavailable if the account cannot be entered.
        """
        with self._lock:
            connection = self._connections.get(account_region)
            lock = self._account_locks.setdefault(account_region.account_id, threading.Lock())
        if connection is not None:
            return connection
        with lock:
            session = self._session(account_region)
        own = self._own_of(account_region)
        made = self._connection(account_region, session, own)
        with self._lock:
            return self._connections.setdefault(account_region, made)

    def _connection(self, account_region: AccountRegion, session: Session, own: Own) -> Connection:
        return Connection(
            account_region.account_id,
            account_region.region,
            account_region.partition,
            session,
            own,
            self.clock,
            self._clients,
            self.access,
        )

    def own_connection(self, region: str | None = None) -> Connection:
        """Connect to the account of the given credentials, in this Region or the configured one.

        Raises AccountUnavailable if the credentials do not work, or there is no such Region.
        """
        return self.connect(self.own_account_region(region))

    def own_account_region(self, region: str | None = None) -> AccountRegion:
        """The account of the given credentials, in this Region or the configured one.

        Raises AccountUnavailable if the credentials do not work, or there is no such Region.
        """
        session = self._given()
        try:
            chosen = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
            if not chosen:
                raise Misconfigured("No AWS Region is configured. Fix: name one, or set AWS_REGION")
            partition = session.get_partition_for_region(chosen)
        except UnknownRegionError as error:
            raise Misconfigured(
                f"{chosen}: No AWS Region has this name. Fix: check --region and AWS_REGION"
            ) from error
        except BotoCoreError as error:
            raise unavailable(_NOT_USABLE, error) from error
        own = self._own_of(AccountRegion(partition, "", chosen))
        return AccountRegion(partition, own.account_id, chosen)

    def own_client(self, service: str, region: str | None = None) -> Any:
        """A client of the given credentials, by default in the configured Region if there is one.

        For resources of the run, such as a bucket with results. `Access.only` does not apply, as
        it limits whose keys are changed. Raises AccountUnavailable if there are no credentials.
        """
        session = self._given()
        try:
            region = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
            return self._clients.make(session, "", service, region)
        except BotoCoreError as error:
            raise unavailable(_NOT_USABLE, error) from error

    @property
    def changes_roles(self) -> bool:
        """Whether a role was named, so that other accounts can be entered."""
        return self.access.role_name is not None

    def caller(self, account_region: AccountRegion) -> str:
        """ARN of the given credentials' identity, for the journal."""
        return self._own_of(account_region).arn

    def _session(self, account_region: AccountRegion) -> Session:
        """The session of an account. An account that could not be entered is not tried again."""
        account = (account_region.partition, account_region.account_id)
        if account in self._sessions:
            return self._sessions[account]
        if account_region not in self._unavailable:
            try:
                self._sessions[account] = self._enter(account_region)
                return self._sessions[account]
            except AccountUnavailable as error:
                _log.debug("account %s not entered", account_region.account_id, exc_info=True)
                self._unavailable[account_region] = error
        raise again(self._unavailable[account_region])

    def _enter(self, account_region: AccountRegion) -> Session:
        account = account_region.account_id
        if not self.access.enters(account):
            raise AccountUnavailable(f"Account {account} is left out by --account")
        own = self._own_of(account_region)
        if own.account_id == account:
            return own.session
        if self.access.role_name is None:
            raise AccountUnavailable(
                f"The credentials belong to account {own.account_id}, not to {account}. "
                "Fix: use credentials of that account, or --role-name"
            )
        role = f"arn:{account_region.partition}:iam::{account}:role/{self.access.role_name}"
        parameters = {"RoleSessionName": self.access.session_name}
        if self.access.external_id is not None:
            parameters["ExternalId"] = self.access.external_id
        from .sessions import role_session

        session = role_session(
            own.session,
            role,
            parameters,
            lambda service, **credentials: self._clients.make(
                own.session, own.account_id, service, account_region.region, **credentials
            ),
        )
        try:
            entered, _ = self._identity(session, account, account_region.region)
        except Exception as error:
            raise unavailable(
                f"Account {account} cannot be entered with {role}",
                error,
                "check the role's trust policy, --role-name and --external-id",
            ) from error
        if entered != account:
            raise AccountUnavailable(f"The role {role} leads to account {entered}, not {account}")
        return session

    def _own_of(self, account_region: AccountRegion) -> Own:
        """The given credentials. Read once in each partition, since they belong to one."""
        session = self._given()
        where = account_region.partition, account_region.region
        with self._own_lock:
            own = self._own.get(account_region.partition)
            if own is None and where not in self._no_own:
                try:
                    own = self._own[account_region.partition] = self._look_up(
                        session, account_region
                    )
                except AccountUnavailable as error:
                    self._no_own[where] = error
        if own is None:
            raise again(self._no_own[where])
        return own

    def _given(self) -> Session:
        """The session of the given credentials, resolved once. Raises AccountUnavailable."""
        with self._own_lock:
            if self._own_session is None:
                from .sessions import own_session

                try:
                    self._own_session = own_session(self.access.profile)
                except Exception as error:  # noqa: BLE001 - providers run programs and read files
                    _log.debug("no credentials", exc_info=True)
                    self._own_session = unavailable(self._unread, error)
            if isinstance(self._own_session, AccountUnavailable):
                raise again(self._own_session)
            return self._own_session

    @property
    def _unread(self) -> str:
        profile = self.access.profile or os.environ.get("AWS_PROFILE")
        return f"The AWS credentials{f' of profile {profile}' if profile else ''} cannot be read"

    def _look_up(self, session: Session, account_region: AccountRegion) -> Own:
        try:
            account, arn = self._identity(session, "", account_region.region)
        except Exception as error:
            what = f"The AWS credentials do not work in {account_region.region}"
            if is_misconfigured(error):
                what = _NOT_USABLE
            if isinstance(error, ProviderError):
                what = self._unread
            raise unavailable(what, error) from error
        partition = arn.split(":")[1]
        if partition != account_region.partition:
            raise AccountUnavailable(
                f"The AWS credentials are for partition {partition}, not "
                f"{account_region.partition}. Fix: use credentials of that partition"
            )
        return Own(session, account, arn)

    def _identity(self, session: Session, account_id: str, region: str) -> tuple[str, str]:
        """Account and ARN of a session, from AWS. The request counts for `account_id`."""
        client = self._clients.make(session, account_id, "sts", region)
        answer = client.get_caller_identity()
        self.clock.observe(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))
        _log.debug("the credentials for %s are %s", account_id or "this run", answer["Arn"])
        return answer["Account"], answer["Arn"]


def again(error: AccountUnavailable) -> AccountUnavailable:
    """A copy to raise: an exception that several threads raise would collect their tracebacks."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy
