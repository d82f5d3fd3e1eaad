"""Stay within AWS's request quotas: one pace for each operation of an account and Region.

Every attempt waits for its turn before it leaves, botocore's own retries included. A throttled
answer slows the operation down, and later answers speed it up again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .quotas import per_second

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

_log: Final = logging.getLogger(__name__)

SHARE: Final = 0.8
"""Share of AWS's quotas to take where the policy sets none."""

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
"""Requests a second below which throttling never slows an operation, unless its share is less."""

_SLOW_DOWN: Final = 0.7
"""Factor by which a throttled answer slows an operation."""

_ONE_SLOWDOWN: Final = 1.0
"""Seconds in which several throttled answers count as one, since their requests left together."""

_RECOVERY: Final = 30.0
"""Seconds in which an operation gets back from standstill to its full pace."""

_ROUNDING: Final = 1e-9
"""Part of a token that rounding may lose."""

_MOST_TOKENS: Final = 2.0
"""Tokens kept while nothing is sent: enough for threads that wake up late, and no burst."""


class Pace:
    """The pace of one operation in one account and Region: a token bucket that begins empty.

    Thread-safe.
    """

    def __init__(
        self,
        ceiling: float,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        """`ceiling` is the highest rate in requests a second; `clock` and `sleep` count seconds."""
        self.ceiling = ceiling
        self.rate = ceiling
        self._clock = clock or time.monotonic
        self._sleep = sleep or time.sleep
        self._tokens = 0.0
        self._filled = self._changed = self._clock()
        self._slowed = -_ONE_SLOWDOWN
        self._queue = threading.Lock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for the turn of one request."""
        with self._queue:  # one thread counts the seconds, the others wait behind it
            while (seconds := self._missing()) > 0:
                self._sleep(seconds)

    def _missing(self) -> float:
        """Take a token and return 0, or return the seconds until there is one."""
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
        """Slow down on a throttled answer, recover on any other."""
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
    """The paces of all operations, shared by all clients and threads of a run."""

    def __init__(self, share: float = SHARE) -> None:
        """`share` is the part of AWS's quotas to take, over 0 and up to 1."""
        self._share = share
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._lock = threading.Lock()
        self._mine = threading.local()

    def pace(self, account_id: str, region: str, operation: str) -> Pace:
        """The pace of `service:Operation` in an account and Region."""
        where = (account_id, region, operation)
        with self._lock:
            if where not in self._paces:
                self._paces[where] = Pace(per_second(operation) * self._share)
            return self._paces[where]

    def attach(self, client: BaseClient, account_id: str) -> None:
        """Pace every attempt of this client, botocore's own retries too."""
        service = client.meta.service_model.service_name
        where = (account_id, client.meta.region_name, service)
        # Before the request is signed, so that no signature grows old in the queue.
        client.meta.events.register_first("request-created", partial(self._sending, *where))
        client.meta.events.register("needs-retry", partial(self._answered, *where))

    def reserve(self, account_id: str, region: str, operation: str) -> None:
        """Wait now, so that this thread's next request of the operation goes out at once."""
        self.pace(account_id, region, operation).wait()
        self._reserved().add((account_id, region, operation))

    def _reserved(self) -> set[tuple[str, str, str]]:
        """The turns that this thread has waited for, and not used."""
        if not hasattr(self._mine, "reserved"):
            self._mine.reserved = set()
        reserved: set[tuple[str, str, str]] = self._mine.reserved
        return reserved

    def _sending(
        self, account_id: str, region: str, service: str, *, operation_name: str, **_: object
    ) -> None:
        where = (account_id, region, f"{service}:{operation_name}")
        if where in self._reserved():
            self._reserved().remove(where)
        else:
            self.pace(*where).wait()

    def _answered(
        self,
        account_id: str,
        region: str,
        service: str,
        *,
        operation: OperationModel,
        response: tuple[Any, Mapping[str, Any]] | None = None,
        **_: object,
    ) -> None:
        name = f"{service}:{operation.name}"
        pace = self.pace(account_id, region, name)
        throttled = response is not None and _is_throttled(response[1])
        pace.answered(throttled=throttled)
        if throttled:
            _log.debug("%s in %s, %s: now %.2f/s", name, account_id, region, pace.rate)


def _is_throttled(answer: Mapping[str, Any]) -> bool:
    """Whether an answer as botocore parsed it says that too many requests were sent."""
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status == 429 or answer.get("Error", {}).get("Code") in THROTTLING_CODES
