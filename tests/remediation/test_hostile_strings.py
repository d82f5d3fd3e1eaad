"""Texts that others wrote, on their way to a terminal, a Markdown page, a spreadsheet; and secrets.

The commands run in this process, which is quicker; what they print is the same.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import logging
import os
import stat
import unicodedata
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml
from dead_key import NOW, changed, plan_item
from hypothesis import given
from hypothesis import strategies as st
from prowler_records import prowler_record
from scenarios import DATA, DEAD, SHOP, in_shop
from stages import ROLE, state_only

from embedded_aws.process import EmbeddedAws
from keysweep.remediation.cli.console import confirm
from keysweep.remediation.cli.main import run as run_cli
from keysweep.remediation.errors import BadInput, Refused
from keysweep.remediation.escape import csv_cell, markdown_text, printable
from keysweep.remediation.files import demand_writable, write_private
from keysweep.remediation.journal import KeyRecord
from keysweep.remediation.models import AppliedException, KeyArn, PlanItem
from keysweep.remediation.report.confirmation import rows_to_cancel, rows_to_schedule
from keysweep.remediation.report.key_rows import KeyRow

ESCAPES = "\x1b[31mred\x07 \x9b2J \u202egpj.exe\u2066 \u200b\u2028"
MARKUP = "<img src=x onerror=alert(1)> [a](javascript:b) |c| `d` **e** &lt; ~~f~~"
FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(A1)", " =1+1", "\t=1+1", "\r=1+1")
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def keysweep(
    own_server: EmbeddedAws,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run a command in this process: its exit code, standard output and error."""
    for name, value in {**own_server.environment(SHOP), "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    policy = state_only().model_dump(mode="json", include={"exceptions", "version"})
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run_cli(arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def _results(server: EmbeddedAws, path: Path) -> Path:
    keys = [key for key in server.keys() if key["state"] == "Disabled"]
    records = [prowler_record(key["arn"], server.now()) for key in keys]
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def _hidden(text: str) -> set[str]:
    return {c for c in text if c != "\n" and unicodedata.category(c) in HIDDEN}


# --- the three ways to make a text harmless ------------------------------------------------------


@given(st.text())
def test_plain_text_has_nothing_hidden(text: str) -> None:
    assert not _hidden(printable(text))
    assert "\n" not in printable(text)


@given(st.text())
def test_no_cell_is_a_formula_whatever_spreadsheet_reads_it(text: str) -> None:
    cell = csv_cell(text)
    assert cell.lstrip()[:1] not in set("=+-@")
    assert not _hidden(cell)


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_is_marked_as_text(formula: str) -> None:
    assert csv_cell(formula).startswith(("'", "\\u{"))


@given(st.text())
def test_no_text_is_markup_in_markdown(text: str) -> None:
    shown = markdown_text(text)
    bare = shown.replace("\\\\", "")
    for mark in "`*_[]<>|&":
        assert f"\\{mark}" in bare or mark not in bare
    assert not _hidden(shown)


# --- through the command -------------------------------------------------------------------------


@pytest.fixture
def hostile(own_server: EmbeddedAws) -> EmbeddedAws:
    keys = [
        {
            "name": f"key-{number}",
            "description": f"{text} {ESCAPES} {MARKUP}",
            "tags": {"owner": f"{text}{ESCAPES}{MARKUP}"[:250], f"{text} x": ESCAPES},
            **DEAD,
        }
        for number, text in enumerate(FORMULAS)
    ]
    own_server.reset(in_shop(*keys))
    return own_server


@pytest.mark.parametrize("form", ["table", "markdown", "csv", "json"])
def test_nothing_of_it_reaches_a_report(
    form: str, hostile: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    folder = tmp_path / f"in\x1b[2J\u202e{form}<b>"
    folder.mkdir()
    results = str(_results(hostile, folder / "=r\u2066.json"))
    plan = f"=plan\x1b[1m\u202e{form}.json"
    code, out, err = keysweep(
        "plan", results, "--policy", "policy.yaml", "--out", plan, "--format", form
    )
    assert code == 0, err
    reports = [out]
    journal = ("--journal", f"j\x1b[1m{form}", "--format", form)
    recorded = ("--ticket", f"=1{ESCAPES}", "--approved-by", f"@x {MARKUP}")
    code, out, err = keysweep("apply", plan, "--yes", *recorded, *journal)
    assert code == 0, err
    reports.append(out)
    reports.append(keysweep("show", plan, "--format", form)[1])
    reports += [keysweep("status", *more, *journal)[1] for more in ((), ("--all",))]
    assert len([*filter(None, reports)]) == 5
    for text in (report.replace("\r\n", "\n") for report in reports):
        if form == "json":
            json.loads(text)
            assert not {c for c in text if c != "\n" and unicodedata.category(c) == "Cc"}
            continue
        assert not _hidden(text), _hidden(text)
        if form == "markdown":
            assert "<img" not in text.replace("\\<", "")
            assert "](javascript" not in text.replace("\\]", "").replace("\\(", "")
        if form == "csv":
            cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
            assert not [cell for cell in cells if cell.lstrip()[:1] in set("=+-@")]


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


STYLES = "[bold red]$0[/bold red] [link=https://x.invalid]"
LONG = "x" * 300
PROMPTS: dict[str, Callable[[Sequence[PlanItem]], Sequence[KeyRow]]] = {
    "apply": lambda items: rows_to_schedule(items, lambda _arn: True, NOW),
    "cancel": lambda items: rows_to_cancel(
        [one.key_arn for one in items], {}, {one.key_arn: one for one in items}, {}
    ),
    "guard": lambda items: rows_to_cancel(
        [one.key_arn for one in items],
        {one.key_arn: _record(one) for one in items},
        {},
        {one.key_arn: NOW for one in items},
        {one.key_arn: one.evidence.alias for one in items},
    ),
}


def _record(item: PlanItem) -> KeyRecord:
    return KeyRecord(
        item.key_arn,
        alias=item.evidence.alias,
        owner=item.owner,
        exceptions=item.exceptions,
    )


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("command", PROMPTS)
def test_a_prompt_shows_every_key_under_hostile_names(
    command: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = (ESCAPES, MARKUP, STYLES, LONG, "".join(FORMULAS), "\u05d0\u202e", "")
    exception = AppliedException(
        rule="in-use", reason=STYLES, approved_by=ESCAPES, until="2027-01-01"
    )
    arns = [KeyArn("aws", SHOP, "eu-west-1", f"{number:08}-{'1' * 12}") for number in range(7)]
    items = [
        plan_item(
            arn,
            owner=text,
            exceptions=exceptions,
            evidence=changed(key_arn=arn, aliases=(f"alias/{text}",)),
        )
        for arn, text, exceptions in zip(arns, texts, cycle([(exception,), ()]), strict=False)
    ]
    shown = _Terminal()
    monkeypatch.setattr("sys.stdin", _Terminal("n\n"))
    monkeypatch.setattr("sys.stderr", shown)
    for name, value in {"COLUMNS": str(columns), "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused):
        confirm(
            "Delete",
            [one.key_arn for one in items],
            lambda: PROMPTS[command](items),
            yes=False,
            listing="",
        )
    text = shown.getvalue()
    assert not _hidden(text), _hidden(text)
    words = text.split()
    assert all(one.key_arn.key_id in words for one in items)
    assert all(part in text for part in ("[bold", "[/bold", "[link="))
    assert max(len(line) for line in text.splitlines()[:-1]) <= columns
    assert text.splitlines()[-1].startswith(f"Delete {len(items)} keys")


class _Tags(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.targets |= {value or "" for name, value in attrs if name in {"href", "src"}}


def test_nothing_of_it_reaches_a_page(
    hostile: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    results = str(_results(hostile, tmp_path / "=r\u2066<script>alert(1)<\u2215script>.json"))
    page = tmp_path / "page.html"
    code, _, err = keysweep("plan", results, "--policy", "policy.yaml", "--html", str(page))
    assert code == 0, err
    text = page.read_text(encoding="utf-8")
    assert "alert(1)" in text, "the texts are there, and harmless"
    tags = _Tags()
    tags.feed(text)
    assert not tags.elements & {"img", "script", "iframe", "object", "base", "form"}
    assert all(target.startswith(("#", "data:,", "https://")) for target in tags.targets)
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert not _hidden(text) - {"\t", "\r"}
    assert stat.S_IMODE(page.stat().st_mode) == 0o600


def test_nothing_of_it_reaches_an_error(
    hostile: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    name = "bad\x1b[31m\u202e\n\x07.json"
    (tmp_path / name).write_text("{", encoding="utf-8")
    (tmp_path / name).write_text("[1]", encoding="utf-8")
    for arguments in (
        ("plan", name),
        ("apply", name, "--yes"),
        ("status", "--journal", name),
        ("cancel", "--journal", name, "--yes"),
        ("plan", "x", "--policy", name),
        ("cancel", "--key", name),
        (name,),
        ("plan", "x", "--account", name),
        ("plan", "x", "--role-name", name),
    ):
        code, out, err = keysweep(*arguments)
        assert (code, out) == (2, ""), arguments
        assert not _hidden(err), (arguments, _hidden(err))
        assert err.startswith("keysweep: ")
        assert err.count("\n") == 1, err


# --- files ---------------------------------------------------------------------------------------


def test_what_is_written_is_the_owners_and_replaces_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept", encoding="utf-8")
    link = tmp_path / "plan.json"
    link.symlink_to(victim)
    write_private(link, "new")
    assert victim.read_text(encoding="utf-8") == "kept"
    assert not link.is_symlink()
    assert link.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(link.stat().st_mode) == 0o600
    open_to_all = tmp_path / "open.json"
    open_to_all.touch(mode=0o666)
    write_private(open_to_all, "new")
    assert stat.S_IMODE(open_to_all.stat().st_mode) == 0o600


def test_a_pipe_and_a_standard_stream_are_not_replaced(tmp_path: Path) -> None:
    pipe, to_pipe, stream = (tmp_path / name for name in ("pipe", "to_pipe", "stream"))
    os.mkfifo(pipe)
    to_pipe.symlink_to(pipe)
    with (tmp_path / "redirected").open("w", encoding="utf-8") as file:
        stream.symlink_to(f"/proc/self/fd/{file.fileno()}")  # as /dev/stdout is in Linux
        for path in (pipe, to_pipe, *((stream,) if stream.exists() else ())):
            before = path.lstat().st_ino
            for write in (demand_writable, lambda path: write_private(path, "new")):
                with pytest.raises(BadInput, match=path.name) as refused:
                    write(path)
                assert refused.value.exit_code == 2
            assert path.lstat().st_ino == before


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(BadInput, match=r"folder: .*Is a directory"):
        write_private(folder, "new")
    with pytest.raises(BadInput, match=os.strerror(errno.ENOENT)):
        write_private(tmp_path / "none" / "plan.json", "new")
    with pytest.raises(UnicodeEncodeError):
        write_private(tmp_path / "plan.json", "\ud800")
    assert {path.name for path in tmp_path.iterdir()} == {"folder"}


def test_files_of_a_run_are_the_owners_whatever_the_umask(
    hostile: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    results = str(_results(hostile, tmp_path / "results.json"))
    before = os.umask(0)
    try:
        assert keysweep("plan", results, "--policy", "policy.yaml")[0] == 0
        assert keysweep("apply", "plan.json", "--yes")[0] == 0
    finally:
        os.umask(before)
    for name in ("plan.json", "keysweep-journal.jsonl"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "document",
    [
        "!!python/object/apply:os.system ['touch pwned']",
        "exceptions: !!python/object/new:os.system ['touch pwned']",
        "version: 1\nprotected_keys: !include /etc/passwd",
    ],
)
def test_a_policy_runs_nothing_and_opens_nothing(
    document: str, hostile: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    (tmp_path / "evil.yaml").write_text(document, encoding="utf-8")
    results = str(_results(hostile, tmp_path / "results.json"))
    code, out, err = keysweep("plan", results, "--policy", "evil.yaml")
    assert (code, out) == (2, "")
    assert "evil.yaml" in err
    assert "root:" not in err
    assert not (tmp_path / "pwned").exists()


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble",
    [None, "expire"]
    + [pytest.param(one, marks=pytest.mark.sample) for one in ("deny", "truncate", "drop_after")],
)
def test_no_credential_is_written_or_shown(
    trouble: str | None,
    own_server: EmbeddedAws,
    keysweep: Command,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    keys = {"keys": [{"name": "k", **DEAD}]}
    own_server.reset(
        {
            "accounts": {
                SHOP: {"regions": {"eu-west-1": keys}},
                DATA: {
                    "regions": {"eu-west-1": keys},
                    "roles": {ROLE: {"external_id": "external-canary"}},
                },
            }
        }
    )
    results = str(_results(own_server, tmp_path / "results.json"))
    access = ("--role-name", ROLE, "--external-id", "external-canary")
    runs = [keysweep("plan", results, "--policy", "policy.yaml", *access, "--format", "json")]
    if trouble is not None:
        own_server.fault(trouble, operation="ScheduleKeyDeletion", times=None)
        own_server.fault(trouble, operation="AssumeRole", times=None)
    for command in (
        ("apply", "plan.json", "--yes"),
        ("status",),
        ("cancel", "--journal", "keysweep-journal.jsonl", "--yes"),
    ):
        runs.append(keysweep(*command, *access))
        runs.append(keysweep(*command, *access, "--format", "json"))
    environment = own_server.environment(SHOP)
    secrets = {environment["AWS_SECRET_ACCESS_KEY"], "external-canary"}
    secrets |= {environment["AWS_ACCESS_KEY_ID"], "session-ASIA", "ASIA"}
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4
    shown = [*files, *(text for _, out, err in runs for text in (out, err)), caplog.text]
    assert {secret for secret in secrets for text in shown if secret in text} == set()


def test_keys_of_accounts_that_were_not_named_are_reported_and_left_alone(
    own_server: EmbeddedAws, keysweep: Command, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"keys": [{"name": "k-{n}", "count": 2, **DEAD}]}
    own_server.reset(
        {
            "accounts": {
                SHOP: {"regions": {"eu-west-1": keys}},
                DATA: {"regions": {"eu-west-1": keys}, "roles": [ROLE]},
            }
        }
    )
    results = str(_results(own_server, tmp_path / "results.json"))
    access = ("--role-name", ROLE, "--role-session-name", "friday", "--format", "json")
    code, out, _ = keysweep("plan", results, "--policy", "policy.yaml", "--account", DATA, *access)
    plan = json.loads(out)
    verdicts = {(item["account_id"], item["verdict"]) for item in plan["items"]}
    assert (code, verdicts) == (0, {(DATA, "schedule")})
    keysweep("plan", results, "--policy", "policy.yaml", *access)
    own_server.clear_calls()
    code, out, err = keysweep("apply", "plan.json", "--account", SHOP, *access)
    assert (code, out) == (2, "")
    assert f"2 keys (2 in account {SHOP})?" in err
    code, out, _ = keysweep("apply", "plan.json", "--yes", "--account", SHOP, *access)
    rows = {(row["key_arn"].split(":")[4], row["outcome"]) for row in json.loads(out)["results"]}
    assert (code, rows) == (0, {(SHOP, "scheduled")})
    assert {call["account"] for call in own_server.calls(service="kms")} == {SHOP}
    code, out, _ = keysweep("apply", "plan.json", "--yes", *access)
    assert code == 0
    principals = {call["principal"] for call in own_server.calls(operation="ScheduleKeyDeletion")}
    assert f"arn:aws:sts::{DATA}:assumed-role/{ROLE}/friday" in principals
