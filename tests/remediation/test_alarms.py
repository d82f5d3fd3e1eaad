"""`apply` reports where no alarm watches the use of keys pending deletion."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import alarms
from keysweep.remediation.alarms import NO_ALARM, NOT_READ, PERMISSIONS, notes
from keysweep.remediation.aws import Accounts
from keysweep.remediation.models import KeyArn
from keysweep.remediation.policy import policies_folder

SHOP = "111122223333"
ROLE = ("--role-name", "KeysweepOperator")
IRELAND = "eu-west-1"
OPERATIONS = {permission.partition(":")[2] for permission in PERMISSIONS}


class _Loader(yaml.SafeLoader):
    """Reads our template's short functions as texts."""


_Loader.add_multi_constructor("!", lambda loader, name, node: name)  # type: ignore[no-untyped-call]


def _template() -> Any:
    file = Path(str(policies_folder())) / "monitoring" / "pending-key-use.yaml"
    return yaml.load(file.read_text(encoding="utf-8"), _Loader)["Resources"]


OURS = _template()


def client(aws: EmbeddedAws, service: str, region: str = IRELAND) -> Any:
    return boto3.client(service, **aws.client_arguments(SHOP, region))


def put_rule(aws: EmbeddedAws, **changes: Any) -> None:
    """The rule of our template."""
    rule = OURS["Rule"]["Properties"]
    pattern = json.dumps(rule["EventPattern"])
    wanted = {"Name": "r", "EventPattern": pattern, "State": rule["State"], **changes}
    client(aws, "events").put_rule(**wanted)


def put_filter(aws: EmbeddedAws, region: str = IRELAND, pattern: str | None = None) -> None:
    """The metric filter of our template, or one of another pattern."""
    wanted = OURS["MetricFilter"]["Properties"]
    (metric,) = wanted["MetricTransformations"]
    logs = client(aws, "logs", region)
    logs.create_log_group(logGroupName="trail")
    logs.put_metric_filter(
        logGroupName="trail",
        filterName="pending-key-use",
        filterPattern=pattern or wanted["FilterPattern"],
        metricTransformations=[{name[0].lower() + name[1:]: v for name, v in metric.items()}],
    )


def put_alarm(aws: EmbeddedAws, region: str = IRELAND, **changes: Any) -> None:
    """The alarm of our template."""
    alarm = OURS["Alarm"]["Properties"]
    wanted = {name: value for name, value in alarm.items() if name != "AlarmActions"}
    actions = [f"arn:aws:sns:{region}:{SHOP}:alerts"]
    client(aws, "cloudwatch", region).put_metric_alarm(
        **{"AlarmName": "a", "AlarmActions": actions, **wanted, **changes}
    )


@pytest.fixture
def look(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[str, ...]]:
    """The notes about a key in Ireland."""
    for name, value in aws.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    key = KeyArn.parse(aws.key_arn(SHOP, IRELAND, "dead-1"))
    return lambda: notes([key, key], Accounts())


def test_apply_names_account_regions_without_an_alarm_and_the_fix(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any]
) -> None:
    put_rule(aws)
    put_filter(aws, "us-east-1")
    put_alarm(aws, "us-east-1")
    done = keysweep("apply", planned, "--yes", *ROLE, "--format", "json")
    assert done.code == 0
    assert {row["outcome"] for row in done.document["results"]} == {"scheduled"}
    (line,) = done.err.splitlines()
    assert line.startswith(f"keysweep: {NO_ALARM}account 444455556666 eu-west-1. ")
    assert "keysweep guard" in line
    assert "keysweep path policies" in line


def test_no_alarm_is_read_or_reported_when_nothing_was_scheduled(
    aws: EmbeddedAws, planned: Path, keysweep: Callable[..., Any]
) -> None:
    aws.fault("deny", operation="ScheduleKeyDeletion", times=None)
    done = keysweep("apply", planned, "--yes", *ROLE)
    assert done.code == 1
    assert done.err == ""
    assert {call["service"] for call in aws.calls()} & {"events", "logs", "monitoring"} == set()


@pytest.mark.parametrize("part", ["rule", "alarm"])
def test_what_our_templates_install_is_recognized(
    part: str, aws: EmbeddedAws, look: Callable[[], tuple[str, ...]]
) -> None:
    assert len(look()) == 1
    if part == "rule":
        put_rule(aws)
    else:
        put_filter(aws)
        put_alarm(aws)
    assert look() == ()


@pytest.mark.parametrize(
    ("what", "put"),
    [
        ("a rule that is off", lambda aws: put_rule(aws, State="DISABLED")),
        ("a rule about other events", lambda aws: put_rule(aws, EventPattern='{"source": ["x"]}')),
        ("a filter without alarm", put_filter),
        ("an alarm without filter", put_alarm),
        ("an alarm on other words", lambda aws: (put_filter(aws, pattern="ERROR"), put_alarm(aws))),
    ],
)
def test_an_alarm_without_actions_does_not_count(
    what: str, put: Callable[[EmbeddedAws], None], aws: EmbeddedAws, look: Any
) -> None:
    put(aws)
    (line,) = look()
    assert line.startswith(f"{NO_ALARM}account {SHOP} {IRELAND}. "), what


@pytest.mark.parametrize("changes", [{"AlarmActions": []}, {"ActionsEnabled": False}])
def test_an_alarm_that_does_nothing_is_none(
    changes: dict[str, Any], aws: EmbeddedAws, look: Callable[[], tuple[str, ...]]
) -> None:
    put_filter(aws)
    put_alarm(aws, **changes)
    assert [line.startswith(NO_ALARM) for line in look()] == [True]


@pytest.mark.parametrize("kind", ["deny", "error_500", "throttle", "drop_before", "truncate"])
@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_what_cannot_be_read_is_reported(
    operation: str, kind: str, aws: EmbeddedAws, look: Callable[[], tuple[str, ...]]
) -> None:
    put_filter(aws)
    aws.fault(kind, operation=operation, times=None)
    (line,) = look()
    assert line.startswith(f"{NOT_READ}account {SHOP} {IRELAND}: ")
    if kind == "deny":
        (action,) = (one for one in PERMISSIONS if one.endswith(f":{operation}"))
        assert "was denied (AccessDenied" in line
        assert f"allow {action}. " in line


def test_an_unexpected_error_is_a_note_too(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(connection: object, clients: object) -> str:
        raise KeyError("MetricAlarms")

    monkeypatch.setattr(alarms, "_look", odd)
    (line,) = look()
    assert line.startswith(f"{NOT_READ}account {SHOP} {IRELAND}: KeyError: 'MetricAlarms'. ")


def test_an_alarm_is_enough_although_event_rules_cannot_be_read(
    aws: EmbeddedAws, look: Callable[[], tuple[str, ...]]
) -> None:
    put_filter(aws)
    put_alarm(aws)
    aws.fault("deny", operation="ListRules", times=None)
    assert look() == ()


def test_many_account_regions_are_one_line(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.environment(SHOP).items():
        monkeypatch.setenv(name, value)
    ids = [f"5555000000{number:02}" for number in range(12)]
    dead = aws.key_arn(SHOP, IRELAND, "dead-1")
    keys = [KeyArn.parse(dead.replace(SHOP, one)) for one in ids]
    (line,) = notes(keys, Accounts())
    assert line.startswith(f"{NOT_READ}account {ids[0]} eu-west-1, account {ids[1]} eu-west-1, ")
    assert re.search(rf" 9 more: .* account {SHOP}\b", line)


@pytest.mark.parametrize("watched", ["everywhere", "in one Region", "unreadable"])
def test_a_policy_that_requires_an_alarm_refuses_keys_without_one(
    watched: str,
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
) -> None:
    state_only.write_text(
        state_only.read_text(encoding="utf-8") + "require_alarm: true\n", encoding="utf-8"
    )
    keys = (aws.key_arn(SHOP, IRELAND, "dead-1"), aws.key_arn(SHOP, "us-east-1", "dead-far"))
    assert keysweep("plan", results(*keys), "--policy", state_only).code == 0
    put_rule(aws)
    if watched != "in one Region":
        put_filter(aws, "us-east-1")
        put_alarm(aws, "us-east-1")
    if watched == "unreadable":
        aws.fault("deny", operation="DescribeMetricFilters", times=None)
    done = keysweep("apply", "plan.json", "--yes")
    states = {aws.key(arn)["state"] for arn in keys}
    if watched == "everywhere":
        assert (done.code, done.err, states) == (0, "", {"PendingDeletion"})
    else:
        assert (done.code, states) == (3, {"Disabled"})
        assert f"account {SHOP} us-east-1" in done.err
        assert IRELAND not in done.err
