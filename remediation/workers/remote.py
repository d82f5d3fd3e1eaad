"""Accounts of a worker, entered by the parent, which also holds their credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ..aws import Access, Accounts, ClientSettings, Connection
from ..aws.accounts import Own
from ..aws.clock import Clock
from ..aws.sessions import Relayed, base_session, session_like
from ..errors import InvariantError, demand, present
from ..models import AccountRegion

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.session import Session

Report = Callable[[str, int], None]
"""Called with a piece of evidence that was read, and for how many keys."""

Ask = Callable[..., Any]
"""Calls a function in the parent, with its `Home` as the first argument."""


@dataclass(frozen=True)
class Home:
    """What workers ask of the parent."""

    accounts: Accounts
    report: Report


@dataclass(frozen=True)
class Entered:
    """An account that the parent has entered, and the given credentials' identity."""

    own_account_id: str
    own_arn: str
    method: str
    clock: Clock


def enter(home: Home, account_region: AccountRegion) -> Entered:
    """Enter an account. Raises AccountUnavailable."""
    connection = home.accounts.connect(account_region)
    own = connection.own
    method = _credentials_of(connection.session).method
    return Entered(own.account_id, own.arn, method, home.accounts.clock)


def credentials(home: Home, account_region: AccountRegion) -> ReadOnlyCredentials:
    """The current credentials of an account. Raises ProviderError if they cannot be renewed."""
    session = home.accounts.connect(account_region).session
    return _credentials_of(session).get_frozen_credentials()


def _credentials_of(session: Session) -> Credentials:
    return present(session.get_credentials(), "the credentials of an entered account")


def read_at_home(
    home: Home, account_region: AccountRegion, read: Callable[..., Any], *arguments: Any
) -> Any:
    """Read what is the same in every account."""
    return read(home.accounts.connect(account_region), *arguments)


@dataclass(eq=False)
class RemoteConnection(Connection):
    """A connection of a worker. It only reads, and only its own account."""

    ask: Ask | None = None

    def client(self, service: str, *, region: str | None = None, writes: bool = False) -> Any:
        """A client of this account. Raises InvariantError for a client that writes."""
        demand(not writes, "a worker changes nothing in AWS")
        return super().client(service, region=region)

    def own_client(self, service: str, region: str) -> Any:
        """No client: requests of the given credentials leave from the parent alone."""
        raise InvariantError(f"a worker asks the parent for {service} in {region}")

    def same_everywhere(self, read: Callable[..., Any], *arguments: Any) -> Any:
        """What `read` returns in the parent."""
        if self.ask is None:
            raise InvariantError("a connection of a worker has a parent")
        return self.ask(read_at_home, self.account_region, read, *arguments)


class RemoteAccounts(Accounts):
    """Connects to accounts that the parent enters."""

    def __init__(self, access: Access, settings: ClientSettings, clock: Clock, ask: Ask) -> None:
        super().__init__(access, settings)
        self.clock = clock
        self._ask = ask
        self._base: Final = base_session(access.profile)

    def _enter(self, account_region: AccountRegion) -> Session:
        entered: Entered = self._ask(enter, account_region)
        self.clock.follow(entered.clock)
        with self._own_lock:
            self._own.setdefault(
                account_region.partition, Own(self._base, entered.own_account_id, entered.own_arn)
            )
        fetch = partial(self._ask, credentials, account_region)
        return session_like(self._base, Relayed(entered.method, fetch))

    def _own_of(self, account_region: AccountRegion) -> Own:
        return self._own[account_region.partition]

    def _given(self) -> Session:
        raise InvariantError("a worker has no credentials of its own")

    def _connection(self, account_region: AccountRegion, session: Session, own: Own) -> Connection:
        made = super()._connection(account_region, session, own)
        return RemoteConnection(**vars(made), ask=self._ask)
