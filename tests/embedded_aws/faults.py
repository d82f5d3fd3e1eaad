"""Faults on demand: the next matching call is denied, throttled, cut off, dropped, kept waiting."""

from __future__ import annotations

import itertools
import threading
from dataclasses import asdict, dataclass
from typing import Any

KINDS = (
    *("deny", "throttle", "expire", "error_500", "drop_before", "drop_after"),
    *("truncate", "truncate_unsized", "truncate_valid_length", "hang_before", "hang_after"),
    *("stale", "meddle"),
)
"""What can go wrong:

deny, throttle, expire, error_500: an error answer, nothing is done.
drop_before: the connection closes, nothing is done. drop_after: it is done, then closed.
truncate: done; Content-Length says the full length, half the body comes, the connection closes.
truncate_unsized: done; no Content-Length, half the body comes, the connection closes.
truncate_valid_length: done; half the body with that half's Content-Length.
hang_before, hang_after: no answer for `seconds`, then the connection closes.
stale: DescribeKey shows the state before the last change, as KMS may for a while.
meddle: answered as usual, and then another principal makes the KMS call `then` on the same key.
"""


@dataclass
class Fault:
    """What to do to which calls; a field that is None matches everything."""

    kind: str
    service: str | None = None
    operation: str | None = None
    account: str | None = None
    region: str | None = None
    key: str | None = None
    """Key ARN or id."""
    skip: int = 0
    """How many matching calls pass before the first is hit."""
    times: int | None = 1
    """How many calls are hit; None: all."""
    seconds: float = 60.0
    message: str | None = None
    code: str | None = None
    """Error code instead of the kind's usual one."""
    then: dict[str, Any] | None = None
    """For meddle: a KMS operation's name under `operation`, and its parameters."""
    id: int = 0
    seen: int = 0
    hit: int = 0


class Faults:
    """The faults that are waiting for their calls."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.released = threading.Event()
        """Set when hanging calls shall let go."""

    def add(self, description: dict[str, Any]) -> Fault:
        """Add a fault from JSON; raise ValueError naming what is wrong."""
        known = {"kind", "service", "operation", "account", "region", "key", "skip", "times"}
        known |= {"seconds", "message", "code", "then"}
        unknown = set(description) - known
        if unknown:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        if description.get("kind") not in KINDS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}")
        if (description["kind"] == "meddle") != ("operation" in (description.get("then") or {})):
            raise ValueError("meddle, and only meddle, takes `then` with an `operation`")
        fault = Fault(**description, id=next(self._numbers))
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults and let hanging calls go."""
        with self._lock:
            self._faults.clear()
        self.released.set()
        self.released = threading.Event()

    def report(self) -> list[dict[str, Any]]:
        """Return all faults with how often they were seen and hit."""
        with self._lock:
            return [asdict(one) for one in self._faults]

    def take(
        self, service: str, operation: str, account: str, region: str, key: str | None
    ) -> Fault | None:
        """Return the fault that this call meets, if any."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults:
                if (
                    fault.service in (None, service)
                    and fault.operation in (None, operation)
                    and fault.account in (None, account)
                    and fault.region in (None, region)
                    and (fault.key is None or (key is not None and key.endswith(fault.key)))
                ):
                    fault.seen += 1
                    if fault.seen <= fault.skip:
                        continue
                    if fault.times is None or fault.hit < fault.times:
                        fault.hit += 1
                        return fault
        return None
