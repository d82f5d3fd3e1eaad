"""Sessions by account, each checked with GetCallerIdentity, and the clients of each Region."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ..errors import AccountUnavailable, CutAnswer
from .clock import Clock
from .failures import code_of
from .whole import demand_whole_answers

if TYPE_CHECKING:
    from ..models import KeyArn

READS = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=10,
    read_timeout=30,
    max_pool_connections=32,
)
"""Reads are retried by botocore; the mode is explicit, since its default differs by version."""

WRITES = READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""Writes go out once: a retry would meet its own success (safety rule 5)."""


@dataclass(frozen=True)
class Access:
    """How to get into accounts, from the command's options."""

    profile: str | None = None
    role_name: str | None = None
    external_id: str | None = None


class Located(Protocol):
    """Whatever lies in one account and Region: the ARN of a key, for example."""

    @property
    def partition(self) -> str: ...
    @property
    def account_id(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def place(self) -> tuple[str, str]: ...


@dataclass(eq=False)
class Place:
    """One Region of one account, with a session whose account was checked."""

    account_id: str
    region: str
    partition: str
    session: boto3.Session
    clock: Clock
    _clients: dict[tuple[str, str, bool], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, service: str, *, region: str | None = None, writes: bool = False) -> Any:
        """A client of this account, for this Region unless another is named; shared by threads."""
        wanted = (service, region or self.region, writes)
        with self._lock:
            if wanted not in self._clients:
                self._clients[wanted] = _client(
                    self.session, service, wanted[1], WRITES if writes else READS
                )
            return self._clients[wanted]


class Accounts:
    """Gives the place of a key; enters each account once, and remembers why one stayed shut."""

    def __init__(self, access: Access | None = None) -> None:
        self._access = access or Access()
        self.clock = Clock()
        self._lock = threading.RLock()
        self._base: tuple[boto3.Session, str, str] | None = None
        self._sessions: dict[str, boto3.Session | AccountUnavailable] = {}
        self._places: dict[tuple[str, str], Place] = {}

    def place(self, key_arn: Located) -> Place:
        """The account and Region of a key, or of another resource that an ARN locates.

        Raises AccountUnavailable when the account cannot be entered.
        """
        with self._lock:
            if key_arn.place not in self._places:
                session = self._session(key_arn)
                self._places[key_arn.place] = Place(
                    key_arn.account_id, key_arn.region, key_arn.partition, session, self.clock
                )
            return self._places[key_arn.place]

    def caller(self, key_arn: KeyArn) -> str:
        """ARN of the identity that the given credentials have, for the journal."""
        with self._lock:
            return self._base_session(key_arn.region)[2]

    def _session(self, key_arn: Located) -> boto3.Session:
        if key_arn.account_id not in self._sessions:
            try:
                self._sessions[key_arn.account_id] = self._enter(key_arn)
            except AccountUnavailable as error:
                self._sessions[key_arn.account_id] = error
        session = self._sessions[key_arn.account_id]
        if isinstance(session, AccountUnavailable):
            raise session
        return session

    def _enter(self, key_arn: Located) -> boto3.Session:
        account = key_arn.account_id
        base, own_account, _ = self._base_session(key_arn.region)
        if own_account == account:
            return base
        if self._access.role_name is None:
            raise AccountUnavailable(
                f"the credentials are of account {own_account}, not of {account}; "
                "use credentials of that account, or --role-name"
            )
        role = f"arn:{key_arn.partition}:iam::{account}:role/{self._access.role_name}"
        wish = {"RoleArn": role, "RoleSessionName": "keysweep"}
        if self._access.external_id is not None:
            wish["ExternalId"] = self._access.external_id
        try:
            answer = _sts(base, key_arn.region).assume_role(**wish)["Credentials"]
        except (ClientError, BotoCoreError, CutAnswer) as error:
            raise AccountUnavailable(
                f"account {account} could not be entered: {code_of(error)} when assuming {role}; "
                "check the role's trust policy and --external-id"
            ) from error
        session = boto3.Session(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"]
        )
        entered = self._identity(session, key_arn.region)[0]
        if entered != account:
            raise AccountUnavailable(f"the role {role} leads to account {entered}, not {account}")
        return session

    def _base_session(self, region: str) -> tuple[boto3.Session, str, str]:
        if self._base is None:
            try:
                session = boto3.Session(profile_name=self._access.profile)
            except BotoCoreError as error:
                raise AccountUnavailable(f"{error}; check --profile") from error
            self._base = (session, *self._identity(session, region))
        return self._base

    def _identity(self, session: boto3.Session, region: str) -> tuple[str, str]:
        try:
            answer = _sts(session, region).get_caller_identity()
        except (ClientError, BotoCoreError, CutAnswer) as error:
            raise AccountUnavailable(
                f"the AWS credentials do not work: {code_of(error)} from sts:GetCallerIdentity "
                f"in {region}; check the environment, --profile and --role-name"
            ) from error
        self.clock.observe(answer["ResponseMetadata"]["HTTPHeaders"].get("date"))
        return answer["Account"], answer["Arn"]


def _sts(session: boto3.Session, region: str) -> Any:
    return _client(session, "sts", region, READS)


def _client(session: boto3.Session, service: str, region: str, config: Config) -> Any:
    """The one way to a client. Their types are made at run time: hence Any."""
    make: Callable[..., Any] = session.client
    client = make(service, region_name=region, config=config)
    demand_whole_answers(client)
    return client
