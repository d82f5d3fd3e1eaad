"""A folder with scanner results, and the command run in it against the light AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import ijson

from tests.prowler_records import prowler_record

from .aws import Aws, Counts
from .aws_server import QUOTAS
from .environments import program
from .process import Run, run
from .scenario import Scenario

JOURNAL: Final = "journal.jsonl"

STATE_ALONE: Final = (
    *("active-grant", "declared-in-code", "disabled-too-recently", "in-use", "not-cancellable"),
    *("protected-tag", "restored", "shared-outside", "use-attempted", "used-recently"),
)
"""The rules that need more than DescribeKey; without them, a policy evaluates the state alone."""

_UNPACED: Final = (
    "from keysweep.remediation.aws import quotas; "
    "quotas.PER_SECOND.update(dict.fromkeys(quotas.PER_SECOND, 1e9)); "
    "import sys; from keysweep.remediation.__main__ import main; sys.exit(main())"
)
"""Share of the quotas that limits nothing, as if AWS had raised them."""


class Scene:
    """Keys, a policy and the findings about them."""

    def __init__(
        self,
        aws: Aws,
        folder: Path,
        scenario: Scenario,
        *,
        latency: float = 0.0,
        environment: str = "command",
    ) -> None:
        self._aws = aws
        self._environment = environment
        self._folder = folder
        self._scenario = scenario
        self._latency = latency
        now = int(time.time())
        findings = [prowler_record(arn, now) for arn in scenario.arns()]
        (folder / "results.json").write_text(json.dumps(findings), encoding="utf-8")
        self.counts = Counts({}, {}, {}, 0)
        """Requests of the last command."""

    def policy(self, *, lifted: Sequence[str] = (), share: float = 0.8) -> None:
        """Write the default policy, with these rules lifted and this share of the quotas."""
        exceptions = "".join(
            f"  - {{key: all, rule: {rule}, reason: test, approved_by: bench, until: 2099-01-01}}\n"
            for rule in lifted
        )
        text = f"version: 1\nmax_keys: 1000000\nquota_share: {share}\n"
        text += f"exceptions:\n{exceptions}" if exceptions else ""
        (self._folder / "policy.yaml").write_text(text, encoding="utf-8")

    def plan(self, *, quotas: bool = False, fresh: bool = True, jobs: int | None = 1) -> Run:
        """Make the plan with this many processes, after a reset of all keys.

        None: by a version that knows no processes.
        """
        words = ["plan", "results.json", "--policy", "policy.yaml"]
        if jobs is not None:
            words += ["--jobs", str(jobs)]
        return self._run(words, quotas=quotas, fresh=fresh)

    def apply(self, *, quotas: bool = False, paced: bool = True) -> Run:
        """Apply the plan with a new journal, after a reset of all keys."""
        (self._folder / JOURNAL).unlink(missing_ok=True)
        words = ("apply", "plan.json", "--yes", "--journal", JOURNAL)
        return self._run(words, quotas=quotas, fresh=True, paced=paced)

    def cancel(self, *, quotas: bool = False, paced: bool = True) -> Run:
        """Cancel what `apply` scheduled."""
        words = ("cancel", "--journal", JOURNAL, "--yes", "--policy", "policy.yaml")
        return self._run(words, quotas=quotas, fresh=False, paced=paced)

    def status(self) -> Run:
        """Run status."""
        return self._run(("status", "--journal", JOURNAL), quotas=False, fresh=False, paced=False)

    def summary(self) -> dict[str, int]:
        """Counts of the plan's verdicts."""
        with (self._folder / "plan.json").open("rb") as plan:  # in parts: it is large
            found: dict[str, int] = next(ijson.items(plan, "summary", use_float=True))
        return found

    def floor(self, share: float) -> float:
        """Minimum time of the last command's requests at this share of the quotas, in seconds.

        Computed for each account-Region alone.

        The slowest operation decides, because each operation has its own quota.
        """
        connections = self._scenario.accounts * self._scenario.regions
        return max(
            self.counts.requests.get(operation, 0) / connections / (limit * share)
            for operation, limit in QUOTAS.items()
        )

    def _run(self, words: Sequence[str], *, quotas: bool, fresh: bool, paced: bool = True) -> Run:
        self._aws.set_up(self._scenario, latency=self._latency, quotas=quotas, fresh=fresh)
        python = program(self._environment, "python")
        start = ["-m", "keysweep.remediation"] if paced else ["-c", _UNPACED]
        role = ["--role-name", "Sweep"]
        taken = run(
            [python, "-P", *start, *words, *role], self._aws.environment(), cwd=self._folder
        )
        self.counts = self._aws.counts()
        return taken
