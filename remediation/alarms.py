"""Is anybody told when a key that is pending deletion is used? Looked for, and said; never a rule.

Two things tell: a rule of EventBridge on CloudTrail's events, and CloudWatch's alarm on a metric
filter of the trail's log group ("Create an alarm that detects use of a KMS key pending deletion",
AWS KMS Developer Guide). Both are recognised by the words that AWS's message ends with. What other
accounts watch, such as a log archive, cannot be seen from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from .aws import Accounts, ClientSettings, Connection
from .aws.clients import Clients
from .aws.failures import explain
from .aws.width import PLACES
from .errors import AccountUnavailable, TruncatedResponse
from .models import KeyArn, Unreadable

_log: Final = logging.getLogger(__name__)

PERMISSIONS: Final = frozenset(
    {"cloudwatch:DescribeAlarmsForMetric", "events:ListRules", "logs:DescribeMetricFilters"}
)

WORDS: Final = "pending deletion"
"""Part of the pattern of whatever filters the message "<ARN> is pending deletion."."""

BRIEF: Final = ClientSettings(connect_timeout=3, read_timeout=10, attempts=2)
"""Nobody waits long for a remark."""

_SHOWN: Final = 3
"""Accounts and Regions that are named; of more, the number is told."""

_ALARM: Final = "alarm on the use of keys pending deletion"
_SET_UP: Final = (
    "keysweep guard looks when you run it, and AWS tells at once with the templates in the folder "
    "monitoring of: keysweep path policies"
)


def remarks(keys: Iterable[KeyArn], accounts: Accounts) -> tuple[str, ...]:
    """What a person should know about the places of these keys; nothing where an alarm is found.

    Never raises: what cannot be looked at is a remark too.
    """
    connections = list({key.account_region: key for key in keys}.values())
    clients = Clients(BRIEF)

    def look(key: KeyArn) -> str | None:
        try:
            return _look(accounts.connect(key), clients)
        except AccountUnavailable as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - keys are scheduled, and this is a remark
            _log.error("no look for an alarm of %s", key, exc_info=True)
            return f"{type(error).__name__}: {error}"

    with ThreadPoolExecutor(PLACES) as threads:
        found = dict(zip(connections, threads.map(look, connections), strict=True))
    without = [key for key, why in found.items() if why == ""]
    unseen = [key for key, why in found.items() if why]
    told = []
    if without:
        told.append(f"no {_ALARM} was found in {_named(without)}; {_SET_UP}")
    if unseen:
        why = found[unseen[0]]
        told.append(f"could not look for an {_ALARM} in {_named(unseen)}: {why}; {_SET_UP}")
    return tuple(told)


def _named(keys: list[KeyArn]) -> str:
    named = [f"account {key.account_id} {key.region}" for key in sorted(keys)]
    if len(named) <= _SHOWN:
        return ", ".join(named)
    return f"{', '.join(named[:_SHOWN])} and {len(named) - _SHOWN} more"


def _look(connection: Connection, clients: Clients) -> str | None:
    """None when an alarm is found, nothing when none is, and why that is not known."""

    session = clients.limited_to(connection.session, PERMISSIONS)

    def client(service: str) -> Any:
        return clients.get(session, connection.account_id, service, connection.region)

    unseen = ""
    for looks in (_has_rule, _has_alarm):
        try:
            if looks(client):
                return None
        except (ClientError, BotoCoreError, TruncatedResponse) as error:
            unseen = unseen or _why(explain(error, connection, PERMISSIONS))
    return unseen


def _why(unknown: Unreadable) -> str:
    allow = f"; allow {unknown.permission}" if unknown.permission else ""
    return f"{unknown.unreadable}{allow}"


def _has_rule(client: Callable[[str], Any]) -> bool:
    """Whether an enabled rule of the default event bus filters the message."""
    return any(
        rule.get("State", "").startswith("ENABLED") and WORDS in rule.get("EventPattern", "")
        for page in client("events").get_paginator("list_rules").paginate()
        for rule in page["Rules"]
    )


def _has_alarm(client: Callable[[str], Any]) -> bool:
    """Whether a metric filter counts the message, and an alarm with an action looks at it."""
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
