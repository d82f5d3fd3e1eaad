"""Paces every request: no account's quota is used up, whatever the number of threads and clients.

botocore's adaptive mode paces all operations of one client together, and each client for itself;
AWS counts each operation of an account and Region, over all clients. So this limiter stands outside
of the clients. It is built of botocore's own parts: its token bucket, whose rate may change while
threads wait for it, and its cubic calculator, by which a rate recovers.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import CapacityNotAvailableError
from botocore.retries.bucket import Clock, TokenBucket
from botocore.retries.standard import RetryEventAdapter, ThrottlingErrorDetector
from botocore.retries.throttling import CubicCalculator

from .quotas import per_second

if TYPE_CHECKING:
    from botocore.client import BaseClient

SHARE: Final = 0.8
"""Share of AWS's quotas that is taken, where no policy says otherwise."""

_SLOWEST: Final = 0.2
"""Requests a second that throttling never slows an operation below, unless its share is less."""

_ONE_SLOWING: Final = 1.0
"""Seconds in which many throttled answers count as one: they left together."""


_SAVED_UP: Final = 2
"""Tokens that are left to those who come after a pause: for threads that wake late."""


class _Monotonic(Clock):
    """A wall clock that is set back would stop the bucket."""

    def current_time(self) -> float:
        return time.monotonic()


class Pace:
    """The pace of one operation in one account and Region. Thread-safe.

    A token bucket that begins empty and keeps next to nothing of what it saves up while nobody
    asks: requests leave at the pace, never in a burst.
    """

    def __init__(self, ceiling: float, clock: Clock | None = None) -> None:
        """`ceiling` is the most requests a second."""
        self.ceiling = ceiling
        self._clock = clock or _Monotonic()
        self._bucket = TokenBucket(ceiling, self._clock, min_rate=min(_SLOWEST, ceiling))
        self._recovery: CubicCalculator | None = None
        self._slowed = 0.0
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        """Requests a second, as it is now."""
        return float(self._bucket.max_rate or 0.0)

    def wait(self) -> None:
        """Wait for the turn of one request."""
        self._bucket.acquire()
        # A second's worth, sent at once and a little late, is more than a quota that is nearly used
        # up bears.
        saved = int(self._bucket.available_capacity) - _SAVED_UP
        if saved > 0:
            with suppress(CapacityNotAvailableError):  # another thread was faster
                self._bucket.acquire(saved, block=False)

    def answered(self, *, throttled: bool) -> None:
        """Slow down on a throttled answer, recover on any other."""
        if self._recovery is None and not throttled:
            return
        with self._lock:
            now = self._clock.current_time()
            if not throttled:
                self._recover(now)
            elif now - self._slowed >= _ONE_SLOWING:
                self._slowed = now
                if self._recovery is None:
                    self._recovery = CubicCalculator(self.rate, now)
                self._bucket.max_rate = self._recovery.error_received(self.rate, now)

    def _recover(self, now: float) -> None:
        if self._recovery is None:
            return
        rate = self._recovery.success_received(now)
        if rate >= self.ceiling:
            self._recovery = None
        self._bucket.max_rate = min(rate, self.ceiling)


class Limiter:
    """The paces of all operations, shared by all clients and threads of a run."""

    def __init__(self, share: float = SHARE) -> None:
        """`share` is the part of AWS's quotas to take, over 0 and up to 1."""
        self._share = share
        self._paces: dict[tuple[str, str, str], Pace] = {}
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._detector = ThrottlingErrorDetector(RetryEventAdapter())

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
        self, account_id: str, region: str, service: str, *, operation: Any, **event: Any
    ) -> None:
        throttled = bool(self._detector.is_throttling_error(operation=operation, **event))
        name = f"{service}:{operation.name}"
        self.pace(account_id, region, name).answered(throttled=throttled)
