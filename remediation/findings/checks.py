"""The checks that Keysweep acts on. Records of other checks are ignored."""

from __future__ import annotations

from typing import Final

KEYSWEEP: Final = "kms_cmk_not_disabled"
"""Keysweep's own Prowler check."""

BUILT_IN: Final = "kms_cmk_are_used"
"""Prowler's built-in check. It fails for keys that are neither enabled nor pending deletion."""

KEYSWEEP_IN_CODE: Final = "CKV_KEYSWEEP_001"
"""Keysweep's own Checkov check."""

KEY_OPTION: Final = "--key"
"""Stands for a check where a person named the key. No scanner has a check of this id."""

_SCANNED: Final = frozenset({KEYSWEEP, BUILT_IN, KEYSWEEP_IN_CODE, "CKV_AWS_227"})

PLAN_CHECKS: Final = _SCANNED | {KEY_OPTION}
"""If they fail, the key is a candidate for deletion."""

CANCEL_CHECKS: Final = frozenset(
    {"kms_cmk_not_deleted_unintentionally", "kms_cmk_pending_deletion_not_used"}
)
"""If they fail, the key is a candidate for cancelling its deletion."""

ACTED_ON: Final = _SCANNED | CANCEL_CHECKS
