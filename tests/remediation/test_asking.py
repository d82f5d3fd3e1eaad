"""What a person at a terminal is asked before anything is done, and what each answer does."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from message_parts import figures

from embedded_aws.process import EmbeddedAws

ROLE = ("--role-name", "KeysweepOperator")
QUESTION = b"[y/N]: "
SECONDS = 120


def at_a_terminal(
    server: EmbeddedAws, folder: Path, arguments: tuple[str, ...], answer: str | signal.Signals
) -> tuple[int, str, str]:
    """Exit code, standard output and what the terminal showed; the answer follows the question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "keysweep.remediation", *arguments],
        cwd=folder,
        env=server.process_environment("111122223333", TERM="xterm", COLUMNS="160"),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = _read(ours, lambda text: QUESTION in text)
    if isinstance(answer, signal.Signals):
        end = time.monotonic() + SECONDS
        while not _more_within(ours, 0.3):
            assert time.monotonic() < end, shown
            process.send_signal(answer)  # one that comes before the line is read is not heard
    else:
        os.write(ours, f"{answer}\n".encode())
    out, _ = process.communicate(timeout=SECONDS)
    shown += _read(ours, lambda text: False)
    os.close(ours)
    return process.returncode, out.decode(), shown.decode()


def _day(server: EmbeddedAws, days: int) -> str:
    """The date so many days from the embedded AWS's now."""
    return f"{datetime.fromtimestamp(server.now(), UTC) + timedelta(days=days):%Y-%m-%d}"


def _more_within(terminal: int, seconds: float) -> bool:
    readable, _, _ = select.select([terminal], [], [], seconds)
    return bool(readable)


def _read(terminal: int, enough: Callable[[bytes], bool]) -> bytes:
    """What the terminal shows, until that is enough or every process has closed it."""
    text = b""
    end = time.monotonic() + SECONDS
    while not enough(text):
        assert time.monotonic() < end, text
        try:
            text += os.read(terminal, 65536)
        except OSError:  # Linux's word for the end of a terminal
            break
    return text


@pytest.mark.parametrize(
    ("answer", "code"),
    [("n", 3), pytest.param("", 3, marks=pytest.mark.sample), (signal.SIGINT, 1)],
)
def test_any_answer_but_yes_changes_nothing(
    answer: str | signal.Signals, code: int, planned: Path, server: EmbeddedAws
) -> None:
    for arguments in (
        ("apply", planned.name, *ROLE),
        ("cancel", "--key", server.key_arn("111122223333", "eu-west-1", "pending")),
    ):
        ended, out, shown = at_a_terminal(server, planned.parent, arguments, answer)
        assert (ended, out) == (code, "")
        assert "keysweep: " in shown
        assert "Traceback" not in shown
    assert not server.calls(operation="ScheduleKeyDeletion")
    assert not server.calls(operation="CancelKeyDeletion")


def test_yes_does_what_the_question_announces(planned: Path, server: EmbeddedAws) -> None:
    arguments = ("apply", planned.name, *ROLE, "--format", "json")
    code, out, shown = at_a_terminal(server, planned.parent, arguments, "y")
    assert code == 0
    (question,) = re.findall(r"Schedule the deletion[^)]*\)", shown)
    assert figures(question) == ["5", "4", "111122223333", "1", "444455556666"]
    listed, _ = shown.split("Schedule the deletion")
    for key in server.keys():
        chosen = key["name"].startswith("dead-")
        assert (key["arn"].rpartition("/")[2] in listed) is chosen
    assert _day(server, 30) in listed
    assert {row["outcome"] for row in json.loads(out)["results"]} == {"scheduled"}


def test_a_cancellation_lists_each_key_with_its_deletion_date_in_aws(
    planned: Path, keysweep: Callable[..., Any], server: EmbeddedAws
) -> None:
    assert keysweep("apply", planned.name, "--yes", *ROLE).code == 0
    server.advance(days=3)
    arguments = ("cancel", "--journal", "keysweep-journal.jsonl", *ROLE, "--format", "json")
    code, out, shown = at_a_terminal(server, planned.parent, arguments, "y")
    assert code == 0
    assert len(json.loads(out)["results"]) == 5
    listed, _ = shown.split("Cancel the deletion")
    assert all(row["key_arn"].rpartition("/")[2] in listed for row in json.loads(out)["results"])
    assert {"alias/dead-1", "alias/dead-2", "alias/dead-3"} <= set(listed.split())
    assert listed.count(_day(server, 27)) == 5


def test_no_prompt_is_shown_for_a_plan_without_a_key_to_schedule(
    keysweep: Callable[..., Any], results: Callable[..., Path], server: EmbeddedAws, aws: Any
) -> None:
    kept = server.key_arn("111122223333", "eu-west-1", "kept")
    folder = results(kept).parent
    assert keysweep("plan", results(kept)).code == 0
    done = keysweep("apply", "plan.json", "--html", "apply.html", "--format", "json")
    assert (done.code, done.document["results"]) == (0, [])
    assert "Applied" in (folder / "apply.html").read_text(encoding="utf-8")


def test_a_page_that_can_no_longer_be_written_is_reported_after_the_work(
    planned: Path, keysweep: Callable[..., Any], server: EmbeddedAws
) -> None:
    pages = planned.parent / "pages"
    pages.mkdir()
    # The page is a folder by the time that it is written.
    server.fault("hang_after", operation="ScheduleKeyDeletion", times=1, seconds=1)
    process = _started(server, planned, "--yes", "--html", "pages/apply.html")
    _until(lambda: bool(server.calls(operation="ScheduleKeyDeletion")))
    (pages / "apply.html").mkdir()
    _, text = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "pages/apply.html: " in text
    rows = keysweep("status", *ROLE, "--format", "json").document["rows"]
    assert {row["state"] for row in rows} == {"PendingDeletion"}
    assert len(rows) == 5


def _started(server: EmbeddedAws, plan: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "keysweep.remediation", "apply", plan.name, *ROLE, *options],
        cwd=plan.parent,
        env=server.process_environment("111122223333"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)
