"""The readers that are fuzzed. Each takes a document as bytes, and raises only for a finding."""

from __future__ import annotations

import functools
import io
import json
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keysweep.remediation import journal, planfile, policy_file
from keysweep.remediation.errors import BadInput
from keysweep.remediation.escape import printable
from keysweep.remediation.evidence.key_policy import understand
from keysweep.remediation.findings.read import read_results
from keysweep.remediation.iac.terraform_states import read_state
from keysweep.remediation.journal.lines import decode, encode
from keysweep.remediation.journal.reader import lines
from keysweep.remediation.models import KeyArn

KEY: Final = KeyArn.parse(
    "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)


OUTSIDER: Final = "999988887777"
LONGEST: Final = 4_000
"""Characters of a message, which the console escapes as the last step."""


class Finding(Exception):
    """A reader broke a promise that is not about its errors."""


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="keysweep-fuzz-"))
    weakref.finalize(_folder, shutil.rmtree, folder, ignore_errors=True)
    return folder


def _read(reader: Callable[[Path], object], document: bytes) -> None:
    """Call a reader of files. Its errors must be sentences that name the file."""
    path = _folder() / "document.json"
    path.write_bytes(document)
    try:
        reader(path)
    except BadInput as error:
        _demand_sentence(str(error), path.name)


def _demand_sentence(text: str, named: str = "") -> None:
    if named not in text or len(printable(text)) > LONGEST:
        raise Finding(f"no sentence for people: {text[:500]!r}")


def plan(document: bytes) -> None:
    """A plan that loads has its own digest and an end, and can be read item by item."""

    def load(path: Path) -> None:
        loaded = planfile.load(path)
        if planfile.digest_of(loaded, as_read=True) != loaded.digest:
            raise Finding("a plan that is not its digest's")
        if loaded.expires_at < loaded.created_at:
            raise Finding("a plan that expires before it is made")
        for item in loaded.items:
            KeyArn.parse(str(item.key_arn))

    _read(load, document)


def journal_lines(document: bytes) -> None:
    """Damage becomes sentences. A journal without any can be read to be written to.

    Lines stay as they are when they are written again, and open deletions are watched.
    """

    def load(path: Path) -> None:
        history = journal.read([path])
        for problem in (*history.notes, *history.problems):
            _demand_sentence(problem)
        for line in lines([path]):
            if decode(encode(line).rstrip()) != line:
                raise Finding(f"{line} changes when it is written again")
        for record in history.keys.values():
            if record.open_schedules and record.watch_use_from is None:
                raise Finding("an open deletion whose uses are not watched")
        try:
            journal.read_undamaged(path)
        except BadInput:
            if not history.problems:
                raise

    _read(load, document)


def policy(document: bytes) -> None:
    """A decision policy."""
    _read(policy_file.load, document)


def results(document: bytes) -> None:
    """Results of every scanner and format."""

    def load(path: Path) -> None:
        found = read_results([str(path)], io.BytesIO())
        for sentence in (*found.warnings, *(one.problem for one in found.unusable)):
            _demand_sentence(sentence)

    _read(load, document)


def state(document: bytes) -> None:
    """A Terraform state, or the output of `terraform show -json`."""
    _read(read_state, document)


def key_policy(document: bytes) -> None:
    """A key policy is understood, or has a problem, which holds the key. Never an error.

    An outsider whom any statement allows anything is seen, whatever else the policy says.
    """
    text = document.decode("utf-8", "replace")
    if understand(text, KEY).problem is not None:
        return
    policy = json.loads(text)
    statements = policy["Statement"]
    allowed = {"Effect": "Allow", "Principal": {"AWS": OUTSIDER}, "Action": "*", "Resource": "*"}
    policy["Statement"] = [*(statements if isinstance(statements, list) else [statements]), allowed]
    seen = understand(json.dumps(policy), KEY)
    if seen.problem is None and not any(OUTSIDER in text for text in seen.outside):
        raise Finding(f"{OUTSIDER} is not seen")


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "plan": plan,
    "journal": journal_lines,
    "policy": policy,
    "results": results,
    "state": state,
    "key_policy": key_policy,
}
