"""Whether CloudFormation would take a template, by its own linter run as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def demand_clean(template: Path) -> None:
    """Fail unless cfn-lint has nothing to say of the template, hints included."""
    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--include-checks", "I", "--", template],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=240,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
