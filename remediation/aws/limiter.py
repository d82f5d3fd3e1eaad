"""Limit request rates to AWS's quotas: one rate for each operation in an account-Region.

Every attempt waits before it is sent, including botocore's retries. A throttled response lowers the
rate of the operation, and later responses raise it again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .acting import current
from .quotas import per_second

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

_log: Final = logging.getLogger(__name__)

SHARE: Final = 0.8
"""Share of AWS's quotas to use if the policy sets none."""

THROTTLING_CODES: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Error codes that AWS SDKs treat as throttling ("Retry behavior", AWS SDKs and Tools Reference
Guide)."""

_SLOWEST: Final = 0.2
"""Lowest rate in requests per second after throttling, unless the quota share is lower."""

_SLOW_DOWN: Final = 0.7
"""Factor for the rate after a throttled response."""

_ONE_SLOWDOWN: Final = 1.0
"""Seconds in which throttled responses count as one: their requests were sent together."""

_RECOVERY: Final = 30.0
"""Seconds to recover from zero to the full rate."""

_ROUNDING: Final = 1e-9
"""Tolerance for rounding, in tokens."""

_MOST_TOKENS: Final = 2.0
"""Most tokens in the bucket: enough for threads that wake up late, too few for a burst."""


class Pace:
    """Rate of one operation in one account-Region: a token bucket that starts with one token.

    A scan calls some 300 operations once or twice, and would wait for each first turn.

    Thread-safe.
    """

    def __init__(
        self,
        ceiling: float,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """`ceiling` is the highest rate in requests per second. `clock` and `sleep` use seconds."""
        self.ceiling = ceiling
        self.rate = ceiling
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._tokens = 1.0
        self._filled = self._changed = self._clock()
        self._slowed = -_ONE_SLOWDOWN
        self._queue = threading.Lock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until one request may be sent."""
        with self._queue:  # one thread sleeps, the others wait for the lock
            while (seconds := self._missing()) > 0:
                self._sleep(seconds)

    def _missing(self) -> float:
        """Take a token and return 0, or return the seconds until one is available."""
        with self._lock:
            self._fill()
            if self._tokens >= 1 - _ROUNDING:
                self._tokens -= 1
                return 0.0
            return (1 - self._tokens) / self.rate

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(_MOST_TOKENS, self._tokens + (now - self._filled) * self.rate)
        self._filled = now

    def answered(self, *, throttled: bool) -> None:
        """Lower the rate after a throttled response, raise it after any other."""
        if self.rate == self.ceiling and not throttled:
            return
        with self._lock:
            self._fill()
            now = self._filled
            if not throttled:
                gained = self.ceiling * (now - self._changed) / _RECOVERY
                self.rate = min(self.ceiling, self.rate + gained)
                self._changed = now
            elif now - self._slowed >= _ONE_SLOWDOWN:
                self._slowed = self._changed = now
                self.rate = max(min(_SLOWEST, self.ceiling), self.rate * _SLOW_DOWN)


class Limiter:
    """Rates of all operations, shared by all clients and threads of a run."""

    def __init__(self, share: float = SHARE) -> None:
        """`share` is the share of AWS's quotas to use: above 0, at most 1."""
        self._share = share
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._lock = threading.Lock()
        self._mine = threading.local()

    def pace(self, account_id: str, region: str, operation: str) -> Pace:
        """Rate of `service:Operation` in an account-Region."""
        where = (account_id, region, operation)
        with self._lock:
            if where not in self._paces:
                self._paces[where] = Pace(per_second(operation) * self._share)
            return self._paces[where]

    def attach(self, client: BaseClient, account_id: str | None) -> None:
        """Limit the rate of every attempt of this client, including botocore's retries.

        `account_id` None: that of the calling thread.
        """
        service = client.meta.service_model.service_name
        where = (account_id, client.meta.region_name, service)
        # Before the request is signed, so that no signature expires in the queue.
        client.meta.events.register_first("request-created", partial(self._sending, *where))
        client.meta.events.register("needs-retry", partial(self._answered, *where))

    def reserve(self, account_id: str, region: str, operation: str) -> None:
        """Wait now, so that this thread's next request of the operation is sent at once."""
        self.pace(account_id, region, operation).wait()
        self._reserved().add((account_id, region, operation))

    def _reserved(self) -> set[tuple[str, str, str]]:
        """Operations that this thread has waited for and not yet called."""
        if not hasattr(self._mine, "reserved"):
            self._mine.reserved = set()
        reserved: set[tuple[str, str, str]] = self._mine.reserved
        return reserved

    def _sending(
        self, account_id: str | None, region: str, service: str, *, operation_name: str, **_: object
    ) -> None:
        where = (_account(account_id), region, f"{service}:{operation_name}")
        if where in self._reserved():
            self._reserved().remove(where)
        else:
            self.pace(*where).wait()

    def _answered(
        self,
        account_id: str | None,
        region: str,
        service: str,
        *,
        operation: OperationModel,
        response: tuple[Any, Mapping[str, Any]] | None = None,
        **_: object,
    ) -> None:
        name = f"{service}:{operation.name}"
        account = _account(account_id)
        pace = self.pace(account, region, name)
        throttled = response is not None and _is_throttled(response[1])
        pace.answered(throttled=throttled)
        if throttled:
            _log.debug("%s in %s, %s: now %.2f/s", name, account, region, pace.rate)


def _account(account_id: str | None) -> str:
    return current().account_id if account_id is None else account_id


def _is_throttled(answer: Mapping[str, Any]) -> bool:
    """Whether a response, as parsed by botocore, reports too many requests."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == 429 or answer.get("Error", {}).get("Code") in THROTTLING_CODES
