"""Connections to account-Regions, through sessions whose account was checked."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from ..errors import AccountUnavailable, TruncatedResponse
from ..models import AccountRegion
from .clients import Clients, ClientSettings
from .clock import Clock
from .failures import code_of

if TYPE_CHECKING:
    from botocore.session import Session

    from .reduced_models import Operations

_log: Final = logging.getLogger(__name__)

SESSION_NAME: Final = "keysweep"


@dataclass(frozen=True)
class Access:
    """How to enter accounts, and which, from the command's options."""

    profile: str | None = None
    role_name: str | None = None
    external_id: str | None = None
    session_name: str = SESSION_NAME
    """Name of the role's session in CloudTrail."""
    only: frozenset[str] = frozenset()
    """Ids of the accounts that may be entered; empty: every account."""

    def admits(self, account_id: str) -> bool:
        """Whether the account may be entered at all."""
        return not self.only or account_id in self.only


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

    @property
    def account_region(self) -> AccountRegion:
        """The account-Region of this connection."""
        return AccountRegion(self.partition, self.account_id, self.region)

    def client(self, service: str, *, region: str | None = None, writes: bool = False) -> Any:
        """A client of this account, by default in this Region; shared by threads."""
        return self.clients.get(
            self.session, self.account_id, service, region or self.region, writes=writes
        )

    def own_client(self, service: str, region: str) -> Any:
        """A client of the given credentials, for data that is the same in every account."""
        return self.clients.get(self.own.session, self.own.account_id, service, region)

    def plain_client(self, service: str, region: str, *, configured: bool) -> Any:
        """A client that tells a service's plain host, and is never called.

        `configured`: whether endpoints that the user configured, such as `AWS_ENDPOINT_URL`, count.
        """
        return self.clients.plain(self.session, service, region, configured=configured)

    def limited_to(self, operations: Operations) -> Connection:
        """The same connection for these operations only, whose clients are created faster."""
        return replace(self, session=self.clients.limited_to(self.session, operations))

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
        self._access = access or Access()
        self._clients = Clients(settings)
        self.clock = Clock()
        self._lock = threading.Lock()
        self._account_locks: dict[str, threading.Lock] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._unavailable: dict[AccountRegion, str] = {}
        self._own_lock = threading.Lock()
        self._own_session: Session | None = None
        self._own: dict[str, Own | str] = {}
        self._connections: dict[AccountRegion, Connection] = {}

    def admits(self, located: AccountRegion) -> bool:
        """Whether the account may be entered at all."""
        return self._access.admits(located.account_id)

    def connect(self, located: AccountRegion) -> Connection:
        """Connect to an account-Region.

        Raises AccountUnavailable if the account cannot be entered.
        """
        account_id, region = located.account_id, located.region
        with self._lock:
            connection = self._connections.get(located)
            lock = self._account_locks.setdefault(account_id, threading.Lock())
        if connection is not None:
            return connection
        with lock:
            session = self._session(located)
        own = self._own_of(located)
        made = Connection(
            account_id, region, located.partition, session, own, self.clock, self._clients
        )
        with self._lock:
            return self._connections.setdefault(located, made)

    def own_connection(self, region: str | None = None) -> Connection:
        """Connect to the account of the given credentials, in this Region or the configured one.

        Raises AccountUnavailable if the credentials do not work, or there is no such Region.
        """
        try:
            with self._own_lock:
                session = self._given()
            chosen = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
            if not chosen:
                raise AccountUnavailable(
                    "no Region is configured. Fix: name one, or set AWS_REGION"
                )
            partition = session.get_partition_for_region(chosen)
        except BotoCoreError as error:
            raise AccountUnavailable(_describe(error)) from error
        own = self._own_of(AccountRegion(partition, "", chosen))
        return self.connect(AccountRegion(partition, own.account_id, chosen))

    def own_client(self, service: str) -> Any:
        """A client of the given credentials, in the configured Region if there is one.

        For resources of the run, such as a bucket with results. `Access.only` does not apply, as
        it limits whose keys are changed. Raises AccountUnavailable if there are no credentials.
        """
        try:
            with self._own_lock:
                session = self._given()
            region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
            return self._clients.make(session, "", service, region)
        except BotoCoreError as error:
            raise AccountUnavailable(
                f"{_describe(error)}. Fix: check the AWS configuration"
            ) from error

    @property
    def changes_roles(self) -> bool:
        """Whether a role was named, so that other accounts can be entered."""
        return self._access.role_name is not None

    def caller(self, located: AccountRegion) -> str:
        """ARN of the given credentials' identity, for the journal."""
        return self._own_of(located).arn

    def _session(self, located: AccountRegion) -> Session:
        """The session of an account. An account that could not be entered is not tried again."""
        account = (located.partition, located.account_id)
        if account in self._sessions:
            return self._sessions[account]
        if located not in self._unavailable:
            try:
                self._sessions[account] = self._enter(located)
                return self._sessions[account]
            except AccountUnavailable as error:
                _log.debug("account %s not entered", located.account_id, exc_info=True)
                self._unavailable[located] = str(error)
        raise AccountUnavailable(self._unavailable[located])

    def _enter(self, located: AccountRegion) -> Session:
        account = located.account_id
        if not self._access.admits(account):
            raise AccountUnavailable(
                f"account {account} is not one of those named with --account, so it is left alone"
            )
        own = self._own_of(located)
        if own.account_id == account:
            return own.session
        if self._access.role_name is None:
            raise AccountUnavailable(
                f"the credentials belong to account {own.account_id}, not to {account}. "
                "Fix: use credentials of that account, or --role-name"
            )
        role = f"arn:{located.partition}:iam::{account}:role/{self._access.role_name}"
        parameters = {"RoleSessionName": self._access.session_name}
        if self._access.external_id is not None:
            parameters["ExternalId"] = self._access.external_id
        from .sessions import role_session

        session = role_session(
            own.session,
            self._access.profile,
            role,
            parameters,
            lambda service, **credentials: self._clients.make(
                own.session, own.account_id, service, located.region, **credentials
            ),
        )
        try:
            entered, _ = self._identity(session, account, located.region)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            raise AccountUnavailable(
                f"account {account} could not be entered: {_describe(error)} when assuming {role}. "
                "Fix: check the role's trust policy and --external-id"
            ) from error
        if entered != account:
            raise AccountUnavailable(f"the role {role} leads to account {entered}, not {account}")
        return session

    def _own_of(self, located: AccountRegion) -> Own:
        """The given credentials. Read once in each partition, since they belong to one."""
        with self._own_lock:
            if located.partition not in self._own:
                self._own[located.partition] = self._look_up(located)
            own = self._own[located.partition]
        if isinstance(own, str):
            raise AccountUnavailable(own)
        return own

    def _given(self) -> Session:
        """The session of the given credentials. Raises BotoCoreError."""
        if self._own_session is None:
            from .sessions import own_session

            self._own_session = own_session(self._access.profile)
        return self._own_session

    def _look_up(self, located: AccountRegion) -> Own | str:
        try:
            session = self._given()
        except BotoCoreError as error:
            return f"{_describe(error)}. Fix: check the AWS configuration and --profile"
        try:
            account, arn = self._identity(session, "", located.region)
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            return (
                f"the AWS credentials do not work: {_describe(error)} from sts:GetCallerIdentity "
                f"in {located.region}. Fix: check the environment, --profile and --role-name"
            )
        partition = arn.split(":")[1]
        if partition != located.partition:
            return f"the AWS credentials are for partition {partition}, not {located.partition}"
        return Own(session, account, arn)

    def _identity(self, session: Session, account_id: str, region: str) -> tuple[str, str]:
        """Account and ARN of a session, from AWS. The request counts for `account_id`."""
        client = self._clients.make(session, account_id, "sts", region)
        answer = client.get_caller_identity()
        self.clock.observe(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))
        _log.debug("the credentials for %s are %s", account_id or "this run", answer["Arn"])
        return answer["Account"], answer["Arn"]


def _describe(error: ClientError | BotoCoreError | TruncatedResponse) -> str:
    """AWS's error code, or botocore's message."""
    if isinstance(error, ClientError):
        return code_of(error)
    return f"{type(error).__name__} ({' '.join(str(error).split())[:200]})"
