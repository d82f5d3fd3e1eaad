"""The page that people look at: complete, whole, readable without eyes, and neutral to any text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dead_key import ARN, NOW, PRIMARY, changed, gap_of, plan_item, plan_of
from hypothesis import given
from hypothesis import strategies as st
from page_reader import read_page

from keysweep.remediation.models import (
    PIECES,
    Absences,
    AbsentService,
    AppliedException,
    FindingRecord,
    Hold,
    KeyResult,
    Outcome,
    PlanItem,
    References,
    Unreadable,
    VerdictKind,
)
from keysweep.remediation.plan import LIMITS, Plan
from keysweep.remediation.plan_diff import compare
from keysweep.remediation.report import page, tables
from keysweep.remediation.report.evidence_words import in_words
from keysweep.remediation.report.html import html
from keysweep.remediation.status import Status, StatusRow

OTHER = replace(ARN, key_id="0" * 8 + ARN.key_id[8:])
LAST_WEEK = NOW - timedelta(days=7)
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}\"'&lt;\u202e\x1b[31m"


def item(**changes: Any) -> PlanItem:
    """An item of a plan, to be scheduled by default."""
    return plan_item(**{"monthly_cost_usd": 3.0, "owner": "shop", **changes})


def held(**changes: Any) -> PlanItem:
    """Another key, which a gap and a tag hold."""
    gap = gap_of(
        service="fsx", region="eu-west-1", why="denied", permission="fsx:DescribeFileSystems"
    )
    values: dict[str, Any] = {
        "key_arn": PRIMARY,
        "verdict": VerdictKind.HOLD,
        "monthly_cost_usd": 1.0,
        "owner": None,
        "reasons": (
            Hold(rule="in-use", message="a service unread", gaps=(gap,)),
            Hold(rule="protected-tag", message="it is tagged keysweep:keep"),
        ),
        "exceptions": (
            AppliedException(
                rule="too-new",
                reason="the auditor agreed",
                approved_by="audit",
                until="2027-01-01",
            ),
        ),
        "evidence": changed(last_use=Unreadable(unreadable="AccessDeniedException from KMS")),
    }
    return item(**{**values, **changes})


def plan(*items: PlanItem, **changes: Any) -> Plan:
    """A plan of these items."""
    return plan_of(*items, digest="sha256:" + "0" * 64, **changes)


def shown(of: page.Page) -> Any:
    return read_page(html(of))


def figures(document: Any) -> list[list[str]]:
    """Numbers and amounts of each figure at the top of a page."""
    shown = document.one("ul", **{"class": "figures"}).all("li")
    return [re.findall(r"\$?\d+", figure.text) for figure in shown]


def test_a_plan_shows_costs_reasons_keys_owners_gaps_exceptions_and_limits() -> None:
    document = shown(page.of_plan(plan(item(), held())))
    assert document.one("h1").text == "Plan of 01 November 2026"
    assert figures(document) == [["$4", "2"], ["$3", "1", "$36"], ["$1", "1"]]
    headings = [heading.text for heading in document.all("h2")]
    first_words = "Why Waiting To On Owners Exceptions Services Notes What"
    assert " ".join(heading.split()[0] for heading in headings) == first_words
    assert {"To schedule: 1", "On hold: 1"} < set(headings)
    rows = [[cell.text for cell in row.all("th", "td")] for row in document.all("tr")]
    assert ["in-use", "1 key, monthly cost $1"] in rows
    assert ["1 key", "30 days, until 01 Dec 2026"] in rows
    assert [ARN.account_id, "shop", "1", "0", "0", "$3", "$3"] in rows
    assert [ARN.account_id, "unknown", "0", "1", "0", "$1", "$0"] in rows
    assert ["too-new", "the auditor agreed", "audit", "2027-01-01", "1"] in rows
    assert ["fsx", "eu-west-1", "unclear", "denied", "fsx:DescribeFileSystems", "1"] in rows
    assert "--tfstate" in document.text
    for limit in LIMITS:
        assert limit in document.text


def test_reports_say_that_only_the_first_reasons_are_listed_unless_explained() -> None:
    for made, first in ((plan(held()), True), (plan(held(), all_reasons=True), False)):
        assert ("--explain" in shown(page.of_plan(made)).text) is first
        assert any("--explain" in line for line in tables.of_plan(made).lines) is first
    assert not any("--explain" in line for line in tables.of_plan(plan(item())).lines)


COVERAGE = AppliedException(
    rule="in-use",
    reason="no Lustre",
    approved_by="storage",
    until="2027-01-01",
    region="eu-west-1",
    service="fsx",
    operation="DescribeFileCaches",
)


def test_keys_that_rest_on_exceptions_are_a_group_on_page_and_terminal() -> None:
    made = plan(item(), item(key_arn=OTHER, exceptions=(COVERAGE,)), held())
    assert [one.key_arn for one in made.on_exceptions] == [OTHER]
    assert [one.key_arn for one in made.chosen] == [ARN, OTHER]
    assert made.exceptions == {COVERAGE: 1}
    document = shown(page.of_plan(made))
    headings = [heading.text for heading in document.all("h2")]
    assert {"To schedule: 1", "To schedule on exceptions: 1", "On hold: 1"} < set(headings)
    groups = [t for t in tables.of_plan(made).tables if "why" in t.columns]
    assert [[row[0] for row in group.rows] for group in groups] == [
        [ARN.key_id],
        [OTHER.key_id],
        [PRIMARY.key_id],
    ]
    (row,) = groups[1].rows
    for part in ("fsx", "DescribeFileCaches", "eu-west-1", "no Lustre", "storage", "2027-01-01"):
        assert part in row[-1]


def absences(region: str, *services: str) -> Absences:
    found = tuple(AbsentService(service=s, host=f"{s}.host", code=s) for s in services)
    return Absences(region=region, services=found, controls=(), list_path="/list", listed=200)


def test_services_that_a_region_does_not_offer_are_counted_on_page_and_terminal() -> None:
    first = References(absent=(absences("eu-west-3", "qbusiness", "kendra"),))
    second = References(absent=(*(first.absent or ()), absences("sa-east-1", "omics")))
    made = plan(item(evidence=changed(references=first)), held(evidence=changed(references=second)))
    document = shown(page.of_plan(made))
    rows = [[cell.text for cell in row.all("th", "td")] for row in document.all("tr")]
    assert ["eu-west-3", "2", "kendra, qbusiness"] in rows
    assert ["sa-east-1", "1", "omics"] in rows
    lines = [line for line in tables.of_plan(made).lines if line.startswith("Absent from")]
    assert [re.findall(r"from ([\w-]+), .*: (\d+)", line) for line in lines] == [
        [("eu-west-3", "2")],
        [("sa-east-1", "1")],
    ]


def test_the_evidence_is_folded_below_its_verdict_and_the_reasons_are_not() -> None:
    document = shown(page.of_plan(plan(item(), held())))
    first, second = document.all("details")
    assert "open" not in first.attributes
    assert first.one("dl").all("dt")[0].text == "ARN"
    folded = dict(
        zip(
            (name.text for name in second.all("dt")),
            (cell.text for cell in second.all("dd")),
            strict=True,
        )
    )
    assert folded["ARN"] == str(PRIMARY)
    assert folded["Last use"].endswith(": AccessDeniedException from KMS")
    assert folded["Attempts to use it"].endswith("(weak)")
    assert set(folded) == {"ARN", *dict(in_words(held().evidence))}
    assert len(folded) == 1 + len(PIECES)
    summary = second.one("summary").text
    assert "protected-tag : it is tagged keysweep:keep" in summary
    assert "exception: too-new : the auditor" in summary
    assert "(audit, until 2027-01-01)" in summary


def test_what_differs_from_an_earlier_plan_is_a_table_of_its_own() -> None:
    earlier = plan(item(verdict=VerdictKind.HOLD, reasons=held().reasons), created_at=LAST_WEEK)
    since = compare(earlier.digest, LAST_WEEK, earlier.items, (item(), held()))
    document = shown(page.of_plan(plan(item(), held(), since=since)))
    (heading,) = (h.text for h in document.all("h2") if h.text.startswith("Since"))
    assert heading.endswith(" 2026-10-25 12:00 UTC: 1 new, 0 gone, 1 changed")
    (table,) = (
        one for one in document.all("table") if "verdict" in [th.text for th in one.all("th")]
    )
    columns, *rows = ([c.text for c in row.all("th", "td")] for row in table.all("tr"))
    assert columns == ["key", "alias", "account", "Region", "verdict", "why"]
    assert [(row[0], row[4]) for row in rows] == [
        (ARN.key_id, "hold -> schedule"),
        (PRIMARY.key_id, "new -> hold"),
    ]
    assert "it is tagged keysweep:keep" in rows[1][5]
    without = shown(page.of_plan(plan(item(), held())))
    assert not any(one.text.startswith("Since") for one in without.all("h2"))


def test_results_show_failures_first_and_the_savings() -> None:
    other = item(key_arn=PRIMARY)
    made = plan(item(), other)
    results = [
        KeyResult(key_arn=ARN, outcome=Outcome.SCHEDULED, deletion_date=NOW + timedelta(days=30)),
        KeyResult(key_arn=PRIMARY, outcome=Outcome.FAILED, message="KMS refused"),
    ]
    document = shown(page.of_results(results, made, NOW))
    assert figures(document) == [["$3", "1", "$36"], ["0"], ["1"]]
    groups = [h.text for h in document.all("h2") if h.text.split(":")[0] in {"Failed", "Scheduled"}]
    assert groups == ["Failed: 1", "Scheduled: 1"]
    assert "failed : KMS refused" in document.text
    assert "deletion date : 2026-12-01 12:00 UTC" in document.text


def test_states_show_the_waiting_periods_and_the_drift() -> None:
    rows = (
        StatusRow(
            key_arn=ARN,
            state="PendingDeletion",
            scheduled_at=NOW - timedelta(days=12),
            deletion_date=NOW + timedelta(days=18),
            days_left=18,
            monthly_cost_usd=3,
        ),
        StatusRow(
            key_arn=PRIMARY, state="Disabled", drift="Deletion cancelled outside this journal"
        ),
    )
    status = Status(rows=rows, pending=1, deleted=0, drifted=1, monthly_cost_usd=3)
    document = shown(page.of_status(status, NOW))
    (row,) = document.one("table", **{"class": "timeline"}).one("tbody").all("tr")
    assert row.text.startswith("1 key 20 Oct to 19 Nov 2026, 18 ")
    passed = row.one("i").attributes["style"]
    assert "--from: 0.00%; --length: 100.00%; --passed: 41" in passed
    assert [h.text for h in document.all("h2")][1:3] == ["Drifted: 1", "Pending: 1"]


def test_states_agree_with_the_journal_only_as_far_as_they_were_read() -> None:
    row = StatusRow(key_arn=ARN, state="unknown", unreadable="denied")
    status = Status(rows=(row,), pending=0, deleted=0, drifted=0, unreadable=1, monthly_cost_usd=0)
    assert figures(shown(page.of_status(status, NOW)))[2] == ["0", "1"]


def every_page(text: str) -> list[str]:
    """All three pages, with a text from outside wherever one can be."""
    evidence = changed(
        aliases=(f"alias/{text}",),
        tags={text: text},
        description={"description": text},
        grants=Unreadable(unreadable=text),
    )
    finding = FindingRecord(scanner=text, check_id=text, source=text, position=text)
    exceptions = AppliedException(rule=text, reason=text, approved_by=text, until=text)
    made = plan(
        item(owner=text, evidence=evidence, findings=(finding,), exceptions=(exceptions,)),
        held(reasons=(Hold(rule=text, message=text),)),
        warnings=(text,),
    )
    result = KeyResult(key_arn=ARN, outcome=Outcome.FAILED, message=text)
    row = StatusRow(key_arn=ARN, state=text, drift=text)
    status = Status(rows=(row,), pending=0, deleted=0, drifted=1, monthly_cost_usd=0, notes=(text,))
    return [
        html(page.of_plan(made)),
        html(page.of_results([result], made, NOW)),
        html(page.of_status(status, NOW)),
    ]


def structure(element: Any) -> Any:
    """The elements with their attributes, without any text."""
    return (
        element.tag,
        {name: value for name, value in element.attributes.items() if name != "style"},
        [structure(child) for child in element.children if not isinstance(child, str)],
    )


@pytest.mark.parametrize("number", [0, 1, 2])
def test_hostile_text_is_text(number: int) -> None:
    hostile, tame = every_page(HOSTILE)[number], every_page("tame")[number]
    document = read_page(hostile)
    assert structure(document) == structure(read_page(tame))
    assert "<script>alert(1)</script>" in document.text
    assert "{{ 7*7 }}" in document.text
    assert "\\u{202e}\\u{1b}[31m" in document.text
    assert "\u202e" not in hostile
    assert "\x1b" not in hostile


@given(st.text(min_size=1, max_size=30))
def test_no_text_changes_the_page(text: str) -> None:
    for made, tame in zip(every_page(text), every_page("tame"), strict=True):
        assert structure(read_page(made)) == structure(read_page(tame))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_page_is_one_file_that_loads_and_runs_nothing(number: int) -> None:
    document = read_page(every_page("tame")[number])
    assert document.all("script", "img", "iframe", "object", "embed", "form", "base") == []
    links = [link.attributes for link in document.all("link", "a")]
    assert [link["href"] for link in links] == ["data:,", "#main"]
    policy = document.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")
    style = document.one("style").children[0]
    assert "url(" not in style
    assert "@import" not in style
    for element in document.all(*{one.tag for one in document._below()}):
        assert not [name for name in element.attributes if name.startswith("on")]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_page_is_accessible_to_screen_readers(number: int) -> None:
    document = read_page(every_page("tame")[number])
    assert document.one("html").attributes["lang"] == "en"
    assert len(document.all("h1")) == len(document.all("main")) == len(document.all("header")) == 1
    ids = [one.attributes["id"] for one in document._below() if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    for section in document.all("section"):
        assert section.attributes.get("aria-label") or section.attributes["aria-labelledby"] in ids
    for table in document.all("table"):
        assert table.one("caption").text
        assert all("scope" in cell.attributes for cell in table.all("th"))
        assert all(row.all("th") for row in table.one("tbody").all("tr"))
    for fold in document.all("details"):
        assert fold.children[1].tag == "summary"
    assert all(
        bar.attributes.get("aria-hidden") == "true"
        for bar in document.one("main").all("i")
        if "style" in bar.attributes and "--share" in bar.attributes["style"]
    )


def test_a_very_large_plan_names_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("keysweep.remediation.report.page.plan.MOST_KEYS", 1)
    document = shown(page.of_plan(plan(item(), item(key_arn=PRIMARY))))
    assert [h.text for h in document.all("h2")][1] == "To schedule: 2"
    assert len(document.all("details")) == 1
    assert " 1 more key." in document.text


def test_each_command_writes_its_page(
    planned: Path, keysweep: Callable[..., Any], results: Callable[..., Path], state_only: Path
) -> None:
    role = ("--role-name", "KeysweepOperator")
    again = keysweep("plan", results(), "--policy", state_only, "--html", "plan.html", *role)
    assert again.code == 0, again.err
    done = keysweep("apply", planned, "--yes", "--html", "apply.html", *role)
    assert done.code == 0, done.err
    seen = keysweep("status", "--html", "status.html", *role)
    assert seen.code == 0, seen.err
    titles = {}
    for name in ("plan", "apply", "status"):
        path = planned.parent / f"{name}.html"
        assert path.stat().st_mode & 0o777 == 0o600
        document = read_page(path.read_text(encoding="utf-8"))
        titles[name] = document.one("h1").text.split()[0]
        assert "alias/dead-1" in document.text or name == "status"
    assert titles == {"plan": "Plan", "apply": "Applied", "status": "Status"}


def test_a_page_that_cannot_be_written_stops_apply_before_the_work(
    planned: Path, keysweep: Callable[..., Any], server: Any
) -> None:
    done = keysweep("apply", planned, "--yes", "--html", "nowhere/apply.html")
    assert done.code == 2
    assert "nowhere/apply.html: " in done.err
    assert not server.calls(operation="ScheduleKeyDeletion")
