"""Measure, and write the tables: python -m benchmarks [--only TOPIC]... [--quick] [--runs N].

A benchmark is a module `bench_<topic>.py` of this folder with `measure(runs, quick) -> list[Row]`;
the first line of its docstring is the section's title, an optional `versions()` names what was
measured, and with `ONLY_IF_ASKED` it is measured once, and only where its topic is named. With
--quick the figures are small and few, and RESULTS.md stays as it is.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

from .results import put, section
from .table import markdown

FOLDER: Final = Path(__file__).resolve().parent
PREFIX: Final = "bench_"
RUNS: Final = 5


def main(arguments: Sequence[str]) -> int:
    """Measure the topics; returns 1 if a target was missed or a benchmark failed."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="TOPIC")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=None, metavar="N")
    options = parser.parse_args(arguments)
    topics = options.only or [topic for topic in _topics() if not _only_if_asked(topic)]
    if unknown := set(topics) - {*_topics()}:
        parser.error(f"no such topic: {', '.join(sorted(unknown))}; there are {_topics()}")
    runs = options.runs or (1 if options.quick else RUNS)
    begun = time.monotonic()
    missed = [t for t in topics if not _measure(t, _module(t), runs, quick=options.quick)]
    print(f"{time.monotonic() - begun:.0f} s; not all met: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def _topics() -> list[str]:
    names = (module.name for module in pkgutil.iter_modules([str(FOLDER)]))
    return sorted(name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX))


def _module(topic: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.{PREFIX}{topic}")


def _only_if_asked(topic: str) -> bool:
    return getattr(_module(topic), "ONLY_IF_ASKED", False)


def _measure(topic: str, module: ModuleType, runs: int, *, quick: bool) -> bool:
    """Measure a topic, print it, and save it unless `quick`. Returns whether targets were met."""
    title = (module.__doc__ or topic).splitlines()[0].rstrip(".")
    begun = time.monotonic()
    print(f"\n# {topic}: {title}", flush=True)
    try:
        rows = module.measure(runs, quick)
        versions = module.versions() if hasattr(module, "versions") else {}
    except Exception:  # noqa: BLE001 - the other topics are measured all the same
        traceback.print_exc()
        return False
    print(f"{markdown(rows)}({time.monotonic() - begun:.0f} s)", flush=True)
    if not quick:
        most = 1 if _only_if_asked(topic) else getattr(module, "MOST_RUNS", runs)
        put(FOLDER / "RESULTS.md", title, section(title, rows, min(runs, most), versions))
    return quick or all(row.met is not False for row in rows)  # a target is one at full size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
