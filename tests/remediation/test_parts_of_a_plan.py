"""A reviewed plan: shown again, applied in part, and applied by its digest."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_runs import Done
from scenarios import DATA, DEAD, SHOP
from stages import few_references

from embedded_aws.process import EmbeddedAws

ROLE = ("--role-name", "KeysweepOperator")
Run = Callable[..., Done]


@pytest.fixture
def owned(
    scenario: Callable[[Mapping[str, Any]], EmbeddedAws],
    keysweep: Run,
    results: Callable[..., Path],
    state_only: Path,
) -> EmbeddedAws:
    """A plan of keys of two owners and one without, in two accounts and Regions."""

    def key(name: str, **tags: str) -> dict[str, Any]:
        return {"name": name, "aliases": [f"alias/{name}"], "tags": tags, **DEAD}

    aws = scenario(
        {
            SHOP: {
                "regions": {
                    "eu-west-1": {
                        "keys": [key("cart", owner="shop"), key("log", owner="ops"), key("stray")]
                    },
                    "us-east-1": {"keys": [key("far", owner="shop")]},
                }
            },
            DATA: {
                "roles": ["KeysweepOperator"],
                "regions": {"eu-west-1": {"keys": [key("lake", owner="shop")]}},
            },
        }
    )
    assert keysweep("plan", results(), "--policy", state_only, *ROLE).code == 0
    return aws


@pytest.fixture
def digest(owned: EmbeddedAws, tmp_path: Path) -> str:
    """The digest of that plan."""
    return str(json.loads((tmp_path / "plan.json").read_text("utf-8"))["digest"])


def names(aws: EmbeddedAws, rows: Any) -> set[str]:
    """The names of the keys of these rows."""
    of = {key["arn"]: key["name"] for key in aws.keys()}
    return {of[row["key_arn"]] for row in rows}


def pending(aws: EmbeddedAws) -> set[str]:
    return {key["name"] for key in aws.keys(state="PendingDeletion")}


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ((), {"cart", "log", "stray", "far", "lake"}),
        (("--owner", "shop"), {"cart", "far", "lake"}),
        (("--owner", "ops", "--owner", "unknown"), {"log", "stray"}),
        (("--owner", "shop", "--account", SHOP), {"cart", "far"}),
        (("--owner", "shop", "--account", SHOP, "--region", "us-east-1"), {"far"}),
    ],
)
def test_show_prints_the_requested_part(
    options: tuple[str, ...], shown: set[str], owned: EmbeddedAws, digest: str, keysweep: Run
) -> None:
    owned.clear_calls()
    done = keysweep("show", "plan.json", *options, "--format", "json")
    assert done.code == 0
    assert names(owned, done.document["items"]) == shown
    assert done.document["summary"]["schedule"] == len(shown)
    assert done.document["digest"] == digest
    assert not owned.calls()


@pytest.mark.parametrize("form", ["table", "markdown", "csv"])
def test_show_has_every_format_and_the_digest(
    form: str, owned: EmbeddedAws, digest: str, keysweep: Run, tmp_path: Path
) -> None:
    done = keysweep("show", "plan.json", "--owner", "shop", "--format", form, "--html", "p.html")
    assert done.code == 0
    output = (done.out + done.err).replace("\\", "")
    assert digest in output
    ids = {key["name"]: key["arn"].rpartition("/")[2] for key in owned.keys()}
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert digest in page
    # Leads of a key may name other keys by their ids.
    for text, prefix in ((output, ""), (page, "key/")):
        assert {n for n in ids if f"{prefix}{ids[n]}" in text} == {"cart", "far", "lake"}
    if form == "csv":
        assert len(list(csv.reader(done.out.splitlines()))) > 3


def test_what_show_writes_of_a_part_is_no_plan_to_apply(
    owned: EmbeddedAws, keysweep: Run, tmp_path: Path
) -> None:
    part = keysweep("show", "plan.json", "--owner", "shop", "--format", "json").out
    (tmp_path / "part.json").write_text(part, encoding="utf-8")
    whole = keysweep("show", "plan.json", "--format", "json").out
    (tmp_path / "whole.json").write_text(whole, encoding="utf-8")
    assert keysweep("show", "part.json").code == 2
    assert keysweep("show", "whole.json").code == 0


@pytest.mark.parametrize("command", ["show", "apply"])
@pytest.mark.parametrize(
    "option", [("--owner", "shops"), ("--account", "999988887777"), ("--region", "eu-west-9")]
)
def test_a_part_that_the_plan_does_not_have_is_refused(
    command: str, option: tuple[str, str], owned: EmbeddedAws, keysweep: Run
) -> None:
    done = keysweep(command, "plan.json", *option, *(("--yes",) if command == "apply" else ()))
    assert done.code == 2
    assert option[0] in done.err
    assert not pending(owned)


def test_apply_acts_on_the_part_alone_and_the_journal_says_so(
    owned: EmbeddedAws, digest: str, keysweep: Run, tmp_path: Path
) -> None:
    part = ("--owner", "shop", "--account", SHOP)
    done = keysweep("apply", "plan.json", *part, "--yes", *ROLE, "--format", "json")
    assert done.code == 0
    assert names(owned, done.document["results"]) == {"cart", "far"}
    assert pending(owned) == {"cart", "far"}
    first = json.loads((tmp_path / "keysweep-journal.jsonl").read_text("utf-8").splitlines()[0])
    assert (first["owners"], first["accounts"]) == (["shop"], [SHOP])
    assert "regions" not in first
    assert first["plan_digest"] == digest
    rest = keysweep("apply", "plan.json", "--yes", *ROLE, "--format", "json")
    assert rest.code == 0
    assert len(rest.document["results"]) == 5
    assert pending(owned) == {"cart", "far", "lake", "log", "stray"}
    runs = [
        json.loads(line) for line in (tmp_path / "keysweep-journal.jsonl").open(encoding="utf-8")
    ]
    assert "owners" not in [run for run in runs if run["line"] == "run"][1]


def test_every_command_names_alias_and_owner(
    owned: EmbeddedAws, keysweep: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_references(monkeypatch)
    arns = {key["arn"]: key["name"] for key in owned.keys()}
    owners = {"cart": "shop", "far": "shop", "lake": "shop", "log": "ops", "stray": None}
    planned = json.loads((tmp_path / "plan.json").read_text("utf-8"))
    assert {arns[item["key_arn"]]: item["owner"] for item in planned["items"]} == owners
    leads = {arns[item["key_arn"]]: item["lead"] for item in planned["items"]}
    assert leads == {name: f"alias/{name}" for name in owners}

    def named(rows: Any) -> dict[str, tuple[str, str | None]]:
        return {arns[row["key_arn"]]: (row["alias"], row["owner"]) for row in rows}

    expected = {name: (f"alias/{name}", owner) for name, owner in owners.items()}
    applied = keysweep("apply", "plan.json", "--yes", *ROLE, "--format", "json", "--html", "a.html")
    assert named(applied.document["results"]) == expected
    status = keysweep("status", *ROLE, "--format", "json", "--html", "s.html")
    assert named(status.document["rows"]) == expected
    lines = keysweep("guard", *ROLE, "--format", "json").out.splitlines()
    assert named(map(json.loads, lines)) == expected
    for page in ("a.html", "s.html"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert all(
            alias in text and (owner or "unknown") in text for alias, owner in expected.values()
        )
    for form in ("table", "markdown", "csv"):
        output = keysweep("status", *ROLE, "--format", form).out.replace("\\", "")
        assert all(
            alias in output and (owner or "unknown") in output for alias, owner in expected.values()
        )
    undone = keysweep(
        "cancel", "--journal", "keysweep-journal.jsonl", "--yes", *ROLE, "--format", "json"
    )
    assert named(undone.document["results"]) == expected


def test_the_policy_names_the_owner_of_an_account(
    owned: EmbeddedAws, keysweep: Run, results: Callable[..., Path], state_only: Path
) -> None:
    with state_only.open("a", encoding="utf-8") as file:
        file.write(f"account_owners:\n  '{SHOP}': shop team\n")
    arn = owned.key_arn(SHOP, "eu-west-1", "stray")
    done = keysweep("plan", results(arn), "--policy", state_only, "--format", "json")
    assert [item["owner"] for item in done.document["items"]] == ["shop team"]


def test_apply_with_a_digest_takes_that_plan_alone(
    owned: EmbeddedAws, digest: str, keysweep: Run
) -> None:
    other = f"sha256:{'0' * 64}"
    refused = keysweep("apply", "plan.json", "--digest", other, "--yes", *ROLE)
    assert refused.code == 3
    assert {digest, other} <= set(refused.err.replace(".", " ").replace(",", " ").split())
    assert keysweep("apply", "plan.json", "--digest", "abc", "--yes", *ROLE).code == 2
    assert not pending(owned)
    bare = digest.removeprefix("sha256:").upper()
    assert keysweep("apply", "plan.json", "--digest", bare, "--yes", *ROLE).code == 0
    assert len(pending(owned)) == 5


def test_plan_takes_keys_without_a_scanner_and_records_it(
    owned: EmbeddedAws, keysweep: Run, state_only: Path, tmp_path: Path
) -> None:
    arns = {key["name"]: key["arn"] for key in owned.keys()}
    (tmp_path / "keys.txt").write_text(f"{arns['log']}\n{arns['lake']}\n", encoding="utf-8")
    keys = ("--key", arns["cart"], "--key", "@keys.txt")
    done = keysweep("plan", *keys, "--policy", state_only, *ROLE, "--format", "json")
    assert done.code == 0
    assert names(owned, done.document["items"]) == {"cart", "log", "lake"}
    assert {item["verdict"] for item in done.document["items"]} == {"schedule"}
    assert {one["path"]: one["scanner"] for one in done.document["sources"]} == {
        "--key": "none",
        "@keys.txt": "none",
    }
    assert keysweep("apply", "plan.json", "--yes", *ROLE).code == 0
    assert pending(owned) == {"cart", "log", "lake"}
    undone = keysweep("cancel", "--key", "@keys.txt", "--yes", *ROLE)
    assert undone.code == 0
    assert pending(owned) == {"cart"}


def test_plan_needs_results_or_keys_and_not_both(
    owned: EmbeddedAws, keysweep: Run, results: Callable[..., Path]
) -> None:
    arn = owned.key_arn(SHOP, "eu-west-1", "cart")
    assert keysweep("plan").code == 2
    assert keysweep("plan", results(), "--key", arn).code == 2
    assert keysweep("plan", "--key", "alias/old").code == 2


def test_show_imports_no_library_of_aws(owned: EmbeddedAws, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-P", "-X", "importtime", "-m", "keysweep.remediation"),
            *("show", "plan.json", "--html", "p.html"),
        ],
        check=True,
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "jinja2" in imported
    assert not {"boto3", "botocore"} & imported
