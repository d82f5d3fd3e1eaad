"""Settings by environment variables, and where plans and expected accounts come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from scenarios import DATA, DEAD, SHOP

from embedded_aws.process import EmbeddedAws
from keysweep.remediation import planfile
from keysweep.remediation.cli.main import keysweep as command
from keysweep.remediation.cli.options import FormatOption
from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import expected_accounts
from keysweep.remediation.policy import policies_folder

ROLE = ("--role-name", "KeysweepOperator")
ACCESS = {
    *("--profile", "--region", "--account", "--role-session-name", "--external-id", "--role-name"),
}


def options() -> dict[tuple[str, str], click.Option]:
    """Every option by command and name, but for the commands that argparse reads."""
    top = command.make_context("keysweep", [], resilient_parsing=True)
    found = {}
    for name in command.list_commands(top):
        one = command.get_command(top, name)
        assert one is not None
        with one.make_context(name, [], parent=top, resilient_parsing=True) as context:
            for option in context.command.params:
                if isinstance(option, click.Option):
                    found[name, option.opts[0]] = option
    return found


def test_every_access_and_format_option_has_its_variable() -> None:
    found = {
        where: option
        for where, option in options().items()
        if where[1] in {*ACCESS, "--format"} and where[0] not in {"verify", "path"}
    }
    assert {where: option.envvar for where, option in found.items()} == {
        (name, option): f"KEYSWEEP_{option[2:].replace('-', '_').upper()}" for name, option in found
    }
    assert {option for _, option in found} == {*ACCESS, "--format"}
    formats = [one for (_, option), one in found.items() if option == "--format"]
    assert all(isinstance(one, FormatOption) for one in formats)
    assert len(formats) >= 9


def test_an_option_overrides_its_variable_and_the_variable_the_default(
    planned: Path, keysweep: Callable[..., Any]
) -> None:
    plan = ("show", planned)
    assert keysweep(*plan, KEYSWEEP_FORMAT="json").document["items"]
    assert keysweep(*plan, "--format", "csv", KEYSWEEP_FORMAT="json").out.startswith("verdict,")
    assert keysweep(*plan).out == keysweep(*plan, "--format", "table", KEYSWEEP_FORMAT="json").out


def test_a_format_that_only_other_commands_have_keeps_the_default(
    keysweep: Callable[..., Any],
) -> None:
    assert keysweep("policy", KEYSWEEP_FORMAT="csv").out == keysweep("policy").out
    assert keysweep("policy", "--format", "csv").code == 2
    assert keysweep("policy", KEYSWEEP_FORMAT="cvs").code == 2, "no command has it"


def test_a_plan_on_standard_output_is_one_that_apply_takes(
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    tmp_path: Path,
) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    done = keysweep("plan", results(), "--policy", state_only, "--out", "-", *ROLE)
    assert done.code == 0
    assert {path.name for path in tmp_path.iterdir()} - before <= {"results.ocsf.json"}
    (tmp_path / "p.json").write_text(done.out, encoding="utf-8")
    assert planfile.load(tmp_path / "p.json").summary.schedule == 5


def test_expected_accounts_that_the_results_lack_are_named(
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
    tmp_path: Path,
) -> None:
    accounts = tmp_path / "accounts.txt"
    accounts.write_text(f"# the shop\n{SHOP}\n\n{DATA}  # data\n", encoding="utf-8")
    plan = ("--policy", state_only, "--expect-accounts", accounts, *ROLE)
    assert keysweep("plan", results(), *plan).code == 0
    found = results(aws.key_arn(SHOP, "eu-west-1", "dead-1"), name="shop.json")
    done = keysweep("plan", found, *plan)
    assert (done.code, DATA in done.err, SHOP in done.err) == (1, True, False)
    assert (tmp_path / "plan.json").exists()
    key = aws.key_arn(SHOP, "eu-west-1", "dead-1")
    assert keysweep("plan", "--key", key, *plan).code == 2


@pytest.mark.parametrize("text", ["", "# none\n", "11112222333\n", "shop\n", "111122223333 x\n"])
def test_a_file_without_account_ids_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "accounts.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput):
        expected_accounts(path)


def test_status_and_mutelist_need_the_read_only_role_alone(
    scenario: Callable[..., EmbeddedAws],
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
) -> None:
    document = json.loads((policies_folder() / "iam" / "plan.json").read_text(encoding="utf-8"))
    aws = scenario(
        {
            SHOP: {"regions": {"eu-west-1": {"keys": []}}},
            DATA: {
                "roles": {"KeysweepOperator": {}, "KeysweepPlan": {"policies": [document]}},
                "regions": {"eu-west-1": {"keys": [{"name": "dead", **DEAD}]}},
            },
        }
    )
    assert keysweep("plan", results(), "--policy", state_only, *ROLE).code == 0
    assert keysweep("apply", "plan.json", "--yes", *ROLE).code == 0
    reader = ("--role-name", "KeysweepPlan")
    shown = keysweep("status", "--all", "--format", "json", *reader)
    assert (shown.code, shown.document["pending"]) == (0, 1)
    muted = keysweep("mutelist", *reader)
    assert muted.code == 0
    assert aws.key_arn(DATA, "eu-west-1", "dead").rpartition("/")[2] in muted.out
