"""The demo: the whole loop with the real scanners and the real command, on an embedded AWS.

`make demo` runs it. Nothing leaves this machine and no AWS account is needed. Everything that it
makes is in the folder that it names at the end.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from embedded_aws.ordinary import row_of  # noqa: E402
from embedded_aws.process import EmbeddedAws  # noqa: E402

FOLDER = ROOT / "demo-run"
SCENARIO = ROOT / "examples" / "scenario.yaml"
PROWLER = ROOT / ".tox" / "prowler" / "bin" / "prowler"
CHECKOV = ROOT / ".tox" / "checkov" / "bin" / "checkov"
KEYSWEEP = Path(sys.executable).with_name("keysweep")

SHOP, ANALYTICS = "111122223333", "444455556666"
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1")
ROLE = ("--role-name", "KeysweepOperator")
CLOSED = row_of("kendra", "ListIndices")
"""A service that is closed to the analytics account."""


def tell(heading: str, text: str = "") -> None:
    """Print the next part of the story."""
    print(f"\n\033[1m{heading}\033[0m" if sys.stdout.isatty() else f"\n{heading}")
    if text:
        print(text)
    sys.stdout.flush()


def show(*words: str) -> None:
    """Print a command as a user would type it."""
    print(f"\n  $ {' '.join(words)}", flush=True)


def accounts() -> dict[str, Any]:
    """The scenario, with a service that is closed to one of its accounts."""
    scenario: dict[str, Any] = yaml.safe_load(SCENARIO.read_text(encoding="utf-8"))
    refusal = {name: getattr(CLOSED, name) for name in ("service", "operation", "code", "message")}
    scenario["accounts"][ANALYTICS]["regions"]["eu-west-1"]["refusals"] = [refusal]
    return scenario


def decision() -> str:
    """A policy in which a person has decided about the closed service."""
    until = datetime.now(UTC).date() + timedelta(days=180)
    return f"""version: 1
coverage_exceptions:
  - accounts: ["{ANALYTICS}"]
    regions: [eu-west-1]
    service: {CLOSED.service}
    operation: {CLOSED.operation}
    answer: {{code: {CLOSED.code}, message: {CLOSED.message}}}
    reason: The analytics team never had a search index
    approved_by: head of analytics
    until: {until}
"""


class Story:
    """The commands, run as the operator of the shop's account."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.environment = {**keep, **aws.environment(SHOP), "PYTHONSAFEPATH": "1"}
        self.environment.setdefault("COLUMNS", "120")

    def keysweep(self, *arguments: str, expect: int = 0) -> None:
        """Run the command in the demo's folder, and insist on its exit code.

        It calls AWS's own hosts, which lead to the embedded AWS or do not exist.
        """
        show("keysweep", *arguments)
        command = [sys.executable, "-P", "-m", "embedded_aws.network", *arguments]
        environment = {**self.environment, "PYTHONPATH": str(ROOT / "tests")}
        done = subprocess.run(command, cwd=FOLDER, env=environment, check=False)
        if done.returncode != expect:
            sys.exit(f"demo: keysweep ended with {done.returncode}, expected {expect}")

    def prowler(self, *scans: tuple[str, ...]) -> None:
        """Scan several accounts at once with the real Prowler; exit 3 says that keys failed."""
        running = []
        for arguments in scans:
            command = (
                *("aws", "--checks", "kms_cmk_not_disabled", "--region", *REGIONS),
                *("--output-formats", "json-ocsf", "--output-directory", "results"),
                *("--no-banner", "--no-color", *arguments),
            )
            show("prowler", *command)
            running.append(
                subprocess.Popen(
                    [PROWLER, *command],
                    cwd=FOLDER,
                    env=self.environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    encoding="utf-8",
                )
            )
        for process in running:
            text, _ = process.communicate(timeout=600)
            if process.returncode != 3:
                sys.exit(f"demo: prowler ended with {process.returncode}:\n{text}")

    def checkov(self) -> None:
        """Scan the example code with the real Checkov; exit 1 says that checks failed."""
        checks = subprocess.run(
            [KEYSWEEP, "path", "checkov"], capture_output=True, text=True, check=True
        ).stdout.strip()
        command = (
            *("--directory", str(FOLDER / "code"), "--external-checks-dir", checks),
            *("--check", "CKV_KEYSWEEP_001", "--skip-download", "--output", "json"),
        )
        typed = {checks: '"$(keysweep path checkov)"', str(FOLDER / "code"): '"$PWD/code"'}
        show("checkov", *(typed.get(word, word) for word in command), "> checkov.json")
        with (FOLDER / "checkov.json").open("w", encoding="utf-8") as results:
            done = subprocess.run(
                [CHECKOV, *command],
                cwd=FOLDER,
                env=self.environment,
                stdout=results,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        if done.returncode != 1:
            sys.exit(f"demo: checkov ended with {done.returncode}, expected 1")

    def use(self, account: str, region: str, name: str) -> str:
        """Encrypt with a key as an application would; return AWS's answer."""
        kms = boto3.client("kms", **self.aws.client_arguments(account, region))
        try:
            kms.encrypt(KeyId=self.arn(account, region, name), Plaintext=b"a cart")
        except ClientError as error:
            return str(error)
        sys.exit(f"demo: {name} could be used, although it waits for its deletion")

    def arn(self, account: str, region: str, name: str) -> str:
        """The ARN of a key of the demo."""
        return self.aws.key_arn(account, region, name)


def main() -> None:
    """Tell the story."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with EmbeddedAws(accounts()) as aws:
        customer = [key for key in aws.keys() if key["manager"] == "CUSTOMER"]
        tell(
            "1. The accounts",
            f"Two AWS accounts, three Regions, {len(customer)} customer managed keys. "
            f"{sum(key['state'] == 'Disabled' for key in customer)} are disabled, and each of them "
            "costs from $1 a month until it is deleted.\n"
            "(An embedded AWS on this machine, described in examples/scenario.yaml.)",
        )
        story = Story(aws)
        tell("2. Scan: Prowler with the Keysweep checks, once for each account")
        story.prowler(
            ("--output-filename", "shop"),
            (
                *("--output-filename", "analytics", "--role"),
                f"arn:aws:iam::{ANALYTICS}:role/KeysweepOperator",
            ),
        )
        tell("3. Code: Checkov with the Keysweep checks, over Terraform, stacks and manifests")
        shutil.copytree(ROOT / "examples" / "code", FOLDER / "code")
        shutil.copytree(ROOT / "examples" / "states", FOLDER / "states")
        story.checkov()
        (FOLDER / "decided.yaml").write_text(decision(), encoding="utf-8")
        tell(
            "4. A decision: a service is closed to the analytics account, which holds keys. The"
            "\nhead of analytics decides, for that answer alone and until a date",
            decision(),
        )
        tell("5. Plan: evaluate every candidate against AWS, and hold it on any doubt")
        story.keysweep(
            *("plan", "results", "checkov.json", "--tfstate", "terraform/prod=states/prod.json"),
            *("--cfn-stack", "pilot@eu-central-1", "--policy", "decided.yaml"),
            *("--html", "plan.html", *ROLE),
        )
        rests = {
            item["key_arn"]
            for item in json.loads((FOLDER / "plan.json").read_bytes())["items"]
            if item["verdict"] == "schedule" and item["exceptions"]
        }
        if rests != {story.arn(ANALYTICS, "eu-west-1", f"notebook-{n}") for n in (1, 2, 3)}:
            sys.exit("demo: the decision frees other keys than those of its account and Region")
        tell("6. Apply the reviewed plan: read each key again, then schedule its deletion")
        story.keysweep("apply", "plan.json", "--yes", "--ticket", "OPS-1234", *ROLE)
        tell("7. Status: nothing is deleted yet, and every deletion can be cancelled")
        story.keysweep("status", *ROLE)
        aws.advance(days=12)
        tell(
            "8. Twelve days later, an application tries to use one of the keys and is refused",
            story.use(SHOP, "eu-west-1", "legacy-cart-2"),
        )
        # Exits with 1, so that a scheduled job fails and is noticed.
        watch = ("guard", "--plan", "plan.json", "--cancel", "--keep", "--yes")
        story.keysweep(*watch, *ROLE, expect=1)
        tell("9. The same day, two teams ask for their keys back: cancel, and keep them")
        story.keysweep(
            *("cancel", "--key", story.arn(SHOP, "eu-west-1", "old-newsletter")),
            *("--key", story.arn(ANALYTICS, "eu-west-1", "notebook-2"), "--keep", "--yes", *ROLE),
        )
        story.keysweep("status", *ROLE)
        aws.advance(days=19)
        tell("10. The waiting period has ended: AWS has deleted the other keys")
        story.keysweep("status", *ROLE)
        left = {key["name"] for key in aws.keys() if key["state"] == "Disabled"}
        if (
            not {"legacy-cart-2", "old-newsletter", "notebook-2", "tax-archive", "partner-exchange"}
            <= left
        ):
            sys.exit("demo: a key is gone that should have been kept")
    tell(
        "Files",
        f"In {FOLDER.relative_to(ROOT)}/ are the scanners' results (results/, checkov.json), the "
        "reviewed plan\n(plan.json, and plan.html for a browser), and the journal "
        "(keysweep-journal.jsonl).",
    )


if __name__ == "__main__":
    main()
