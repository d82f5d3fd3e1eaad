"""Write RESULTS.md, which has one section for each topic. Each can be replaced alone."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from .table import Row, markdown

TITLE = (
    "# Results\n\n"
    "Written by `make bench`: whole processes, medians of interleaved runs, user and system time "
    "together as CPU. What was found on the way is in [NOTES.md](NOTES.md).\n"
)


def machine() -> str:
    """Processor, cores, memory and Python, without the name of the machine."""
    return (
        f"{_processor()}, {os.cpu_count()} cores, "
        f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def section(title: str, rows: Sequence[Row], runs: int, versions: Mapping[str, str]) -> str:
    """The section of a topic: its rows, the date and the machine."""
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    taken = "1 run" if runs == 1 else f"{runs} runs"
    about = [f"{datetime.now(UTC):%Y-%m-%d}", taken, machine(), named]
    return f"## {title}\n\n{'; '.join(filter(None, about))}\n\n{markdown(rows)}"


def put(path: Path, title: str, text: str) -> None:
    """Replace the section of this title, or add it at the end."""
    before = path.read_text(encoding="utf-8") if path.exists() else TITLE
    pieces = re.split(r"(?m)^(?=## )", before)
    head = f"## {title}\n"
    if not any(piece.startswith(head) for piece in pieces):
        pieces.append(head)
    pieces = [text if piece.startswith(head) else piece for piece in pieces]
    path.write_text("\n".join(piece.strip() + "\n" for piece in pieces), encoding="utf-8")
