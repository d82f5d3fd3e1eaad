"""One page over many plans: an account without a complete plan is named, and the run fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_runs import Done, run_here
from dead_key import DEAD, plan_item, plan_of
from page_reader import read_page

from keysweep.remediation import plan_index, planfile
from keysweep.remediation.errors import BadInput
from keysweep.remediation.models import UnusableRecord

ACCOUNT = DEAD.key_arn.account_id
"""The account of the only key."""
QUIET, GONE, CUT, SHUT, ODD = (f"{n}" * 12 for n in (2, 3, 4, 5, 6))


def written(folder: Path, account: str, keys: int = 0, **fields: Any) -> None:
    plan = plan_of(*[plan_item(monthly_cost_usd=3.0)] * keys, **fields)
    plan = plan.model_copy(update={"digest": planfile.digest_of(plan)})
    planfile.save(plan, folder / f"{account}.json")


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    folder = tmp_path / "plans"
    folder.mkdir()
    written(folder, ACCOUNT, keys=1)
    (folder / f"{ACCOUNT}.html").write_text("<p>report</p>", encoding="utf-8")
    written(folder, QUIET)
    return folder


def index(folder: Path, *options: str | Path) -> Done:
    return run_here(["index", *options], folder.parent, {"COLUMNS": "160"})


def expecting(folder: Path, *accounts: str) -> tuple[str, Path]:
    file = folder.parent / "accounts.json"
    file.write_text(json.dumps(accounts), encoding="utf-8")
    return ("--expect-accounts", file)


def test_complete_plans_of_all_accounts_are_one_page(plans: Path) -> None:
    done = index(
        plans, "plans", *expecting(plans, ACCOUNT, QUIET), "--html", plans.parent / "index.html"
    )
    assert (done.code, done.err) == (0, "")
    page = read_page((plans.parent / "index.html").read_text(encoding="utf-8"))
    rows = [[cell.text for cell in row.all("th", "td")] for row in page.all("tr")][1:]
    assert [row[:5] for row in rows] == [
        [ACCOUNT, "1", "0", "0", "$3"],
        [QUIET, "0", "0", "0", "$0"],
    ]
    assert rows[0][5] == planfile.load(plans / f"{ACCOUNT}.json").digest
    links = [link.attributes["href"] for link in page.all("a") if link.text in {ACCOUNT, QUIET}]
    assert links == [f"plans/{ACCOUNT}.html"]


def test_accounts_without_a_complete_plan_are_named(plans: Path) -> None:
    written(plans, SHUT, unread_accounts=(f"{SHUT}: AccessDenied.",))
    written(plans, ODD, keys=1)
    text = (plans / f"{QUIET}.json").read_text(encoding="utf-8")
    (plans / f"{CUT}.json").write_text(text[:-20], encoding="utf-8")
    done = index(plans, "plans", *expecting(plans, ACCOUNT, GONE), "--format", "markdown")
    assert done.code == 1
    named = done.err.split(": ")[-1].strip(" .\n").split(", ")
    assert named == [GONE, CUT, SHUT, ODD]
    found = {one.account_id: one for one in plan_index.read(plans, [GONE])}
    assert {name for name, one in found.items() if one.problem} == {GONE, CUT, SHUT, ODD}
    assert found[GONE].problem == plan_index.NO_PLAN
    assert ACCOUNT in found[ODD].problem
    assert {name for name, one in found.items() if one.summary is None} == {GONE, CUT}


def test_warnings_of_a_plan_are_counted(plans: Path) -> None:
    """A Region that the scan could not list leaves a complete plan, which may have no key."""
    written(plans, QUIET, warnings=("its keys in eu-west-1 could not all be listed", "no records"))
    done = index(plans, "plans", "--html", plans.parent / "index.html")
    assert done.code == 0
    page = read_page((plans.parent / "index.html").read_text(encoding="utf-8"))
    rows = [[cell.text for cell in row.all("th", "td")] for row in page.all("tr")]
    assert {row[0]: row[-1] for row in rows[1:]} == {ACCOUNT: "0", QUIET: "2"}


def test_a_record_that_could_not_be_used_leaves_a_plan_incomplete(plans: Path) -> None:
    record = UnusableRecord(source="x.json", position="record 1", problem="no ARN")
    written(plans, QUIET, unusable=(record,))
    assert [one.account_id for one in plan_index.incomplete(plan_index.read(plans, ()))] == [QUIET]


def test_a_link_is_a_url_whatever_the_name_of_the_folder(plans: Path) -> None:
    odd = plans.rename(plans.parent / "javascript:plans #1")
    assert index(odd, odd.name, "--html", "index.html").code in {0, 1}
    page = read_page((odd.parent / "index.html").read_text(encoding="utf-8"))
    (link,) = page.all("table")[0].all("a")
    assert link.attributes["href"] == f"javascript%3Aplans%20%231/{ACCOUNT}.html"


@pytest.mark.parametrize("given", [[], ["nowhere"], ["plans", "--html", "elsewhere/index.html"]])
def test_what_cannot_be_an_index_is_bad_input(given: list[str], plans: Path) -> None:
    (plans.parent / "elsewhere").mkdir()
    assert index(plans, *given).code == 2


def test_a_folder_without_plans_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput):
        plan_index.read(tmp_path, ())


def test_an_account_that_is_no_account_is_refused(plans: Path) -> None:
    assert index(plans, "plans", *expecting(plans, "all")).code == 2
