"""The page in a real browser, headless: what it builds of it, and that it has nothing to complain.

Run by `make test-browser`; the browser is Chromium, or what KEYSWEEP_BROWSER names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dead_key import ARN, NOW, PRIMARY, changed, plan_item, plan_of
from page_reader import read_page

from keysweep.remediation.models import Hold, VerdictKind
from keysweep.remediation.plan import Plan
from keysweep.remediation.report import page
from keysweep.remediation.report.html import html
from keysweep.remediation.status import Status, StatusRow

HOSTILE = "</span><script>document.title='owned'</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Browsed:
    """What the browser made of a page."""

    document: Any
    console: list[str]


def browse(folder: Path, text: str) -> Browsed:
    """Open the page; the document that the browser built, and the lines of its console."""
    browser = os.environ.get("KEYSWEEP_BROWSER") or shutil.which("chromium")
    assert browser, "no chromium: install it, or name a browser in KEYSWEEP_BROWSER"
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    switches = (
        *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--no-sandbox", "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}"),
    )
    done = subprocess.run(
        [browser, *switches, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Browsed(read_page(done.stdout), console)


def plan(alias: str) -> Plan:
    """One key to schedule and one that is held."""
    chosen = plan_item(monthly_cost_usd=3, owner=alias, evidence=changed(aliases=(alias,)))
    held = chosen.model_copy(
        update={
            "key_arn": PRIMARY,
            "verdict": VerdictKind.HOLD,
            "reasons": (Hold(rule="protected-tag", message=alias),),
        }
    )
    return plan_of(chosen, held)


def test_a_plan_opens_as_it_was_written(tmp_path: Path) -> None:
    seen = browse(tmp_path, html(page.of_plan(plan("alias/old-shop"))))
    assert seen.console == []
    assert seen.document.one("title").text == "Plan of 01 November 2026 – Keysweep"
    assert [h.text for h in seen.document.one("main").all("h2")] == [
        *("Why keys are held", "Waiting periods", "To schedule: 1", "On hold: 1"),
        *("Owners and accounts", "Notes", "What cannot be proven"),
    ]
    names = [
        name.text for name in seen.document.all("span") if name.attributes == {"class": "name"}
    ]
    assert names == ["alias/old-shop", "alias/old-shop"]
    assert len(seen.document.all("details")) == 2


def test_states_open_as_they_were_written(tmp_path: Path) -> None:
    row = StatusRow(
        key_arn=ARN,
        state="PendingDeletion",
        scheduled_at=NOW,
        deletion_date=NOW + timedelta(days=30),
        days_left=30,
    )
    status = Status(rows=(row,), pending=1, deleted=0, drifted=0, monthly_cost_usd=1)
    seen = browse(tmp_path, html(page.of_status(status, NOW)))
    assert seen.console == []
    assert " 01 Nov to 01 Dec 2026, 30 days" in seen.document.text


def test_hostile_text_runs_nothing(tmp_path: Path) -> None:
    seen = browse(tmp_path, html(page.of_plan(plan(HOSTILE))))
    assert seen.console == []
    assert seen.document.all("script", "img") == []
    assert seen.document.one("title").text.startswith("Plan of")
    assert HOSTILE in seen.document.text


@pytest.mark.parametrize(
    "smuggled",
    [
        "<script>document.title='owned'</script>",
        '<link rel="stylesheet" href="https://x.invalid/">',
    ],
)
def test_the_content_security_policy_blocks_injected_content(tmp_path: Path, smuggled: str) -> None:
    text = html(page.of_plan(plan("alias/x"))).replace("</body>", f"{smuggled}</body>")
    assert smuggled in text
    seen = browse(tmp_path, text)
    assert any("Content Security Policy" in line for line in seen.console)
    assert seen.document.one("title").text.startswith("Plan of")
