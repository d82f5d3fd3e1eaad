"""Fuzz one reader: `python -m fuzz.run TARGET FLAGS... FOLDERS...`, with libFuzzer's flags."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["keysweep.remediation"]):
    from fuzz.targets import TARGETS

from fuzz.mutation import FORMS, mutator


def main() -> None:
    """Fuzz until the time is over, or a finding ends it."""
    program, name, *flags = sys.argv

    def of_bytes(document: bytes, most: int) -> bytes:
        mutated: bytes = atheris.Mutate(document, most)  # which Setup replaces
        return mutated

    mutate = mutator(FORMS[name], of_bytes)
    atheris.Setup([program, *flags], TARGETS[name], custom_mutator=mutate)
    atheris.Fuzz()


main()
