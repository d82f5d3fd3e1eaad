"""Runs the shell blocks of a page one after another, in one shell, as a person at a terminal would.

The first command that does not end as the page says ends the page. Questions are answered with yes.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from doc_pages import Block

QUESTION = b"[y/N]: "
_MARK = "@@ the block of line "
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ANY_DATE = re.compile(r"20\d\d-\d\d-\d\d|\d\d [A-Z][a-z]{2,8} 20\d\d")


@dataclass(frozen=True)
class Shown:
    """What a page's blocks showed, and how the last of them ended."""

    code: int
    text: str

    @property
    def last_line(self) -> str:
        """The line of the block that was run last."""
        return self.text.rpartition(_MARK)[2].partition("\n")[0]


def run(
    typed: Sequence[Block], folder: Path, environment: Mapping[str, str], seconds: float
) -> Shown:
    """Type the blocks into a shell on a terminal of its own."""
    script = folder.parent / f"{folder.name}.sh"
    script.write_text("\n".join(["set -e -o pipefail", *map(_with_mark, typed)]), encoding="utf-8")
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", str(script)],
            cwd=folder,
            env={**environment, "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "100"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    output = _listen(ours, process, time.monotonic() + seconds)
    text = _CONTROL.sub("", output.decode("utf-8", "replace").replace("\r", ""))
    return Shown(process.wait(), text)


def _with_mark(block: Block) -> str:
    """The block, behind a line that names it; one that must fail, with the proof that it does."""
    mark = f"echo {shlex.quote(_MARK + str(block.line))}"
    if not block.exits:
        return f"{mark}\n{block.text}"
    demand = f'[ "$ended" -eq {block.exits} ] || {{ echo "ended with $ended"; exit 99; }}'
    return f"{mark}\nset +e\n{block.text}ended=$?\nset -e\n{demand}"


def _listen(terminal: int, process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The output until the shell ends; background commands are not waited for."""
    output = bytearray()
    answered = 0
    os.set_blocking(terminal, False)
    try:
        while True:
            ended = process.poll() is not None
            try:
                output += os.read(terminal, 65536)
            except BlockingIOError:
                pass
            except OSError:  # Linux's word for the end of a terminal
                break
            else:
                if output.count(QUESTION) > answered:
                    os.write(terminal, b"y\n")
                    answered += 1
                continue
            if ended:
                break
            if time.monotonic() > deadline:
                os.killpg(process.pid, 9)
                output += b"\nstopped: it took too long\n"
            time.sleep(0.05)
    finally:
        os.close(terminal)
    return bytes(output)


def absent(excerpt: str, text: str) -> list[str]:
    """Lines of an excerpt that do not appear in the text in this order; dates may be others."""
    lines = iter([_undated(line) for line in text.splitlines()])
    expected = [_undated(line) for line in excerpt.splitlines()]
    return [
        line
        for line in expected
        if line.strip() not in {"", "..."} and not any(line == there for there in lines)
    ]


def _undated(line: str) -> str:
    return " ".join(_ANY_DATE.sub("DATE", line).split())
