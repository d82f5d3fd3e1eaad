"""A line in the log for each attempt of each AWS request; never what it carried.

Logged are operation, account, Region, HTTP status, duration, AWS's request id and its error code,
or the class of the error where no usable answer came. Not logged: parameters, URLs, headers,
bodies, and the messages of errors, which can quote them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.client import BaseClient

_log: Final = logging.getLogger(__name__)

_ATTEMPT: Final = "keysweep_attempt"
"""Name in the context of a call, which botocore hands from event to event."""


def log_requests(client: BaseClient, account_id: str) -> None:
    """Log every attempt of this client's requests. `account_id`: empty while it is not known."""
    service = client.meta.service_model.service_name
    requests = _Requests(service, account_id or "-", client.meta.region_name)
    events = client.meta.events
    # Last, so that neither waiting for a quota nor getting credentials counts as AWS's time.
    events.register_last("request-created", requests.sent)
    # First, so that the line precedes the requests of other handlers of the answer.
    events.register_first("needs-retry", requests.answered)
    events.register("after-call-error", requests.failed)


@dataclass
class _Attempt:
    """One request on its way."""

    operation: str
    number: int
    sent: float
    open: bool = True


@dataclass(frozen=True)
class _Requests:
    """The requests of one client."""

    service: str
    account_id: str
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
        """An attempt has ended, with AWS's answer or without."""
        answer = {} if response is None else response[1]
        self._log(request_dict["context"], answer, caught_exception)

    def failed(self, exception: Exception, context: Mapping[str, Any], **_: object) -> None:
        """A call has ended without a usable answer, such as one that was cut off."""
        self._log(context, {}, exception)

    def _log(
        self, context: Mapping[str, Any], answer: Mapping[str, Any], error: Exception | None
    ) -> None:
        attempt: _Attempt | None = context.get(_ATTEMPT)
        if attempt is None or not attempt.open:
            return  # it was not sent, or has its line
        attempt.open = False
        about = answer.get("ResponseMetadata", {})
        code = answer.get("Error", {}).get("Code", "-")
        _log.debug(
            "%s:%s account=%s region=%s attempt=%d status=%s ms=%.0f request_id=%s error=%s",
            self.service,
            attempt.operation,
            self.account_id,
            self.region,
            attempt.number,
            about.get("HTTPStatusCode", "-"),
            (time.monotonic() - attempt.sent) * 1000,
            str(about.get("RequestId", "-"))[:100],
            str(code)[:100] if error is None else type(error).__name__,
        )
