"""Accounts that results must have records of, so that a scan that failed is no all-clear."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .. import strict_json
from ..errors import BadInput
from ..escape import short
from ..files import read_text
from ..models import Finding


def expected_accounts(path: Path) -> frozenset[str]:
    """The account IDs of a file: a JSON list, or one a line, and comments after `#`.

    Raises BadInput for a file that cannot be read, names none, or has another word.
    """
    found = set()
    for number, line in enumerate(_lines(read_text(path)), 1):
        account = line.partition("#")[0].strip()
        if account and not re.fullmatch("[0-9]{12}", account, re.ASCII):
            raise BadInput(
                f"{short(str(path))}, line {number}: {short(account)} is not a 12-digit account "
                "ID. Fix: write one a line"
            )
        found.add(account)
    found.discard("")
    if not found:
        raise BadInput(f"{short(str(path))} names no account. Fix: write one account ID a line")
    return frozenset(found)


def _lines(text: str) -> list[str]:
    """The lines of a file, or the elements of a JSON list of strings."""
    if text.lstrip().startswith("["):
        with suppress(ValueError):
            listed = strict_json.loads(text)
            if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
                return listed
    return text.splitlines()


def missing_accounts(expected: Iterable[str], findings: Iterable[Finding]) -> tuple[str, ...]:
    """The expected accounts of which no record names a key, with whatever status."""
    seen = {one.key_arn.account_id for one in findings if one.key_arn is not None}
    return tuple(sorted(set(expected) - seen))
