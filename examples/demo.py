"""The demo: the whole loop with the real scanners and the real command, on an embedded AWS.

`make demo` runs it. Nothing leaves this machine and no AWS account is needed. Everything that it
makes is in the folder that it names at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from embedded_aws.process import EmbeddedAws  # noqa: E402

FOLDER = ROOT / "demo-run"
SCENARIO = ROOT / "examples" / "scenario.yaml"
PROWLER = ROOT / ".tox" / "prowler" / "bin" / "prowler"
CHECKOV = ROOT / ".tox" / "checkov" / "bin" / "checkov"
KEYSWEEP = Path(sys.executable).with_name("keysweep")

SHOP, ANALYTICS = "111122223333", "444455556666"
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1")
ROLE = ("--role-name", "KeysweepOperator")
DECISION = {
    "<reason>": "The analytics team never had a search index",
    "<who>": "head of analytics",
    "<YYYY-MM-DD>": f"{datetime.now(UTC).date() + timedelta(days=180)}",
}
"""What a person writes into the one exception that doctor proposes."""
RESTS = tuple(f"notebook-{number}" for number in (1, 2, 3))
"""The keys that rest on the decision."""


def tell(heading: str, text: str = "") -> None:
    """Print the next part of the story."""
    print(f"\n\033[1m{heading}\033[0m" if sys.stdout.isatty() else f"\n{heading}")
    if text:
        print(text)
    sys.stdout.flush()


def show(*words: str) -> None:
    """Print a command as a user would type it."""
    print(f"\n  $ {' '.join(words)}", flush=True)


def at_a_terminal(command: list[str], environment: dict[str, str], answer: str) -> int:
    """Run a command on a terminal of its own, answer its question, and print all it prints."""
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(command, cwd=FOLDER, env={**environment, "TERM": "dumb"}, **streams)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal ends on Linux
        while part := os.read(ours, 65536):
            shown += part
            sys.stdout.write(part.decode(errors="replace").replace("\r\n", "\n"))
            sys.stdout.flush()
            if shown.endswith(b"[y/N]: "):
                os.write(ours, answer.encode())
    os.close(ours)
    return process.wait()


def decide(policy: Path) -> str:
    """Uncomment the entry that doctor wrote, and fill it in, as a person does in an editor."""
    text = re.sub(r"^  # ", "  ", policy.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for placeholder, value in DECISION.items():
        if text.count(placeholder) != 1:
            sys.exit(f"demo: doctor proposed more or less than one decision:\n{text}")
        text = text.replace(placeholder, value)
    policy.write_text(text, encoding="utf-8")
    entry = text[text.index("\ncoverage_exceptions:") :]
    return entry[entry.index("  - accounts:") : entry.index("\n", entry.index("    until:"))]


class Story:
    """The commands, run as the operator of the shop's account."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.aws = aws
        self.environment = aws.process_environment(SHOP, PYTHONSAFEPATH="1")
        self.environment.setdefault("COLUMNS", "120")

    def keysweep(self, *arguments: str, expect: int = 0, answer: str = "") -> None:
        """Run the command in the demo's folder, answer its question, and insist on its exit code.

        It calls AWS's own hosts, which lead to the embedded AWS or do not exist.
        """
        show("keysweep", *arguments)
        command = [sys.executable, "-P", "-m", "embedded_aws.network", *arguments]
        environment = {**self.environment, "PYTHONPATH": str(ROOT / "tests")}
        if answer:
            code = at_a_terminal(command, environment, answer)
        else:
            code = subprocess.run(command, cwd=FOLDER, env=environment, check=False).returncode
        if code != expect:
            sys.exit(f"demo: keysweep ended with {code}, expected {expect}")

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

    def demand_decided(self, where: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Insist that the keys that rest on the decision are those of its account and Region."""
        resting = {key["key_arn"] for key in keys if key.get("exceptions")}
        if resting != {self.arn(ANALYTICS, "eu-west-1", name) for name in RESTS}:
            sys.exit(f"demo: by the {where}, other keys rest on the decision: {sorted(resting)}")

    def arn(self, account: str, region: str, name: str) -> str:
        """The ARN of a key of the demo."""
        return self.aws.key_arn(account, region, name)


def main() -> None:
    """Tell the story."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    with EmbeddedAws(SCENARIO) as aws:
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
        tell("4. Doctor: what AWS does not let Keysweep read. It could use a key, so it holds keys")
        show("cp", '"$(keysweep path policies)/retirement.yaml"', "policy.yaml")
        shutil.copy(ROOT / "policies" / "retirement.yaml", FOLDER / "policy.yaml")
        # Exits with 1: an answer would hold keys.
        written = ("--policy", "policy.yaml", "--policy-out", "decided.yaml")
        story.keysweep("doctor", "results", *written, *ROLE, expect=1)
        tell(
            "5. Decide: the head of analytics uncomments the entry in decided.yaml and fills it in",
            decide(FOLDER / "decided.yaml"),
        )
        tell("6. Plan: evaluate every candidate against AWS, and hold it on any doubt")
        story.keysweep(
            *("plan", "results", "checkov.json", "--tfstate", "terraform/prod=states/prod.json"),
            *("--cfn-stack", "pilot@eu-central-1", "--policy", "decided.yaml"),
            *("--html", "plan.html", *ROLE),
        )
        plan = json.loads((FOLDER / "plan.json").read_bytes())
        to_schedule = [one for one in plan["items"] if one["verdict"] == "schedule"]
        story.demand_decided("plan", to_schedule)
        tell("7. Apply the reviewed plan: read each key again, then schedule its deletion")
        story.keysweep("apply", "plan.json", "--ticket", "OPS-1234", *ROLE, answer="y\n")
        journal = (FOLDER / "keysweep-journal.jsonl").read_text(encoding="utf-8").splitlines()
        intents = [line for line in map(json.loads, journal) if line["line"] == "intent"]
        story.demand_decided("journal", intents)
        tell("8. Status: nothing is deleted yet, and every deletion can be cancelled")
        story.keysweep("status", *ROLE)
        aws.advance(days=12)
        tell(
            "9. Twelve days later, an application tries to use one of the keys and is refused",
            story.use(SHOP, "eu-west-1", "legacy-cart-2"),
        )
        # Exits with 1, so that a scheduled job fails and is noticed.
        watch = ("guard", "--plan", "plan.json", "--cancel", "--keep", "--yes")
        story.keysweep(*watch, *ROLE, expect=1)
        tell("10. The same day, two teams ask for their keys back: cancel, and keep them")
        story.keysweep(
            *("cancel", "--key", story.arn(SHOP, "eu-west-1", "old-newsletter")),
            *("--key", story.arn(ANALYTICS, "eu-west-1", "notebook-2"), "--keep", "--yes", *ROLE),
        )
        story.keysweep("status", *ROLE)
        aws.advance(days=19)
        tell("11. The waiting period has ended: AWS has deleted the other keys")
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
