"""Process many keys: one row for each, whatever happens to one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from keysweep.remediation.errors import BadInput
from keysweep.remediation.models import KeyArn
from keysweep.remediation.runner import each_key

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
