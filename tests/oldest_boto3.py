"""What a boto3 does not know of the reference list: `python -P tests/oldest_boto3.py [VERSION]`.

Without a version, the oldest that setup.cfg allows. It is downloaded into a folder that is removed.
"""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHECK = """
from botocore.session import get_session
from keysweep.remediation.evidence.references.entries import reference_list
from keysweep.remediation.evidence.references.shapes import problems
session = get_session()
known = set(session.get_available_services())
for entry in reference_list().entries:
    if unknown := {entry.service_of(call) for call in entry.walk()} - known:
        print(*unknown, "no such service")
    else:
        models = lambda call: session.get_service_model(entry.service_of(call))
        print(*problems(entry, models), sep="\\n", end="")
"""


def required() -> str:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    found = re.search(r"boto3 >= (\S+)", config["options.extras_require"]["remediation"])
    if found is None:
        raise SystemExit("setup.cfg: no boto3 >= VERSION")
    return found[1]


def main(version: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        install = [ROOT / ".venv/bin/pip", "install", "-q", "-t", folder, "--no-deps"]
        subprocess.run([*install, f"botocore=={version}"], check=True)
        environment = {**os.environ, "PYTHONPATH": folder}
        done = subprocess.run(
            [sys.executable, "-c", CHECK],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
    print(f"boto3 {version}:", done.stdout.strip() or "knows everything")
    return 1 if done.stdout.strip() else 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:2] or [required()]))
