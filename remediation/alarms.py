"""Look for alarms on the use of keys pending deletion. Reported only; never holds a key.

Two kinds count: an EventBridge rule on CloudTrail events, and a CloudWatch alarm on a metric filter
of the trail's log group ("Create an alarm that detects use of a KMS key pending deletion", AWS KMS
Developer Guide). Both are recognized by the end of AWS's message. Alarms in other accounts, such as
a log archive, are not visible from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Accounts, ClientSettings, Connection
from .aws.clients import Clients
from .aws.concurrency import ACCOUNT_REGIONS
from .aws.failures import explain
from .errors import AccountUnavailable, TruncatedResponse
from .models import AccountRegion, KeyArn, Unreadable
from .wording import first_few

_log: Final = logging.getLogger(__name__)

PERMISSIONS: Final = frozenset(
    {"cloudwatch:DescribeAlarmsForMetric", "events:ListRules", "logs:DescribeMetricFilters"}
)

WORDS: Final = "pending deletion"
"""Part of every pattern that matches the message "<ARN> is pending deletion."."""

BRIEF: Final = ClientSettings(connect_timeout=3, read_timeout=10, attempts=2)
"""Short: a note is not worth a long wait."""

NO_ALARM: Final = "No alarm on the use of keys pending deletion was found in "
NOT_READ: Final = "Alarms on the use of keys pending deletion could not be read in "
_SET_UP: Final = (
    "Fix: deploy a template from the folder monitoring in the output of keysweep path policies, or "
    "run keysweep guard on a schedule"
)


def notes(keys: Iterable[KeyArn], accounts: Accounts) -> tuple[str, ...]:
    """Messages about the account-Regions of these keys in which no alarm was found.

    Never raises: an account-Region that could not be read is a message too.
    """
    account_regions = list({key.account_region: None for key in keys})
    clients = Clients(BRIEF)

    def look(account_region: AccountRegion) -> str | None:
        try:
            return _look(accounts.connect(account_region), clients)
        except AccountUnavailable as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - the keys are scheduled already
            _log.error("could not look for an alarm in %s", account_region, exc_info=True)
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(ACCOUNT_REGIONS) as threads:
        found = dict(zip(account_regions, threads.map(look, account_regions), strict=True))
    without = [account_region for account_region, why in found.items() if why == ""]
    unread = [account_region for account_region, why in found.items() if why]
    messages = []
    if without:
        messages.append(f"{NO_ALARM}{_named(without)}. {_SET_UP}.")
    if unread:
        messages.append(f"{NOT_READ}{_named(unread)}: {found[unread[0]]}. {_SET_UP}.")
    return tuple(messages)


def _named(account_regions: list[AccountRegion]) -> str:
    return first_few(f"account {one.account_id} {one.region}" for one in sorted(account_regions))


def _look(connection: Connection, clients: Clients) -> str | None:
    """None if an alarm was found, "" if none was, else why alarms could not be read."""

    session = clients.limited_to(connection.session, PERMISSIONS)

    def client(service: str) -> Any:
        return clients.get(session, connection.account_id, service, connection.region)

    unread = ""
    for looks in (_has_rule, _has_alarm):
        try:
            if looks(client):
                return None
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            unread = unread or _why(explain(error, connection, PERMISSIONS))
    return unread


def _why(why: Unreadable) -> str:
    allow = f"; allow {why.permission}" if why.permission else ""
    return f"{why.unreadable}{allow}"


def _has_rule(client: Callable[[str], Any]) -> bool:
    """Whether an enabled rule of the default event bus matches the message."""
    return any(
        rule.get("State", "").startswith("ENABLED") and WORDS in rule.get("EventPattern", "")
        for page in client("events").get_paginator("list_rules").paginate()
        for rule in page["Rules"]
    )


def _has_alarm(client: Callable[[str], Any]) -> bool:
    """Whether a metric filter counts the message and an alarm with an action watches the metric."""
    for page in client("logs").get_paginator("describe_metric_filters").paginate():
        for one in page["metricFilters"]:
            if WORDS not in one.get("filterPattern", ""):
                continue
            for metric in one["metricTransformations"]:
                found = client("cloudwatch").describe_alarms_for_metric(
                    MetricName=metric["metricName"], Namespace=metric["metricNamespace"]
                )
                if any(a["ActionsEnabled"] and a["AlarmActions"] for a in found["MetricAlarms"]):
                    return True
    return False
