"""Tables on every terminal: nothing is lost on narrow ones, in pipes, without colors or UTF-8."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest

from keysweep.remediation import policy_file
from keysweep.remediation.cli.console import progress
from keysweep.remediation.policy_view import describe_policy
from keysweep.remediation.report import render
from keysweep.remediation.report.key_rows import Table
from keysweep.remediation.report.tables import Report, of_policy

KEY = "99dfeb9f-b3ce-5e5e-ba83-4a0ddbf47341"
REPLICA = "mrk-99dfeb9fb3ce5e5eba834a0ddbf47341"
HERE = ("111122223333", "ap-southeast-1")
ATTEMPT = (
    "use-attempted: an attempt to use it since 2026-08-25: last "
    "arn:aws:sts::444455556666:assumed-role/monthly-report/session with Decrypt"
)
PLAN = ("key", "alias", "account", "Region", "monthly cost", "owner", "why")
RESULT_COLUMNS = ("key", "account", "Region", "outcome", "deletion date", "message")
STATUS_COLUMNS = (
    *("key", "account", "Region", "state", "deletion date", "days left", "monthly cost", "drift"),
)
TABLES = {
    "scheduled": Table(
        "To schedule: 2 keys, monthly cost $4",
        PLAN,
        (
            (
                KEY,
                "alias/newsletter-of-the-shop-for-partners-abroad-2021",
                *HERE,
                "$3",
                "marketing",
                "",
            ),
            (REPLICA, "", "111122223333", "eu-west-1", "$1", "", ""),
        ),
    ),
    "held": Table("On hold: 1 key", PLAN, ((KEY, "alias/report", *HERE, "$1", "data", ATTEMPT),)),
    "grouped": Table(
        "On hold: 61 keys",
        ("account", "owner", "rule", "keys", "monthly cost"),
        (("111122223333", "marketing", "disabled-too-recently", "61", "$1,061"),),
    ),
    "results": Table(
        "Results",
        RESULT_COLUMNS,
        (
            (KEY, *HERE, "scheduled", "2026-12-24 10:11 UTC", ""),
            (REPLICA, *HERE, "already_pending", "", "its tags changed since the plan was made"),
        ),
    ),
    "status": Table(
        "Scheduled by this journal",
        STATUS_COLUMNS,
        (
            (KEY, *HERE, "PendingDeletion", "2026-12-24", "30", "$3", "cancelled elsewhere"),
            (REPLICA, *HERE, "PendingReplicaDeletion", "", "", "$1", ""),
        ),
    ),
    # Usually the column is empty for every key.
    "results without a word": Table(
        "Results",
        RESULT_COLUMNS,
        ((KEY, *HERE, "scheduled", "2026-12-24 10:11 UTC", ""),),
    ),
    "status without a word": Table(
        "Scheduled by this journal",
        STATUS_COLUMNS,
        ((KEY, *HERE, "PendingDeletion", "2026-12-24", "30", "$3", ""),),
    ),
    "guard": Table(
        "Keys that need attention",
        ("key", "account", "Region", "state", "deletion date", "use", "why"),
        ((KEY, *HERE, "PendingDeletion", "2026-12-24", "3 times, all refused", ATTEMPT),),
    ),
    "code": Table(
        "Findings in code without a live key: 1",
        ("file", "address", "reason", "to resolve it"),
        (("infra/modules/kms/main.tf:12", "module.kms.aws_kms_key.old[0]", "none", "a state"),),
    ),
    **{
        f"policy: {table.heading}": table
        for table in of_policy(describe_policy(policy_file.load(), datetime.now(UTC))).tables
    },
}
WHOLE = re.compile(
    r"(?:mrk-)?[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a key's id
    r"|\d{12}|[a-z]{2}-[a-z]+-\d|\$[\d,]+|\d{4}-\d\d-\d\d"  # account, Region, price, date
    r"|Pending[A-Za-z]+|already_pending|scheduled"
)

PIECE = 5
"""Letters that a piece of a folded word has at least, unless it is the end."""


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")


def printed(table: Table, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    render.terminal(Report((table,), ("The last line.",)), stream)
    return stream.getvalue()


@pytest.mark.parametrize("columns", [40, 60, 71, 72, 80, 100, 119, 120, 200])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_no_width_loses_anything(
    table: Table, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = printed(table)
    assert max(map(len, text.splitlines())) <= columns
    cells = [cell for row in table.rows for cell in row]
    # Ids, states and dates stand on one line, to be copied and searched for.
    assert {cell for cell in cells if WHOLE.fullmatch(cell) and cell not in text} == set()
    words = {word for cell in cells for word in cell.split()}
    assert {word for word in words if not _stands_in(word, text.splitlines())} == set()


def _stands_in(word: str, lines: list[str]) -> bool:
    """Whether a word stands there, be it in pieces, one below the other."""
    rest = word
    for line in lines:
        sizes = range(len(rest), min(PIECE, len(rest)) - 1, -1)
        rest = rest[next((size for size in sizes if rest[:size] in line), 0) :]
        if not rest:
            return True
    return False


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_a_narrow_terminal_shows_the_names_of_the_columns(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = {line.strip() for line in printed(table).splitlines()}
    row = dict(zip(table.columns, table.rows[0], strict=True))
    titles = [name for name in ("alias", "key") if name in row] or [table.columns[0]]
    for name, cell in row.items():
        if name not in titles and cell:
            assert any(line.startswith(f"{name} ") for line in lines), name


@pytest.mark.parametrize("table", ["results without a word", "status without a word"])
def test_keys_without_a_reason_take_few_lines(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, _, row = printed(TABLES[table]).partition(KEY)
    assert len(row.partition("The last line.")[0].split("\n\n")[0].strip().splitlines()) <= 4


@pytest.mark.parametrize("width", [*range(72, 120, 7)])
def test_a_value_stays_beside_its_name_where_a_line_holds_both(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ("key", "account", "owner", "ticket", "deletion date", "caller")
    cells = (KEY, HERE[0], "the logistics team", "OPS 1", "2026-12-24", "arn:aws:iam::x:user/long")
    shown = printed(Table("Results", (*columns, "approved by"), ((*cells, "J. Doe"),)))
    lines = [line.strip() for line in shown.splitlines()]
    for fact in ("owner the logistics team", "ticket OPS 1", "approved by J. Doe"):
        assert any(fact in line for line in lines), fact


def test_a_pipe_gets_no_escapes() -> None:
    assert "\x1b" not in printed(TABLES["status"])


def test_a_terminal_gets_bold_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[1m" in printed(TABLES["status"], Screen())


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[\d;]*[34]\d", printed(TABLES["status"], Screen()))


def test_a_dumb_terminal_gets_no_escapes_and_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "160")
    text = printed(TABLES["status"], Screen())
    assert "\x1b" not in text
    assert 80 < max(map(len, text.splitlines())) <= 160


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "LANG": "en_GB.UTF-8"},
        {"LC_CTYPE": "C", "LANG": "en_GB.UTF-8"},
        # What Python makes of LANG=C alone.
        {"LC_CTYPE": "C.UTF-8", "LANG": "C"},
    ],
    ids=str,
)
def test_the_c_locale_gets_ascii(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    text = printed(TABLES["status"])
    assert text.isascii()
    assert "-----" in text


@pytest.mark.parametrize(
    "variables",
    [{}, {"LANG": "de_DE.UTF-8"}, {"LC_ALL": "C.UTF-8", "LANG": "C"}, {"LC_CTYPE": "C.UTF-8"}],
    ids=str,
)
def test_other_locales_get_lines(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "200")
    assert "─────" in printed(TABLES["status"])


@pytest.mark.parametrize(("term", "moves"), [("xterm-256color", True), ("dumb", False)])
def test_the_bar_moves_only_where_the_cursor_can(
    term: str, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", screen)
    with progress("reading keys", 2) as step:
        step(None)
    assert ("\x1b" in screen.getvalue()) == moves
    assert bool(screen.getvalue()) == moves
