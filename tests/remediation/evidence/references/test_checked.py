"""Which botocore the reference list was checked with."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from keysweep.remediation.evidence.references.checked import checked_with, newer
from keysweep.remediation.evidence.references.entries import ReferenceList

LIST = ReferenceList(version=1, checked_with="botocore 1.44.8", entries=())


def test_the_version_is_named() -> None:
    assert "botocore 1.44.8" in checked_with(LIST)


@pytest.mark.parametrize("installed", ["1.44.8", "1.44.7", "1.43.98", "0.9.9"])
def test_an_older_or_equal_botocore_gives_no_warning(installed: str) -> None:
    assert newer(LIST, installed) is None


@pytest.mark.parametrize("installed", ["1.44.9", "1.44.10", "1.45.0", "2.0.0", "1.44.9.dev1"])
def test_a_newer_botocore_is_a_warning_with_both_versions(installed: str) -> None:
    warning = newer(LIST, installed)
    assert warning is not None
    assert f"botocore {installed}" in warning
    assert "botocore 1.44.8" in warning


def test_a_list_names_a_version_of_botocore() -> None:
    with pytest.raises(ValidationError):
        ReferenceList(version=1, checked_with="1.44.8", entries=())
