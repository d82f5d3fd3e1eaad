"""Results outside the file system, such as objects in a bucket, and which runs count."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from ..escape import short
from .buffer import Readable

Result = TypeVar("Result")
File = TypeVar("File", bound="RemoteFile")

S3: Final = "s3://"
"""What the name of an object, or of a folder of objects, begins with."""

_SUFFIXES: Final = (".json", ".ndjson", ".jsonl")

PATTERNS: Final = ", ".join(f"*{suffix}" for suffix in _SUFFIXES)
"""The names of results files below a folder, for people."""

_RUN: Final = re.compile(r"prowler-output-(?P<account>[0-9]{12})-(?P<time>[0-9]{14})(?![0-9])")
"""Start of a file's name in Prowler 3.16 to 5.46: account, and the scanner's local time."""

_ACCOUNTS_SHOWN: Final = 5
"""With more accounts, one warning covers all older runs."""

_RUNS_SHOWN: Final = 3


NO_FILE: Final = (
    f"results file ({PATTERNS}). Prowler writes none if it found nothing, or if --status FAIL or "
    "--resource-arn leaves nothing"
)
"""What a folder without results lacks, and why."""


def names_results(name: str) -> bool:
    """Whether a file below a folder is read, by its name."""
    return name.lower().endswith(_SUFFIXES)


class RemoteFile(Protocol):
    """A results file outside the file system."""

    @property
    def path(self) -> str:
        """Its full name, such as `s3://bucket/key`."""
        ...

    def read(self, take: Callable[[Readable], Result]) -> Result:
        """Pass the content to `take`, from the start again after an interruption.

        Raises BadInput if it cannot be read.
        """
        ...


@dataclass(frozen=True)
class RemoteResults:
    """The files of one name."""

    is_folder: bool
    """Whether other files than results are skipped, as in a folder."""
    files: tuple[RemoteFile, ...]
    warnings: tuple[str, ...] = ()


def newest_runs(files: Iterable[File]) -> tuple[tuple[File, ...], Mapping[str, tuple[str, ...]]]:
    """The files of each account's newest run, and the times of the older ones, newest first.

    Account and time come from Prowler's file names. All files of a run are kept, and so is every
    file with another name: of its findings, the newest of each key counts.
    """
    chosen: list[File] = []
    newest: dict[str, tuple[str, list[File]]] = {}
    older: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        run = _RUN.match(file.path.rpartition("/")[2])
        if run is None:
            chosen.append(file)
            continue
        account, time = run["account"], run["time"]
        known, kept = newest.setdefault(account, (time, []))
        if time < known:
            older[account].add(time)
        elif time == known:
            kept.append(file)
        else:
            older[account].add(known)
            newest[account] = (time, [file])
    chosen += [file for _, (_, kept) in sorted(newest.items()) for file in kept]
    return tuple(chosen), {
        account: tuple(sorted(times, reverse=True)) for account, times in sorted(older.items())
    }


def older_run_warnings(path: str, older: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Warnings about the runs under `path` that are not used."""
    path = short(path)
    if len(older) > _ACCOUNTS_SHOWN:
        count = sum(map(len, older.values()))
        return (
            f"{path}: only the newest run of each account is used; {count} older runs of "
            f"{len(older)} accounts are not",
        )
    return tuple(
        f"{path}: of account {account} only the newest run is used, and not {_listed(times)}"
        for account, times in older.items()
    )


def _listed(times: tuple[str, ...]) -> str:
    shown = ", ".join(_date(time) for time in times[:_RUNS_SHOWN])
    rest = len(times) - _RUNS_SHOWN
    runs = "that of" if len(times) == 1 else "those of"
    return f"{runs} {shown}" + (f" and {rest} older" if rest > 0 else "")


def _date(time: str) -> str:
    try:
        return f"{datetime.strptime(time, '%Y%m%d%H%M%S'):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ007
    except ValueError:
        return time
