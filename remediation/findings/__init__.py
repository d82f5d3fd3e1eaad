"""Read findings from the JSON results of Prowler and Checkov, which are recognized by content.

`read_results` reads files, and results in S3; `results_of_keys` takes keys that a person names.
`candidates` selects keys by findings, with
`is_plan_candidate` or `is_cancel_candidate`. A finding only makes a candidate, and is never a basis
for action.
"""

from __future__ import annotations

from .accounts import expected_accounts, missing_accounts
from .named import named_keys, results_of_keys
from .read import Results, read_results
from .selection import candidates, is_cancel_candidate, is_plan_candidate, newest_by_key

__all__ = [
    "Results",
    "candidates",
    "expected_accounts",
    "is_cancel_candidate",
    "is_plan_candidate",
    "missing_accounts",
    "named_keys",
    "newest_by_key",
    "read_results",
    "results_of_keys",
]
