"""How to enter accounts, and which: the access options of the command. No AWS library."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .models import AccountRegion, KeyArn

BUCKET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
""""General purpose bucket naming rules" (Amazon S3 User Guide); an access point's alias too."""

SESSION_NAME: Final = "keysweep"

ROLES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("plan", "doctor", "status", "mutelist"), "KeysweepPlan"),
    "apply": "KeysweepApply",
    "guard": "KeysweepGuard",
    "cancel": "KeysweepCancel",
}
"""The roles of policies/stacksets/member-roles.yaml, by the commands with access options."""


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

    def command_line(self, command: str, *arguments: str | Path) -> str:
        """A command of this program to run next, with the same access, for people to copy.

        A role of ROLES becomes that of the command. The external ID is shared between two parties,
        so it is shown nowhere.
        """
        role = ROLES.get(command) if self.role_name in ROLES.values() else self.role_name
        options = {
            "--profile": self.profile,
            "--role-name": role,
            "--external-id": self.external_id and "ID",
        }
        given = [part for name, value in options.items() if value for part in (name, value)]
        access = given if command in ROLES else []
        return shlex.join(["keysweep", command, *map(str, arguments), *access])

    @property
    def limits(self) -> tuple[str, ...]:
        """The options that limit a command to run next to the same accounts and Regions."""
        given = {"--account": self.only, "--region": self.regions}
        pairs = ((name, value) for name in given for value in sorted(given[name]))
        return tuple(part for pair in pairs for part in pair)

    def admits(self, target: AccountRegion | KeyArn) -> bool:
        """Whether keys of this account-Region are read and changed."""
        return self.enters(target.account_id) and (
            not self.regions or target.region in self.regions
        )

    def enters(self, account_id: str) -> bool:
        """Whether the account may be entered at all."""
        return not self.only or account_id in self.only
