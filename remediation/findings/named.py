"""Keys that a person names with `--key`: a finding source of its own, without a scanner."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import BadInput
from ..escape import path_text, short
from ..files import read_text
from ..models import Finding, FindingStatus, KeyArn, ResultsSource
from .checks import KEY_OPTION
from .read import Results

NO_SCANNER: Final = "none"

_FROM_FILE: Final = "@"


@dataclass(frozen=True)
class _Named:
    key_arn: KeyArn
    position: str


def results_of_keys(values: Sequence[str]) -> Results:
    """The keys of `--key ARN` and `--key @FILE` as findings.

    Each counts as a failed check. They have no time, because they are as new as the run. Raises
    BadInput for anything but ARNs.
    """
    sources: list[ResultsSource] = []
    findings: dict[KeyArn, Finding] = {}
    for name, text, named in _sources(values):
        sources.append(
            ResultsSource(
                path=name,
                sha256=hashlib.sha256(text.encode()).hexdigest(),
                format="key ARNs",
                scanner=NO_SCANNER,
                findings=len(named),
            )
        )
        for one in named:
            findings.setdefault(
                one.key_arn,
                Finding(
                    scanner=NO_SCANNER,
                    check_id=KEY_OPTION,
                    status=FindingStatus.FAIL,
                    source=name,
                    position=one.position,
                    key_arn=one.key_arn,
                ),
            )
    return Results(tuple(sources), tuple(findings.values()), (), ())


def named_keys(values: Sequence[str]) -> tuple[KeyArn, ...]:
    """The keys of `--key ARN` and `--key @FILE`, each once. Raises BadInput like the above."""
    return tuple(dict.fromkeys(one.key_arn for _, _, named in _sources(values) for one in named))


def _sources(values: Sequence[str]) -> Iterator[tuple[str, str, list[_Named]]]:
    """Name, text and keys of each source: the options together, and each file."""
    direct = [value for value in values if not value.startswith(_FROM_FILE)]
    if direct:
        numbered = enumerate(direct, 1)
        keys = [_Named(_arn(text, KEY_OPTION), f"value {number}") for number, text in numbered]
        yield KEY_OPTION, "\n".join(direct), keys
    for value in dict.fromkeys(value for value in values if value.startswith(_FROM_FILE)):
        path = value.removeprefix(_FROM_FILE)
        text = read_text(Path(path))
        lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
        keys = [
            _Named(_arn(line, f"{short(path)}, line {number}"), f"line {number}")
            for number, line in lines
            if line and not line.startswith("#")
        ]
        if not keys:
            raise BadInput(f"{short(path)} names no key. Fix: write one ARN a line")
        yield path_text(value), text, keys


def _arn(text: str, where: str) -> KeyArn:
    try:
        return KeyArn.parse(text)
    except ValueError as error:
        raise BadInput(f"{where}: {error}. Fix: copy the ARN from the plan or AWS") from error
