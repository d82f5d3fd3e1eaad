"""Log each attempt of each AWS request, without its content.

Logged: operation, account, Region, HTTP status, duration, request ID, and AWS's error code, or the
class of the exception if there was no usable response. Not logged: parameters, URLs, headers,
bodies, and error messages, which can quote them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .acting import current

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.client import BaseClient

_log: Final = logging.getLogger(__name__)

_ATTEMPT: Final = "keysweep_attempt"
"""Name in the context of a call, which botocore passes to each event."""


def log_requests(client: BaseClient, account_id: str | None) -> None:
    """Log every attempt of this client's requests.

    `account_id`: empty if it is not known yet; None: that of the calling thread.
    """
    service = client.meta.service_model.service_name
    requests = _Requests(service, account_id, client.meta.region_name)
    events = client.meta.events
    # Last, so that the duration includes neither rate limiting nor reading credentials.
    events.register_last("request-created", requests.sent)
    # First, so that the line precedes requests that other handlers of the response send.
    events.register_first("needs-retry", requests.answered)
    events.register("after-call-error", requests.failed)


@dataclass
class _Attempt:
    """One request that was sent."""

    operation: str
    number: int
    sent: float
    open: bool = True


@dataclass(frozen=True)
class _Requests:
    """Requests of one client."""

    service: str
    account_id: str | None
    region: str

    def sent(self, request: AWSRequest, operation_name: str, **_: object) -> None:
        before: _Attempt | None = request.context.get(_ATTEMPT)
        number = 1 if before is None else before.number + 1
        request.context[_ATTEMPT] = _Attempt(operation_name, number, time.monotonic())

    def answered(
        self,
        request_dict: Mapping[str, Any],
        response: tuple[Any, Mapping[str, Any]] | None = None,
        caught_exception: Exception | None = None,
        **_: object,
    ) -> None:
        """Log an attempt that ended, with or without a response."""
        answer = {} if response is None else response[1]
        self._log(request_dict["context"], answer, caught_exception)

    def failed(self, exception: Exception, context: Mapping[str, Any], **_: object) -> None:
        """Log a call that ended without a usable response, such as a truncated one."""
        self._log(context, {}, exception)

    def _log(
        self, context: Mapping[str, Any], answer: Mapping[str, Any], error: Exception | None
    ) -> None:
        attempt: _Attempt | None = context.get(_ATTEMPT)
        if attempt is None or not attempt.open:
            return  # it was not sent, or is logged already
        attempt.open = False
        about = answer.get("ResponseMetadata", {})
        code = answer.get("Error", {}).get("Code", "-")
        _log.debug(
            "%s:%s account=%s region=%s attempt=%d status=%s ms=%.0f request_id=%s error=%s",
            self.service,
            attempt.operation,
            (current().account_id if self.account_id is None else self.account_id) or "-",
            self.region,
            attempt.number,
            about.get("HTTPStatusCode", "-"),
            (time.monotonic() - attempt.sent) * 1000,
            str(about.get("RequestId", "-"))[:100],
            str(code)[:100] if error is None else type(error).__name__,
        )
