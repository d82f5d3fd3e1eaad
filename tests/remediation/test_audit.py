"""`status --all`: every deletion that journals record, for audits."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded_aws.process import EmbeddedAws

SHOP, DATA = "111122223333", "444455556666"
ROLE = ("--role-name", "KeysweepOperator")
DEAD = 5


@pytest.fixture
def year(
    planned: Path,
    aws: EmbeddedAws,
    keysweep: Callable[..., Any],
    results: Callable[..., Path],
    state_only: Path,
) -> tuple[str, str]:
    """Five deletions, all cancelled; two of the keys scheduled again, in another journal, by
    another plan. The key with a deleted end, and its digest."""
    apply = ("--yes", "--ticket", "OPS-1", "--approved-by", "security", *ROLE)
    assert keysweep("apply", planned, *apply).code == 0
    undo = ("--journal", "keysweep-journal.jsonl", "--yes", *ROLE)
    assert keysweep("cancel", *undo).code == 0
    one, two = (aws.key_arn(SHOP, "eu-west-1", f"dead-{number}") for number in (1, 2))
    aws.advance(days=1)
    assert keysweep("plan", results(one, two), "--policy", state_only, "--out", "2.json").code == 0
    again = ("--journal", "2.jsonl", "--yes", "--ticket", "OPS-2")
    assert keysweep("apply", "2.json", *again).code == 0
    assert keysweep("cancel", "--key", two, "--journal", "2.jsonl", "--yes").code == 0
    aws.advance(days=31)
    return one, json.loads((planned.parent / "2.json").read_text("utf-8"))["digest"]


JOURNALS = ("--journal", "keysweep-journal.jsonl", "--journal", "2.jsonl")


def test_every_deletion_has_its_plan_its_approval_and_its_end(
    year: tuple[str, str], keysweep: Callable[..., Any], aws: EmbeddedAws
) -> None:
    gone, digest = year
    shown = keysweep("status", "--all", *JOURNALS, "--format", "json", *ROLE).document
    audit = shown["audit"]
    assert len(audit) == DEAD + 2
    assert len(shown["rows"]) == DEAD
    first, second = (row for row in audit if row["key_arn"] == gone)
    assert (first["ticket"], second["ticket"]) == ("OPS-1", "OPS-2")
    assert (first["approved_by"], second["approved_by"]) == ("security", None)
    assert (first["final_state"], second["final_state"]) == ("cancelled", "deleted")
    assert first["cancelled_by"] == first["caller"] == second["caller"]
    assert second["cancelled_at"] is None
    assert second["plan_digest"] == digest != first["plan_digest"]
    assert {row["outcome"] for row in audit} == {"scheduled"}
    assert {row["pending_window_days"] for row in audit} == {30}
    assert all(row["requested_at"] < row["deletion_date"] for row in audit)
    assert {one["approved_by"] for one in second["exceptions"]} == {"security"}
    finals = sorted(row["final_state"] for row in audit)
    assert finals == [*["Disabled"] * 4, "cancelled", "cancelled", "deleted"]


def test_an_audit_is_one_flat_table_as_csv_and_a_part_of_the_page(
    year: tuple[str, str], keysweep: Callable[..., Any], tmp_path: Path
) -> None:
    done = keysweep("status", "--all", *JOURNALS, "--format", "csv", "--html", "audit.html", *ROLE)
    assert done.code == 0
    rows = [*csv.DictReader(io.StringIO(done.out))]
    assert len(rows) == DEAD + 2
    assert {row["ticket"] for row in rows} == {"OPS-1", "OPS-2"}
    assert {row["plan_digest"] for row in rows} >= {year[1]}
    assert {row["final_state"] for row in rows} == {"Disabled", "cancelled", "deleted"}
    page = (tmp_path / "audit.html").read_text("utf-8")
    assert all(text in page for text in ("OPS-1", "OPS-2", year[1]))


def test_after_a_full_cancel_the_keys_are_still_shown(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    assert keysweep("cancel", "--journal", "keysweep-journal.jsonl", "--yes", *ROLE).code == 0
    brief = keysweep("status", "--format", "json", *ROLE).document
    assert (brief["rows"], brief["audit"], brief["cancelled"]) == ([], [], DEAD)
    assert "--all" in keysweep("status", *ROLE).out
    shown = keysweep("status", "--all", "--format", "json", *ROLE).document
    assert {row["situation"] for row in shown["rows"]} == {"restored"}
    assert (len(shown["rows"]), shown["pending"], shown["drifted"]) == (DEAD, 0, 0)
    part = keysweep("status", "--all", "--account", DATA, "--format", "json", *ROLE).document
    assert {row["key_arn"].split(":")[4] for row in part["audit"]} == {DATA}


def test_an_interrupted_request_is_part_of_the_audit(
    planned: Path, aws: EmbeddedAws, keysweep: Callable[..., Any]
) -> None:
    path = planned.parent / "keysweep-journal.jsonl"
    assert keysweep("apply", planned, "--yes", *ROLE).code == 0
    lines = path.read_text("utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["line"] != "outcome"]
    path.write_text("\n".join(kept) + "\n", "utf-8")
    audit = keysweep("status", "--all", "--format", "json", *ROLE).document["audit"]
    assert {row["outcome"] for row in audit} == {"interrupted"}
    assert {row["final_state"] for row in audit} == {"PendingDeletion"}
