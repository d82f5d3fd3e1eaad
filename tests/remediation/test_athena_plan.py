"""`plan --history`: a year of events in the plan, its last days, and `apply` after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_runs import Done
from lifted_rules import lift
from stages import few_references

from embedded_aws.process import EmbeddedAws

SHOP = "111122223333"
DATA = "444455556666"
DEAD = {"state": "Disabled", "created_days_ago": 900, "disabled_days_ago": 300, "last_used": 290}
OPTION = ("--history", "athena:history/audit.trail")

Plan = Callable[..., Done]


def event(name: str, days_ago: float, **more: object) -> dict[str, Any]:
    return {"name": name, "days_ago": days_ago, **more}


@pytest.fixture
def begin(scenario: Callable[[Mapping[str, Any]], EmbeddedAws]) -> Callable[..., EmbeddedAws]:
    """Keys of one account, and a table over 320 days of the organization's trail."""

    def made(*keys: Mapping[str, Any], **table: Any) -> EmbeddedAws:
        region = {"keys": list(keys), "athena": {"days": 325, **table}}
        other = {"keys": [{"name": "other", **DEAD}]}
        return scenario(
            {
                SHOP: {"regions": {"eu-west-1": region}},
                DATA: {"roles": ["KeysweepOperator"], "regions": {"eu-west-1": other}},
            }
        )

    return made


@pytest.fixture
def policy(tmp_path: Path) -> Callable[..., Path]:
    """A policy with these values, in which services that are not there hold nothing."""

    def write(**values: object) -> Path:
        document = {
            "version": 1,
            "history_days": 320,
            "exceptions": [lift("in-use")],
            **values,
        }
        path = tmp_path / "policy.yaml"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def by_name(embedded: EmbeddedAws, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = {key["arn"]: key["name"] for key in embedded.keys()}
    return {names[item["key_arn"]]: item for item in items}


def rules(item: dict[str, Any]) -> set[str]:
    return {hold["rule"] for hold in item["reasons"]}


def test_a_use_long_ago_holds_or_is_shown_as_the_policy_says(
    begin, keysweep, results, policy, monkeypatch
) -> None:
    few_references(monkeypatch)
    used = [event("Decrypt", 200, error="DisabledException", count=3)]
    embedded = begin({"name": "yearly", **DEAD, "events": used}, {"name": "dead", **DEAD})
    for days, verdict in ((280, "hold"), (90, "schedule")):
        where = ("--policy", policy(min_days_unused=days), "--region", "eu-west-1", "--out", "-")
        done = keysweep("plan", results(), *OPTION, *where, AWS_REGION="eu-west-1")
        items = by_name(embedded, done.document["items"])
        yearly = items["yearly"]
        assert yearly["verdict"] == verdict
        assert rules(yearly) == ({"use-attempted"} if verdict == "hold" else set())
        attempt, _last_use = yearly["evidence"]["use_attempts"]["attempts"]
        assert (attempt["event"], attempt["error"]) == ("Decrypt", "DisabledException")
        assert items["dead"]["verdict"] == "schedule"
    assert done.document["history"] == OPTION[1]
    assert "1,000,000,000,000" in done.err


def test_the_last_days_come_from_the_event_history(begin, keysweep, results, policy) -> None:
    """Log files of the last two days may be missing; the table's newest ones are here."""
    embedded = begin(
        {"name": "dead", **DEAD},
        {"name": "tried", **DEAD, "events": [event("Decrypt", 0.1, error="DisabledException")]},
        {"name": "toggled", **DEAD, "events": [event("EnableKey", 0.2), event("DisableKey", 0.1)]},
        {"name": "kept", **DEAD, "tags": {"keysweep:keep": ""}},
        missing=[{"days_ago": 0}, {"days_ago": 1}],
    )
    arns = [embedded.key_arn(SHOP, "eu-west-1", n) for n in ("dead", "tried", "toggled", "kept")]
    embedded.clear_calls()
    done = keysweep(
        *("plan", results(*arns), *OPTION, "--policy", policy(), "--out", "-"),
        AWS_REGION="eu-west-1",
    )
    items = by_name(embedded, done.document["items"])
    assert {n: (i["verdict"], rules(i)) for n, i in items.items()} == {
        "dead": ("schedule", set()),
        "tried": ("hold", {"use-attempted"}),
        "toggled": ("hold", {"disabled-too-recently"}),
        "kept": ("hold", {"protected-tag"}),
    }
    assert len(embedded.calls(operation="StartQueryExecution")) == 1
    assert len(embedded.calls(operation="LookupEvents")) == 9 + 3


def test_a_plan_is_applied_by_the_event_history(begin, keysweep, results, policy) -> None:
    """Even where the policy requires more days than the event history has."""
    embedded = begin(
        {"name": "dead", **DEAD},
        {
            "name": "old",
            **DEAD,
            "disabled_days_ago": 200,
            "events": [event("CreateAlias", 250, alias="alias/x")],
        },
        {
            "name": "new",
            "created_days_ago": 260,
            "events": [event("UpdateAlias", 30, alias="alias/x")],
        },
        {"name": "tried", **DEAD},
    )
    arns = [embedded.key_arn(SHOP, "eu-west-1", name) for name in ("dead", "old", "tried")]
    region = {"AWS_REGION": "eu-west-1"}
    plan = ("plan", results(*arns), *OPTION, "--policy", policy(min_days_disabled=150))
    assert keysweep(*plan, **region).code == 0
    made = json.loads((results().parent / "plan.json").read_text(encoding="utf-8"))
    assert {n: (i["verdict"], rules(i)) for n, i in by_name(embedded, made["items"]).items()} == {
        "dead": ("schedule", set()),
        "old": ("hold", {"alias-moved"}),
        "tried": ("schedule", set()),
    }
    embedded.advance(hours=3)
    kms = embedded.key_arn(SHOP, "eu-west-1", "tried")
    _try_to_use(embedded, kms)
    embedded.clear_calls()
    done = keysweep("apply", "plan.json", "--yes", "--format", "json", **region)
    outcomes = {row["key_arn"]: row["outcome"] for row in done.document["results"]}
    assert outcomes == {arns[0]: "scheduled", arns[2]: "changed"}
    assert embedded.calls(service="athena") == []


def _try_to_use(embedded: EmbeddedAws, arn: str) -> None:
    import boto3

    client = boto3.client("kms", **embedded.client_arguments(SHOP, "eu-west-1"))
    with pytest.raises(client.exceptions.DisabledException):
        client.encrypt(KeyId=arn, Plaintext=b"x")


@pytest.mark.sample
def test_workers_get_what_the_parent_has_queried(begin, keysweep, results, policy) -> None:
    used = [event("Decrypt", 40, error="DisabledException", account=DATA, with_resources=False)]
    begin({"name": "dead", **DEAD}, {"name": "lent", **DEAD, "events": used})
    plans = []
    for jobs in ("1", "2"):
        done = keysweep(
            *("plan", results(), *OPTION, "--policy", policy(), "--out", "-"),
            *("--role-name", "KeysweepOperator", "--jobs", jobs),
            AWS_REGION="eu-west-1",
        )
        plans.append({i["key_arn"]: (i["verdict"], rules(i)) for i in done.document["items"]})
    assert plans[0] == plans[1]
    assert sorted(verdict for verdict, _ in plans[0].values()) == ["hold", "schedule", "schedule"]


def test_incomplete_history_holds_the_keys_and_the_plan_is_made(
    begin, keysweep, results, policy
) -> None:
    embedded = begin({"name": "dead", **DEAD}, missing=[{"days_ago": 100, "account": SHOP}])
    arn = embedded.key_arn(SHOP, "eu-west-1", "dead")
    done = keysweep(
        *("plan", results(arn), *OPTION, "--policy", policy(), "--out", "-"),
        AWS_REGION="eu-west-1",
    )
    [item] = done.document["items"]
    assert item["verdict"] == "hold"
    assert {"restored", "disabled-too-recently", "alias-moved"} & rules(item)


@pytest.mark.parametrize(
    ("table", "name", "code"),
    [
        ({}, "lake", 2),
        ({}, "athena:other/audit.trail", 2),
        ({}, "athena:history/audit.other", 2),
        ({"cutoff_bytes": None}, OPTION[1], 2),
        ({"denied": "GetWorkGroup"}, OPTION[1], 1),
        ({"denied": "GetTable"}, OPTION[1], 1),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_key_is_read(
    begin, keysweep, results, table: dict[str, Any], name: str, code: int
) -> None:
    denied = table.pop("denied", None)
    embedded = begin({"name": "dead", **DEAD}, **table)
    if denied:
        embedded.fault("deny", operation=denied, times=None)
    embedded.clear_calls()
    done = keysweep("plan", results(), "--history", name, AWS_REGION="eu-west-1")
    assert done.code == code
    assert embedded.calls(service="kms") == []
