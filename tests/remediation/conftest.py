"""The embedded AWS, and the command in this process or as one of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_runs import Done, run_here, send_at_once
from lifted_rules import file_lifting, rules_besides
from prowler_records import prowler_record
from scenarios import DATA, DEAD, SHOP
from shared_models import share_reduced_models

from embedded_aws.process import EmbeddedAws

share_reduced_models()


@pytest.fixture(scope="module", autouse=True)
def sent_at_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Calls in this process wait for no quota, except where the waiting is tested."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name != "aws":
            send_at_once(patch)
        yield


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedAws]:
    """One process for the session; each test begins with a scenario of its own."""
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture(scope="module")
def own_server() -> Iterator[EmbeddedAws]:
    """One process for a module whose calls may hang or be killed on their way: none of them reaches
    another module's scenario."""
    with EmbeddedAws() as aws:
        yield aws


@pytest.fixture
def scenario(server: EmbeddedAws) -> Callable[[Mapping[str, Any]], EmbeddedAws]:
    """Begin anew with these accounts."""

    def begin(accounts: Mapping[str, Any]) -> EmbeddedAws:
        server.reset({"accounts": accounts})
        return server

    return begin


@pytest.fixture
def aws(scenario: Callable[[Mapping[str, Any]], EmbeddedAws]) -> EmbeddedAws:
    """Two accounts with dead keys and some that are not."""
    return scenario(
        {
            SHOP: {
                "regions": {
                    "eu-west-1": {
                        "managed": ["ebs"],
                        "keys": [
                            {"name": "dead-{n}", "count": 3, "aliases": ["alias/dead-{n}"], **DEAD},
                            {"name": "kept", "tags": {"keysweep:keep": ""}, **DEAD},
                            {"name": "alive"},
                            {"name": "pending", "state": "PendingDeletion"},
                        ],
                    },
                    "us-east-1": {"keys": [{"name": "dead-far", **DEAD}]},
                }
            },
            DATA: {
                "roles": ["KeysweepOperator"],
                "regions": {"eu-west-1": {"keys": [{"name": "dead-other", **DEAD}]}},
            },
        }
    )


@pytest.fixture
def as_operator(server: EmbeddedAws) -> Callable[..., dict[str, str]]:
    """The environment of the command: an operator of an account, and nothing else of AWS."""

    def environment(account: str = SHOP, **variables: str) -> dict[str, str]:
        limits = {"COLUMNS": "160", "KEYSWEEP_JOBS": "1"}
        return server.process_environment(account, **{**limits, **variables})

    return environment


@pytest.fixture
def keysweep(as_operator: Callable[..., dict[str, str]], tmp_path: Path) -> Callable[..., Done]:
    """Run the command in this process, as the operator of an account, in the test's own folder."""

    def run(*arguments: str | Path, account: str = SHOP, stdin: str = "", **variables: str) -> Done:
        return run_here(arguments, tmp_path, as_operator(account, **variables), stdin)

    return run


@pytest.fixture
def keysweep_process(
    as_operator: Callable[..., dict[str, str]], tmp_path: Path
) -> Callable[..., Done]:
    """Run the command as a process, as users do."""

    def run(*arguments: str | Path, account: str = SHOP, stdin: str = "", **variables: str) -> Done:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "keysweep.remediation", *map(str, arguments)],
            cwd=tmp_path,
            env=as_operator(account, **variables),
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def results(server: EmbeddedAws, tmp_path: Path) -> Callable[..., Path]:
    """Write a results file that names these keys; by default every disabled customer key."""

    def write(*arns: str, name: str = "results.ocsf.json") -> Path:
        chosen = arns or tuple(
            key["arn"]
            for key in server.keys()
            if key["state"] == "Disabled" and key["manager"] == "CUSTOMER"
        )
        path = tmp_path / name
        path.write_text(
            json.dumps([prowler_record(arn, server.now()) for arn in chosen]), encoding="utf-8"
        )
        return path

    return write


@pytest.fixture
def state_only(tmp_path: Path) -> Path:
    """A policy that reads DescribeKey and tags alone, to test what follows evaluation."""
    path = tmp_path / "state-only.yaml"
    rules = rules_besides("description", "tags", "aliases")
    path.write_text(file_lifting(rules), encoding="utf-8")
    return path


@pytest.fixture
def planned(
    aws: EmbeddedAws,
    keysweep: Callable[..., Done],
    results: Callable[..., Path],
    state_only: Path,
) -> Path:
    """A plan of the two accounts' dead keys, by the state-only policy."""
    done = keysweep("plan", results(), "--policy", state_only, "--role-name", "KeysweepOperator")
    assert done.code == 0, done.err
    return Path(results().parent / "plan.json")
