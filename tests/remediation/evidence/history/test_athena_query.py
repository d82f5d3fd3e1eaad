"""Queries whose rows are whole, or errors in AWS's words; and the names that `--history` takes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from keysweep.remediation.errors import BadInput, TruncatedResponse
from keysweep.remediation.evidence.history import athena_query, athena_sql
from keysweep.remediation.evidence.history.athena_query import (
    AthenaName,
    demand_cutoff,
    demand_table,
    rows,
    run,
)
from keysweep.remediation.evidence.history.athena_sql import statements
from keysweep.remediation.evidence.history.athena_table import Part, TrailTable

NAME = AthenaName("team", "audit", "trail")
COLUMNS = ("kind", "total")


class Athena:
    """A client that answers with these states, and with these pages of rows."""

    def __init__(self, states: Sequence[dict[str, Any]], *pages: dict[str, Any]) -> None:
        self.states = [*states]
        self.pages = [*pages]
        self.refusals: list[str] = []
        self.started: dict[str, Any] = {}
        self.stopped: list[str] = []
        self.statistics: dict[str, Any] = {}

    def start_query_execution(self, **request: Any) -> dict[str, Any]:
        self.started = request
        if self.refusals:
            code = self.refusals.pop()
            raise ClientError({"Error": {"Code": code, "Message": "m"}}, "StartQueryExecution")
        return {"QueryExecutionId": "q-1"}

    def get_query_execution(self, **_: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"QueryExecution": {"Status": state, "Statistics": self.statistics}}

    def stop_query_execution(self, **request: str) -> None:
        self.stopped.append(request["QueryExecutionId"])

    def get_query_results(self, **_: Any) -> dict[str, Any]:
        return self.pages.pop(0)


def read(athena: Athena) -> list[Mapping[str, str]]:
    """Run a query and read its rows."""
    return [*rows(athena, run(athena, NAME, "SELECT 1"), COLUMNS)]


DONE = [{"State": "QUEUED"}, {"State": "RUNNING"}, {"State": "SUCCEEDED"}]


def page(
    *values: tuple[str | None, ...], token: str | None = None, names=COLUMNS
) -> dict[str, Any]:
    return {
        "ResultSet": {
            "ResultSetMetadata": {"ColumnInfo": [{"Name": name} for name in names]},
            "Rows": [
                {"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in values
            ],
        },
        **({"NextToken": token} if token else {}),
    }


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(athena_query.time, "sleep", lambda _: None)


def test_rows_of_all_pages_without_the_head() -> None:
    athena = Athena(DONE, page(COLUMNS, ("day", "3"), token="a"), page((None, "3"), ("use", "3")))
    assert [row["kind"] for row in read(athena)] == ["day", "", "use"]
    assert (athena.started["WorkGroup"], athena.stopped) == ("team", [])
    reuse = athena.started["ResultReuseConfiguration"]["ResultReuseByAgeConfiguration"]
    assert reuse == {"Enabled": False}


@pytest.mark.parametrize(
    "pages",
    [
        [page(COLUMNS, ("day", "3"))],
        [page(COLUMNS, ("day", "1"), ("use", "1"))],
        [page(COLUMNS, ("day", "2"), token="a"), page(("use", "2"), token="a"), page()],
        [page(COLUMNS, ("day",))],
        [page(("kind", "sum"), names=("kind", "sum"))],
    ],
    ids=["rows missing", "rows too many", "a page twice", "a cell missing", "other columns"],
)
def test_a_result_that_is_not_whole_is_an_error(pages) -> None:
    with pytest.raises(TruncatedResponse):
        read(Athena(DONE, *pages))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"State": "FAILED", "StateChangeReason": "SYNTAX_ERROR"}, ["FAILED", "SYNTAX_ERROR"]),
        ({"State": "CANCELLED", "StateChangeReason": "limit exceeded"}, ["limit exceeded"]),
        ({"State": "FAILED", "AthenaError": {"ErrorMessage": "no memory"}}, ["no memory"]),
        ({"State": "CANCELLED"}, ["CANCELLED", "no reason"]),
    ],
)
def test_a_query_that_does_not_succeed_is_an_error_in_awss_words(state, words) -> None:
    with pytest.raises(TruncatedResponse) as caught:
        read(Athena([state]))
    assert all(word in str(caught.value) for word in ["team", *words])


def test_an_earlier_result_is_no_answer() -> None:
    athena = Athena(DONE, page(COLUMNS))
    athena.statistics = {"ResultReuseInformation": {"ReusedPreviousResult": True}}
    with pytest.raises(TruncatedResponse):
        read(athena)


def test_a_query_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(athena_query, "PATIENCE", timedelta())
    athena = Athena([{"State": "RUNNING"}])
    with pytest.raises(TruncatedResponse):
        read(athena)
    assert athena.stopped == ["q-1"]


def test_a_query_waits_while_the_account_runs_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    athena = Athena(DONE, page(COLUMNS, ("day", "1")))
    athena.refusals = ["TooManyRequestsException"] * 3
    assert len(read(athena)) == 1
    monkeypatch.setattr(athena_query, "PATIENCE", timedelta())
    for refusals in (["TooManyRequestsException"] * 3, ["InvalidRequestException"]):
        athena.refusals = refusals
        with pytest.raises(ClientError):
            read(athena)


def test_an_interrupted_run_stops_its_query(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(athena_query.time, "sleep", interrupt)
    athena = Athena([{"State": "RUNNING"}])
    with pytest.raises(KeyboardInterrupt):
        read(athena)
    assert athena.stopped == ["q-1"]


# --- names --------------------------------------------------------------------------------------


def test_a_name_is_parsed() -> None:
    name = AthenaName.parse("athena:my.team-1/audit_db.trail")
    assert (name.workgroup, name.database, name.table) == ("my.team-1", "audit_db", "trail")
    assert AthenaName.parse(str(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", "trail", "athena:", "athena:team", "athena:team/audit", "athena:team/audit.trail.x"),
        *("athena:/audit.trail", "lake:team/audit.trail", 'athena:team/audit.tr"ail'),
        *("athena:team/audit.trail; DROP TABLE x", "athena:team/audit.trail\n", "athena:té/a.b"),
    ],
)
def test_another_name_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        AthenaName.parse(text)


class Group:
    """A client whose workgroup has this state and configuration."""

    def __init__(self, state: str = "ENABLED", **configuration: object) -> None:
        self.answer = {"WorkGroup": {"State": state, "Configuration": configuration}}

    def get_work_group(self, **_: str) -> dict[str, Any]:
        return self.answer


class Refusing:
    """A client that refuses everything with this code."""

    def __init__(self, code: str) -> None:
        self.error = ClientError({"Error": {"Code": code, "Message": "m"}}, "Op")

    def get_work_group(self, **_: str) -> dict[str, Any]:
        raise self.error

    get_table = get_work_group


def test_a_workgroup_has_a_limit() -> None:
    assert demand_cutoff(Group(BytesScannedCutoffPerQuery=10**9), NAME) == 10**9
    for group in (Group(), Group("DISABLED", BytesScannedCutoffPerQuery=10**9)):
        with pytest.raises(BadInput):
            demand_cutoff(group, NAME)


def test_what_does_not_exist_is_bad_input_and_a_denial_is_not() -> None:
    with pytest.raises(BadInput):
        demand_cutoff(Refusing("InvalidRequestException"), NAME)
    with pytest.raises(BadInput):
        demand_table(Refusing("EntityNotFoundException"), NAME)
    for demanded in (demand_cutoff, demand_table):
        with pytest.raises(ClientError):
            demanded(Refusing("AccessDeniedException"), NAME)


# --- the statements -----------------------------------------------------------------------------

TODAY = date(2026, 11, 30)
TABLE = TrailTable(
    "audit.trail",
    "logs",
    "",
    "o-abc/",
    Part("account", frozenset({"111122223333"})),
    Part("region", None),
    "timestamp",
    date(2025, 1, 1),
)


def ids(count: int) -> list[str]:
    """Keys whose ids end differently."""
    return [f"00000000-0000-0000-0000-{n:012x}" for n in range(count)]


@pytest.mark.parametrize(
    ("count", "length"), [(1, 8), (50, 8), (31_000, 8), (36_000, 7), (42_000, 6), (50_000, 5)]
)
def test_one_query_lists_as_much_of_each_id_as_fits(count: int, length: int) -> None:
    [text] = statements(TABLE, "eu-west-1", ids(count), date(2025, 10, 26), TODAY)
    assert len(text.encode()) <= athena_sql.MOST_BYTES
    assert f"substr(mark, -{length})" in text
    [ends] = re.findall(r"UNNEST\(regexp_extract_all\('([0-9a-f]+)'", text)
    listed = {ends[n : n + length] for n in range(0, len(ends), length)}
    assert listed == {one[-length:] for one in ids(count)}


def test_one_query_without_a_list_reads_more_keys_than_fit() -> None:
    [text] = statements(TABLE, "eu-west-1", ids(60_000), date(2025, 10, 26), TODAY)
    assert len(text) < 8_192
    assert "substr(mark" not in text


@pytest.mark.parametrize(("accounts", "queries"), [(1, 1), (1_000, 1), (2_600, 2), (9_000, 4)])
def test_each_folder_is_read_by_one_query_of_as_many_as_it_may(accounts: int, queries: int) -> None:
    listed = frozenset(f"{n:012}" for n in range(accounts))
    table = replace(TABLE, account=Part("account", listed))
    start = TODAY - timedelta(days=400)
    made = statements(table, "eu-west-1", ids(1), start, TODAY)
    bounds = [re.findall(r'"timestamp" (>=|<) \'([0-9/]+)\'', text) for text in made]
    assert len(made) == queries
    assert [[sign for sign, _ in one] for one in bounds] == [[">=", "<"]] * queries
    days = [[date.fromisoformat(day.replace("/", "-")) for _, day in one] for one in bounds]
    assert days[0][0] == start
    assert days[-1][1] == TODAY + timedelta(days=1)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(days))
    most = max((until - since).days for since, until in days)
    assert most * accounts <= athena_sql.MOST_PARTITIONS
    assert all("\"region\" = 'eu-west-1'" in text for text in made)


def test_only_the_home_region_of_a_trail_is_asked_for_its_changes() -> None:
    start = TODAY - timedelta(days=400)
    [without] = statements(TABLE, "us-east-1", ids(1), start, TODAY)
    [text] = statements(TABLE, "eu-west-1", ids(1), start, TODAY, {"999988887777", "111122223333"})
    assert "recipientaccountid IN" not in without
    assert "recipientaccountid IN ('111122223333', '999988887777')" in text
    assert len(text) < 8_192


def test_without_keys_only_some_accounts_are_read() -> None:
    listed = frozenset(f"{n:012}" for n in range(9_000))
    table = replace(TABLE, account=Part("account", listed))
    start = TODAY - timedelta(days=400)
    some = {"000000000007", "000000000008"}
    [text] = statements(table, "eu-west-1", (), start, TODAY, {"000000000007"}, some)
    assert "\"account\" IN ('000000000007', '000000000008')" in text
    in_path = replace(TABLE, account=Part(None, frozenset({"000000000007"})))
    [text] = statements(in_path, "eu-west-1", (), start, TODAY, {"000000000007"}, some)
    assert '"account"' not in text
