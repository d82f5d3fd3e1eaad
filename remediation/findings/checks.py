"""The checks that Keysweep acts on; records of all others are read over."""

from __future__ import annotations

from typing import Final

KEYSWEEP: Final = "kms_cmk_not_disabled"
"""Keysweep's own Prowler check."""

BUILT_IN: Final = "kms_cmk_are_used"
"""Prowler's own check of the same; it fails for every key that is neither enabled nor pending."""

KEYSWEEP_IN_CODE: Final = "CKV_KEYSWEEP_001"
"""Keysweep's own Checkov check."""

PLAN_CHECKS: Final = frozenset({KEYSWEEP, BUILT_IN, KEYSWEEP_IN_CODE, "CKV_AWS_227"})
"""Failed: the key may be retired."""

CANCEL_CHECKS: Final = frozenset(
    {"kms_cmk_not_deleted_unintentionally", "kms_cmk_pending_deletion_not_used"}
)
"""Failed: the deletion of the key may have to be cancelled."""

ACTED_ON: Final = PLAN_CHECKS | CANCEL_CHECKS
