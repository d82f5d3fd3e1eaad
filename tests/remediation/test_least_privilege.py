"""The generated IAM documents, enforced: each task can do its work with them, and nothing more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scenarios import DEAD, SHOP

from documents.iam import iam_policies
from embedded_aws.process import EmbeddedAws

OPERATOR = "444455556666"
POLICIES = iam_policies()
REFERENCES = [policy for name, policy in POLICIES.items() if name.startswith("references-")]


@pytest.fixture
def guarded(scenario: Callable[..., EmbeddedAws]) -> EmbeddedAws:
    """An account whose roles have the generated documents and nothing else."""
    return scenario(
        {
            OPERATOR: {"regions": ["eu-west-1"]},
            SHOP: {
                "regions": {
                    "eu-west-1": {
                        "keys": [
                            {"name": "dead-{n}", "count": 3, "rotations": 1, **DEAD},
                            {"name": "kept", "tags": {"keysweep:keep": ""}, **DEAD},
                        ]
                    }
                },
                "roles": {
                    "Planner": {"policies": [POLICIES["plan"], *REFERENCES]},
                    "Applier": {"policies": [POLICIES["apply"], *REFERENCES]},
                    "Canceller": {"policies": [POLICIES["cancel"]]},
                    "Blind": {"policies": [POLICIES["plan"]]},
                },
            },
        }
    )


def states(aws: EmbeddedAws) -> dict[str, str]:
    return {key["name"]: key["state"] for key in aws.keys()}


def test_each_task_works_with_its_document_and_no_other(
    guarded: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    tmp_path: Path,
) -> None:
    plan = tmp_path / "plan.json"

    def run(role: str, *arguments: object) -> Any:
        return keysweep(*arguments, "--role-name", role, account=OPERATOR)

    made = run("Planner", "plan", results(), "--out", plan)
    assert made.code == 0, made.err
    items = json.loads(plan.read_text(encoding="utf-8"))["items"]
    assert [one["rule"] for item in items for one in item["reasons"]] == ["protected-tag"]
    assert sorted(item["verdict"] for item in items) == ["hold", *["schedule"] * 3]
    assert {item["monthly_cost_usd"] for item in items if item["verdict"] == "schedule"} == {2.0}

    for role in ("Planner", "Canceller"):
        refused = run(role, "apply", plan, "--yes", "--format", "json")
        assert {row["outcome"] for row in refused.document["results"]} == {"failed"}
    assert set(states(guarded).values()) == {"Disabled"}

    applied = run("Applier", "apply", plan, "--yes", "--format", "json")
    assert {row["outcome"] for row in applied.document["results"]} == {"scheduled"}, applied.out
    refused = run("Planner", "cancel", "--plan", plan, "--yes", "--format", "json")
    assert {row["outcome"] for row in refused.document["results"]} == {"failed"}
    undone = run("Canceller", "cancel", "--plan", plan, "--keep", "--yes", "--format", "json")
    assert {row["outcome"] for row in undone.document["results"]} == {"cancelled"}, undone.out
    assert set(states(guarded).values()) == {"Disabled"}


def test_without_the_references_documents_every_key_is_held_as_gaps(
    guarded: EmbeddedAws, keysweep: Callable[..., Any], results: Callable[..., Path], tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    keysweep("plan", results(), "--out", plan, "--role-name", "Blind", account=OPERATOR)
    items = json.loads(plan.read_text(encoding="utf-8"))["items"]
    assert {item["verdict"] for item in items} == {"hold"}
    rules = {reason["rule"] for item in items for reason in item["reasons"]}
    assert rules == {"in-use", "protected-tag"}
