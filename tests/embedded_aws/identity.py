"""Who calls: static credentials of the scenario's accounts, and sessions of assumable roles."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import names
from .errors import AwsError, constraint
from .iam_policy import Ask, Effect, Subject, evaluate
from .scenario import Role, Scenario


@dataclass(frozen=True)
class Identity:
    """A caller; without policies it may do everything that key policies leave to its account."""

    account: str
    access_key: str
    user: str | None = None
    role: str | None = None
    session: str | None = None
    policies: tuple[Mapping[str, Any], ...] | None = None
    control_policies: tuple[Mapping[str, Any], ...] = ()
    """Service control policies of the account: only their denials count."""
    expires: float | None = None
    """Real time, since clients compare it with their own clock."""
    transitive: frozenset[str] = frozenset()
    """Keys of session tags that go on to the sessions of further roles."""

    def arn(self, region: str) -> str:
        """Return the ARN that GetCallerIdentity shows."""
        if self.role is None:
            return names.user_arn(self.account, region)
        prefix = f"arn:{names.partition(region)}:sts::{self.account}:assumed-role"
        return f"{prefix}/{self.role}/{self.session}"

    def principal(self, region: str) -> str:
        """Return the IAM user's or role's own ARN, as policies name it."""
        if self.role is None:
            return names.user_arn(self.account, region)
        return names.role_arn(self.account, self.role, region)

    def subject(self, region: str) -> Subject:
        """Return the caller as resource policies see it."""
        return Subject(self.account, (self.principal(region), self.arn(region)))

    def refusal(self, ask: Ask) -> str | None:
        """Return why the caller's own policies refuse, in AWS's words, or none if they allow."""
        if any(evaluate(one, ask) is Effect.DENY for one in self.control_policies):
            return "with an explicit deny in a service control policy"
        if self.policies is None:
            return None
        effects = {evaluate(one, ask) for one in self.policies}
        if Effect.DENY in effects:
            return "with an explicit deny in an identity-based policy"
        if Effect.ALLOW in effects:
            return None
        return f"because no identity-based policy allows the {ask.action} action"


class Identities:
    """Access keys of one embedded AWS."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._known: dict[str, Identity] = {}
        self._stale: set[str] = set()
        for account, content in scenario.accounts.items():
            key, _ = names.access_key(account)
            self._known[key] = Identity(
                account,
                key,
                user=names.OPERATOR,
                policies=content.policies,
                control_policies=content.service_control_policies,
            )

    def find(self, access_key: str) -> Identity | None:
        """Return the caller an access key belongs to; raise if its session has expired."""
        found = self._known.get(access_key)
        if found is None or found.expires is None:
            return found
        if access_key in self._stale or found.expires <= time.time():
            raise AwsError(
                "ExpiredTokenException", "The security token included in the request is expired"
            )
        return found

    def operator(self, account: str) -> Identity | None:
        """Return the operator of an account of the scenario."""
        return self._known.get(names.access_key(account)[0])

    def expire_sessions(self) -> int:
        """Make every session handed out so far expired; return how many there were."""
        sessions = {key for key, one in self._known.items() if one.expires is not None}
        fresh = sessions - self._stale
        self._stale |= sessions
        return len(fresh)

    def assume(
        self,
        caller: Identity,
        arn: str,
        session: str,
        seconds: int,
        external_id: str | None,
        transitive: frozenset[str] = frozenset(),
    ) -> Identity:
        """Return a new session of a role that the scenario lists, or raise AccessDenied."""
        if not 900 <= seconds <= 43_200:
            rule = "have value between 900 and 43200"
            raise constraint(seconds, "durationSeconds", rule, "ValidationError")
        account, role = _parse_role(arn)
        content = self._scenario.accounts.get(account)
        found: Role | None = content.roles.get(role) if content else None
        if content is None or found is None or found.external_id not in (None, external_id):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn('us-east-1')} is not authorized to perform: sts:AssumeRole "
                f"on resource: {arn}",
                403,
            )
        identity = Identity(
            account,
            f"ASIA{_random_letters(16)}",
            role=role,
            session=session,
            policies=found.policies,
            control_policies=content.service_control_policies,
            expires=time.time() + seconds,
            transitive=caller.transitive | transitive,
        )
        self._known[identity.access_key] = identity
        return identity

    def session_of(self, caller: Identity, seconds: int) -> Identity:
        """Return temporary credentials of the caller itself, as GetSessionToken hands out."""
        identity = Identity(
            caller.account,
            f"ASIA{_random_letters(16)}",
            user=caller.user,
            role=caller.role,
            session=caller.session,
            policies=caller.policies,
            control_policies=caller.control_policies,
            expires=time.time() + seconds,
        )
        self._known[identity.access_key] = identity
        return identity


def _parse_role(arn: str) -> tuple[str, str]:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise AwsError("ValidationError", f"{arn} is invalid")
    return parts[4], parts[5].removeprefix("role/").rsplit("/", 1)[-1]


def _random_letters(length: int) -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(length))
