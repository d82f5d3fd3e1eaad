"""The console script. Standard library only, so that it works in a scanner's environment.

`path` and `verify` run with it alone. Every other command needs the libraries of the extra
`keysweep[remediation]`, and a message says so where they are missing.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys

from .errors import INTERRUPTED, KeysweepError

LIBRARIES = ("boto3", "click", "jinja2", "jmespath", "msgspec", "pydantic", "yaml", "rich")

COLLECT_AFTER = 20_000, 10, 10
"""Thresholds of `gc.set_threshold`. Service models are millions of objects that stay: with
Python's defaults, collecting them takes a quarter of the time of a plan."""


def main() -> None:
    """Run the command and end the process with its exit code."""
    _open_standard_streams()
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that locks are released
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:  # or SIGTERM, while libraries load; commands handle their own
        sys.stderr.write(f"keysweep: {INTERRUPTED}\n")
        sys.exit(1)
    except KeysweepError as error:
        sys.stderr.write(f"keysweep: {error}\n")
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - a broken library: commands report their own
        from . import diagnostics

        sys.stderr.write(f"keysweep: {diagnostics.unexpected(error, sys.argv)}\n")
        sys.exit(1)


def _open_standard_streams() -> None:
    """Open the null device in place of standard streams that the caller has closed.

    Otherwise, the next file or pipe gets the number of a standard stream, and messages reach it.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest free number
        os.set_inheritable(opened, True)
    os.close(opened)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _standalone(arguments: list[str]) -> int:
    """Run a command that argparse answers; 1 if its output could not be written."""
    from . import standalone

    try:
        try:
            code = standalone.main(arguments)
        except SystemExit as ended:  # after help and usage errors
            code = int(ended.code or 0)
        sys.stdout.flush()
    except OSError as error:
        if error.filename is not None:
            raise
        sys.stderr.write(f"keysweep: Standard output could not be written: {error.strerror}.\n")
        sys.stdout = None  # else Python flushes it again at exit
        return 1
    return code


def _run(arguments: list[str]) -> None:
    if arguments[:1] and arguments[0] in {"path", "verify"}:
        sys.exit(_standalone(arguments))
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            "keysweep: This environment has only the checks. Fix: install the command with "
            "pipx install 'keysweep[remediation]'\n"
        )
        sys.exit(2)
    gc.set_threshold(*COLLECT_AFTER)
    from .cli.main import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
