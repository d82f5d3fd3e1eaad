"""One KMS request: finds its key as AWS does, asks the policies, checks the key state."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from .. import names
from ..clock import DAY
from ..errors import AwsError, constraint, validation
from ..iam_policy import Ask, Effect, evaluate
from ..identity import Identity
from . import states
from .keys import Json, Key, Keys, Region

T = TypeVar("T")


@dataclass
class Call:
    """A request with its caller; `key` is filled in as soon as it is known, for the logs."""

    keys: Keys
    identity: Identity
    region: str
    operation: str
    params: Json
    now: float
    tracking_started: float
    key: Key | None = None
    agent: str = "Boto3"
    """User agent of the request."""
    stale: bool = False
    """Whether DescribeKey lags behind the last change of state."""
    others: list[Key] = field(default_factory=list)
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def home(self) -> Region:
        """The caller's own KMS in the Region that was called."""
        return self.keys.region(self.identity.account, self.region)

    def text(self, name: str) -> str:
        """Return a required text parameter."""
        value = self.params.get(name)
        if not isinstance(value, str) or not value:
            raise constraint(value or None, _camel(name), "not be null")
        return value

    def blob(self, name: str) -> bytes:
        """Return a required binary parameter, which JSON carries in base64."""
        try:
            return base64.b64decode(self.text(name), validate=True)
        except binascii.Error:
            raise AwsError("SerializationException", f"{name} is not base64") from None

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number within its range."""
        value = self.params.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            raise AwsError("SerializationException", f"{name} is not an integer")
        if value < low:
            rule = f"have value greater than or equal to {low}"
            raise constraint(value, _camel(name), rule)
        if value > high:
            raise constraint(value, _camel(name), f"have value less than or equal to {high}")
        return value

    def page(
        self, items: Sequence[T], default: int, most: int, identify: Callable[[T], str]
    ) -> tuple[list[T], Json]:
        """Return the page that Limit and Marker ask for, and its Truncated and NextMarker.

        The marker names the last item seen, so that pages stay right when items come and go.
        """
        limit = self.number("Limit", default, 1, most)
        after = self.marker()
        start = 0
        if after is not None:
            start = next((i for i, one in enumerate(items) if identify(one) > after), len(items))
        chosen = list(items[start : start + limit])
        more = start + limit < len(items)
        return chosen, next_marker(identify(chosen[-1]) if more else None)

    def marker(self) -> str | None:
        """Return what the request's Marker stands for."""
        marker = self.params.get("Marker")
        if marker is None:
            return None
        try:
            text = base64.urlsafe_b64decode(str(marker)).decode()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if not text.startswith("after:"):
            raise AwsError("InvalidMarkerException", f"Could not deserialize marker '{marker}'")
        return text.removeprefix("after:")

    def find(self, identifier: str, alias: bool, cross_account: bool) -> Key:
        """Return the key of an id, ARN, alias name or alias ARN."""
        account, region, resource = self.identity.account, self.region, identifier
        if identifier.startswith("arn:"):
            account, region, resource = self._split(identifier, cross_account)
        elif not identifier.startswith("alias/"):
            resource = f"key/{identifier}"
        store = self.keys.region(account, region)
        if resource.startswith("alias/"):
            if not alias:
                raise AwsError("NotFoundException", f"Invalid keyId {identifier}")
            found = store.aliases.get(resource)
            if found is None:
                arn = names.alias_arn(account, region, resource)
                raise AwsError("NotFoundException", f"Alias {arn} is not found.")
            return store.keys[found.target]
        name = resource.removeprefix("key/")
        if not names.KEY_ID.fullmatch(name):
            raise AwsError("NotFoundException", f"Invalid keyId '{name}'")
        if name.lower() not in store.keys:
            arn = names.key_arn(account, region, name)
            if account != self.identity.account:
                raise self.denied(f"kms:{self.operation}", arn, _FOREIGN)
            raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
        return store.keys[name.lower()]

    def _split(self, arn: str, cross_account: bool) -> tuple[str, str, str]:
        parts = arn.split(":", 5)
        if (
            len(parts) != 6
            or parts[2] != "kms"
            or not names.ACCOUNT_ID.fullmatch(parts[4])
            or not parts[5].startswith(("key/", "alias/"))
        ):
            raise AwsError("InvalidArnException", f"Invalid arn {arn}")
        if parts[1] != names.partition(self.region) or parts[3] != self.region:
            raise AwsError("NotFoundException", f"Invalid arn {parts[3]}")
        if parts[4] != self.identity.account and not cross_account:
            raise self.denied(f"kms:{self.operation}", arn, _FOREIGN)
        return parts[4], parts[3], parts[5]

    def denied(self, action: str, resource: str, why: str) -> AwsError:
        """Return AWS's AccessDeniedException."""
        who = self.identity.arn(self.region)
        return AwsError(
            "AccessDeniedException",
            f"User: {who} is not authorized to perform: {action} on resource: {resource} {why}",
        )

    def authorize(self, key: Key | None, action: str) -> None:
        """Raise AccessDeniedException unless key policy, grants and IAM allow the action."""
        identity = self.identity
        resource = key.arn if key else "*"
        ask = Ask(action, resource, self._context(key))
        refusal = identity.refusal(ask)
        if refusal and "explicit deny" in refusal:
            raise self.denied(action, resource, refusal)
        if key is None:
            if refusal:
                raise self.denied(action, resource, refusal)
            return
        effect = evaluate(key.policy_document, ask, identity.subject(self.region))
        own = key.account == identity.account
        if effect is Effect.DENY:
            why = "with an explicit deny in a resource-based policy" if own else _FOREIGN
            raise self.denied(action, resource, why)
        if effect is Effect.ALLOW and own:
            return
        if effect is not Effect.SILENT and refusal is None:
            return
        if self._granted(key, action):
            return
        if not own:
            raise self.denied(action, resource, _FOREIGN)
        missing = f"because no resource-based policy allows the {action} action"
        raise self.denied(action, resource, refusal or missing)

    def check_state(self, key: Key) -> None:
        """Raise what AWS answers when the key's state does not allow the operation."""
        states.check(self.operation, key.state, key.arn)

    def trailing_days(self, key: Key) -> int:
        """Return whole days since the last use, or since use was recorded."""
        since = key.last_use.time if key.last_use else max(self.tracking_started, key.created)
        return int((self.now - since) // DAY)

    def _granted(self, key: Key, action: str) -> bool:
        operation = action.removeprefix("kms:")
        principals = (self.identity.principal(self.region), self.identity.arn(self.region))
        return any(
            operation in grant.operations and grant.grantee in principals
            for grant in key.grants.values()
        )

    def _context(self, key: Key | None) -> dict[str, str]:
        context = {
            "kms:calleraccount": self.identity.account,
            "aws:principalaccount": self.identity.account,
            "aws:principalarn": self.identity.principal(self.region),
            "aws:requestedregion": self.region,
        }
        if self.operation == "ScheduleKeyDeletion":
            window = self.params.get("PendingWindowInDays", 30)
            context["kms:schedulekeydeletionpendingwindowindays"] = str(window)
        if key is not None and self.operation in ("ScheduleKeyDeletion", "DisableKey"):
            context["kms:trailingdayswithoutkeyusage"] = str(self.trailing_days(key))
        if key is not None:
            for tag, value in key.tags.items():
                context[f"aws:resourcetag/{tag}".lower()] = value
        return context


_FOREIGN = (
    "because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)


def next_marker(after: str | None) -> Json:
    """Return Truncated, and NextMarker when there is a next page."""
    if after is None:
        return {"Truncated": False}
    marker = base64.urlsafe_b64encode(f"after:{after}".encode()).decode()
    return {"Truncated": True, "NextMarker": marker}


def unsupported(key: Key | None = None) -> AwsError:
    """Return the error for an operation that this kind of key does not have.

    AWS says why only where the key's origin is the reason; `key` is left out otherwise.
    """
    why = f"{key.arn} origin is {key.origin} which is not valid for this operation." if key else ""
    return AwsError("UnsupportedOperationException", why)


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]


__all__ = ["Call", "next_marker", "unsupported", "validation"]
