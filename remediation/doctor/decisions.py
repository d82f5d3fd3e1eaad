"""Write exceptions to decide into a policy, commented out: only an editor makes one active."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from .. import policy_file
from ..errors import BadInput
from ..files import read_text, write_new
from ..policy import Policy
from .findings import ClosedRegionsProposal, Examination, Proposal

PLACEHOLDERS: Final = {"reason": "<reason>", "approved_by": "<who>", "until": "<YYYY-MM-DD>"}
"""Values for a person to replace. The policy loader refuses each of them."""

_ABOUT: Final = (
    "## To decide: is no key in use there? If so, uncomment an entry, replace the placeholders,",
    "## and let a second person review it. `until` is a day within a year.",
)


class _OneLine(yaml.SafeDumper):
    """Writes each text on one line."""

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = '"' if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_OneLine.add_representer(str, _OneLine.represent_str)


def extend(policy: Path, out: Path, found: Examination) -> int:
    """Write the policy with the exceptions to decide; returns their number.

    Nothing of the policy changes by that. Raises BadInput if `out` exists, or the policy is written
    so that no entries can be added.
    """
    before = policy_file.load(policy)
    text = read_text(policy)
    inline = _is_inline(text)
    if found.closed_regions:
        text = _added(text, "closed_regions", found.closed_regions)
    if found.coverage_exceptions:
        text = _added(text, "coverage_exceptions", found.coverage_exceptions)
    if inline or not _decides(text, before):
        raise BadInput(
            f"{policy}: Entries cannot be added to this YAML. Fix: write its lists in block style, "
            "without `...` at the end."
        )
    write_new(out, text)
    return len(found.coverage_exceptions) + len(found.closed_regions)


def _decides(text: str, before: Policy) -> bool:
    """Whether the text is a policy that decides the same. Checked before `out` exists."""
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "policy.yaml"
        write_new(trial, text)
        try:
            return policy_file.load(trial) == before
        except BadInput:
            return False


def _is_inline(text: str) -> bool:
    """Whether the whole policy is one inline mapping, which has no line for an entry."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return isinstance(root, yaml.MappingNode) and bool(root.flow_style)


def block(entries: tuple[Proposal | ClosedRegionsProposal, ...], indent: int = 2) -> str:
    """The entries as commented YAML. Without each `# `, they are items of a list."""
    margin = " " * indent
    lines = [*_ABOUT, *(f"# {line}" for entry in entries for line in _lines(entry))]
    return "".join(f"{margin}{line}\n" for line in lines)


def _lines(entry: Proposal | ClosedRegionsProposal) -> Iterator[str]:
    values = {**entry.model_dump(mode="json"), **PLACEHOLDERS}
    # On one line each, and in ASCII: no character of a message can end the comment.
    text = yaml.dump([values], Dumper=_OneLine, sort_keys=False, width=100_000)
    yield from text.splitlines()


def _added(text: str, name: str, entries: tuple[Proposal | ClosedRegionsProposal, ...]) -> str:
    """The text of a policy with commented entries in one of its lists."""
    value = _value(text, name)
    if value is None:
        return f"{text.rstrip()}\n\n{name}:\n{block(entries)}"
    start, end = value.start_mark, value.end_mark
    if isinstance(value, yaml.SequenceNode) and not value.flow_style:
        at = start.index - start.column
        return text[:at] + block(entries, start.column) + text[at:]
    # An inline list becomes one with a line for each value, to which an editor can add.
    given = yaml.safe_load(text)[name]
    lines = yaml.safe_dump(given, sort_keys=False) if given else ""
    rest = text[end.index :].partition("\n")
    items = "".join(f"  {line}\n" for line in lines.splitlines())
    head = text[: start.index].rstrip(" ")
    return f"{head}{rest[0]}\n{items}{block(entries)}{rest[2]}"


def _value(text: str, name: str) -> yaml.Node | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    return next((value for key, value in root.value if key.value == name), None)


def statement(actions: tuple[str, ...]) -> str:
    """An IAM statement that allows these actions."""
    allow = {"Sid": "KeysweepReads", "Effect": "Allow", "Action": [*actions], "Resource": "*"}
    return json.dumps(allow, indent=2)
