"""Scanner results -> findings: Prowler's and Checkov's JSON, recognised from the content.

`read_results` reads files, and what `RemoteResults` brings from elsewhere; `nominates_plan`,
`nominates_cancel` and `nominated` choose among what was read. A finding only nominates: nothing
here is a basis for acting.
"""

from __future__ import annotations

from .read import STDIN, Results, read_results
from .selection import candidates, is_cancel_candidate, is_plan_candidate, newest_by_key

__all__ = [
    "STDIN",
    "Results",
    "candidates",
    "is_cancel_candidate",
    "is_plan_candidate",
    "newest_by_key",
    "read_results",
]
