"""Whether CloudFormation would take a template, by its own linter run as a process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


def demand_clean(template: Path, newer_actions: Iterable[str] = ()) -> None:
    """Fail unless cfn-lint has nothing to say of the template, hints included.

    `newer_actions` are IAM actions, in lower case, that it does not know yet, and no others.
    """
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--", template],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=240,
    )
    unknown = {match[1]: match[0] for match in _UNKNOWN_ACTION.finditer(done.stdout)}
    assert set(unknown) == set(newer_actions)
    other = _UNKNOWN_ACTION.sub("", done.stdout).strip()
    assert (done.returncode == 0, other) == (not unknown, ""), other + done.stderr


_UNKNOWN_ACTION = re.compile(r"^W3037 '(\w+)' is not one of .*\n.*\n", re.MULTILINE)
