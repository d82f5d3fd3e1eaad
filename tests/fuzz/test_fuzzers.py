"""Fuzz each reader for its share of KEYSWEEP_FUZZ_SECONDS: only its own errors may come out.

A finding is kept in build/fuzz. To try it again:
`PYTHONPATH=tests .tox/fuzz/bin/python -m fuzz.run TARGET build/fuzz/TARGET-crash-...`
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fuzz.targets import TARGETS

TESTS = Path(__file__).parents[1]
CORPUS = Path(__file__).parent / "corpus"
FINDINGS = TESTS.parent / "build" / "fuzz"
SECONDS = int(os.environ.get("KEYSWEEP_FUZZ_SECONDS", "240")) // len(TARGETS)
LIMITS = ("-timeout=10", "-rss_limit_mb=512", "-max_len=40000")
"""Seconds and memory for one document, and the bytes that it may have."""

EXECUTIONS = re.compile(r"number_of_executed_units: (\d+)")
COVERAGE = re.compile(r"DONE +cov: (\d+)")


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_raises_its_own_errors_alone(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    FINDINGS.mkdir(parents=True, exist_ok=True)
    report = ("-print_final_stats=1", f"-artifact_prefix={FINDINGS / name}-")
    flags = (f"-max_total_time={SECONDS}", *LIMITS, *report)
    run = subprocess.run(
        [sys.executable, "-m", "fuzz.run", name, *flags, tmp_path, CORPUS / name],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert run.returncode == 0, run.stderr[-8_000:]
    executions = int(EXECUTIONS.findall(run.stderr)[-1])
    assert executions > len(list((CORPUS / name).iterdir()))
    edges = COVERAGE.findall(run.stderr)[-1]
    record_property("figures", f"{executions} fuzz executions, {edges} edges reached")
