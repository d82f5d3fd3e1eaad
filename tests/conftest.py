"""Settings of all tests, in whichever scanner's environment they run."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from figures import added_up, keep
from shared_models import share_documents

# A shell starts what runs in the background with SIGINT ignored, and processes pass that on.
signal.signal(signal.SIGINT, signal.default_int_handler)

EXAMPLES = {"check": 20, "test": 100, "all": 1000}
"""Of each property, by the profile that KEYSWEEP_EXAMPLES names; `make` sets it."""

if importlib.util.find_spec("botocore"):
    share_documents()

if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    for name, examples in EXAMPLES.items():
        # How long an example takes is the machine's business: speed is measured in benchmarks/.
        settings.register_profile(name, deadline=None, print_blob=True, max_examples=examples)
    settings.load_profile(os.environ.get("KEYSWEEP_EXAMPLES", "test"))

PURE = (
    *("rules/", "findings/", "report/", "iac/"),
    *("test_fuzz_", "test_journal", "test_key_", "test_lifecycle", "test_plan_", "test_policy"),
)
"""Of tests/remediation: what `make check` runs, but for tests that need an embedded AWS."""


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of a session fork their servers from one process, which loads moto once.

    For single files that would be slower.
    """
    folders = any(Path(name).is_dir() for name in config.args)
    if folders and config.getoption("numprocesses", None):  # not in a worker
        from embedded_aws.template import template

        stack = contextlib.ExitStack()
        stack.enter_context(template())
        config.add_cleanup(stack.close)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules and botocore's documents, which stay."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--figures", type=Path, help="file to keep what tests counted, if all passed")


def pytest_terminal_summary(
    terminalreporter: Any, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    """Print what tests counted, from every worker, and keep it if `--figures` says where."""
    passed = [one for one in terminalreporter.getreports("passed") if one.when == "call"]
    found = added_up(passed)
    for file, figures in found.items():
        seeds = "".join(f"seed {seed}, " for seed in figures["seeds"])
        counts = ", ".join(f"{count} {name}" for name, count in figures["counts"].items())
        terminalreporter.write_line(f"{file}: {seeds}{counts}")
    path = config.getoption("figures")
    if path is not None and exitstatus == pytest.ExitCode.OK:
        keep(found, path)


SERVERS = {"aws", "own_server", "server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need neither AWS nor a process, and begin with the longest ones."""
    tests = Path(__file__).parent
    items.sort(key=lambda item: not item.path.is_relative_to(tests / "end_to_end"))
    folder = tests / "remediation"
    for item in items:
        chosen = item.path.is_relative_to(folder) and str(item.path.relative_to(folder))
        if chosen and chosen.startswith(PURE) and SERVERS.isdisjoint(item.fixturenames):
            item.add_marker("pure")
