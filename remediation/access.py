"""How to enter accounts, and which: the access options of the command. No AWS library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .models import AccountRegion, KeyArn

SESSION_NAME: Final = "keysweep"


@dataclass(frozen=True)
class Access:
    """How to enter accounts, and which, from the command's options."""

    profile: str | None = None
    role_name: str | None = None
    external_id: str | None = None
    session_name: str = SESSION_NAME
    """Name of the role's session in CloudTrail."""
    only: frozenset[str] = frozenset()
    """Ids of the accounts that may be entered; empty: every account."""
    regions: frozenset[str] = frozenset()
    """Regions whose keys are read and changed; empty: every Region."""

    def admits(self, target: AccountRegion | KeyArn) -> bool:
        """Whether keys of this account-Region are read and changed."""
        return self.enters(target.account_id) and (
            not self.regions or target.region in self.regions
        )

    def enters(self, account_id: str) -> bool:
        """Whether the account may be entered at all."""
        return not self.only or account_id in self.only
