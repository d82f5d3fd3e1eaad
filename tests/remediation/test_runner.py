"""Process many keys: one row for each, whatever happens to one of them."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import overload

import pytest

from keysweep.remediation.cli.console import exit_code_at_end
from keysweep.remediation.errors import RUN_AGAIN, BadInput
from keysweep.remediation.journal import Journal
from keysweep.remediation.models import KeyArn
from keysweep.remediation.runner import Stop, each_key

ARNS = [
    KeyArn.parse(f"arn:aws:kms:eu-west-1:111122223333:key/{digit * 8}-1111-1111-1111-111111111111")
    for digit in "0123"
]


@dataclass(frozen=True)
class Item:
    key_arn: KeyArn


class SpilledItems(Sequence[Item]):
    """Items on a disk that fails for one of them, once the keys are known."""

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if index == 1:
            raise BadInput("the temporary file cannot be read")
        return [Item(arn) for arn in ARNS][index]

    def __len__(self) -> int:
        return len(ARNS)

    def __iter__(self):
        return iter([Item(arn) for arn in ARNS])


def test_an_item_that_cannot_be_read_back_is_one_failed_row() -> None:
    rows = each_key(SpilledItems(), lambda item: (item.key_arn, True), lambda arn, _: (arn, False))
    assert rows == tuple((arn, arn != ARNS[1]) for arn in ARNS)


def test_a_journal_that_cannot_be_written_leaves_every_key_alone_with_one_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stop = Stop()
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.begin(now, "apply")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            rows = each_key(
                [Item(arn) for arn in ARNS],
                lambda item: str(journal.intent(now, "ScheduleKeyDeletion", item.key_arn)),
                lambda arn, why: why,
                stop=stop,
            )
        assert exit_code_at_end(stop, [journal], 0) == 1
    messages = [*rows, capsys.readouterr().err]
    assert len(messages) == 1 + len(ARNS)
    for message in messages:
        assert f"{os.strerror(errno.ENOSPC)}. Fix: " in message
        assert message.count("Fix: ") == message.count(RUN_AGAIN) == 1
