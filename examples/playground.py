"""An embedded AWS to try Keysweep by hand: the accounts of the demo, until it is stopped.

`make playground` starts it and says how to go on; docs/tutorial.md is the walk through it. In the
folder `playground` are a file to source, the demo's infrastructure code, and links to the commands.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from embedded_aws.process import EmbeddedAws  # noqa: E402

FOLDER = ROOT / "playground"
SERVER = FOLDER / "aws.json"
SCENARIO = ROOT / "examples" / "scenario.yaml"
SHOP = "111122223333"
COMMANDS = {
    "prowler": ROOT / ".tox" / "prowler" / "bin" / "prowler",
    "checkov": ROOT / ".tox" / "checkov" / "bin" / "checkov",
}


def main() -> None:
    """Run one of the commands below."""
    parser = argparse.ArgumentParser(prog="playground", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start", help="start the AWS anew, with the demo's scenario")
    commands.add_parser("stop", help="stop it; its files stay")
    days = commands.add_parser("pass-days", help="let days pass in this AWS")
    days.add_argument("days", type=float)
    use = commands.add_parser("use", help="use a key as an application would, in eu-west-1")
    use.add_argument("key", help="alias or ARN of the key")
    options = parser.parse_args()
    if options.command == "start":
        start()
    elif options.command == "stop":
        stop()
    elif options.command == "pass-days":
        running().advance(days=options.days)
        print(f"It is {time.strftime('%d %B %Y', time.gmtime(running().now()))} in this AWS.")
    else:
        use_key(options.key)


def start() -> None:
    """Start the server, and write what a shell needs to reach it."""
    if SERVER.exists():
        stop()
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "bin").mkdir(parents=True)
    for name in ("code", "states"):
        shutil.copytree(ROOT / "examples" / name, FOLDER / name)
    for name, path in COMMANDS.items():
        (FOLDER / "bin" / name).symlink_to(path)
    tests, python = shlex.quote(str(ROOT / "tests")), f"{shlex.quote(sys.executable)} -P"
    # The command calls AWS's own hosts, which lead to this AWS or do not exist.
    for name, run in {
        "keysweep": f"PYTHONPATH={tests} exec {python} -m embedded_aws.network",
        "playground": f"exec {python} {shlex.quote(__file__)}",
    }.items():
        own = FOLDER / "bin" / name
        own.write_text(f'#!/bin/sh\n{run} "$@"\n')
        own.chmod(0o755)
    with (FOLDER / "aws.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", "embedded_aws", "--scenario", str(SCENARIO)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert server.stdout is not None
    line = server.stdout.readline()
    if not line:
        sys.exit(f"playground: the AWS did not start; {FOLDER / 'aws.log'} says why")
    SERVER.write_bytes(line)
    lines = [f"export {n}={shlex.quote(v)}" for n, v in running().environment(SHOP).items()]
    lines.append("unset AWS_PROFILE AWS_SESSION_TOKEN")
    lines.append(f"export PATH={shlex.quote(str(FOLDER / 'bin'))}:$PATH")
    (FOLDER / "activate").write_text("\n".join(lines) + "\n")
    keys = [key for key in running().keys() if key["manager"] == "CUSTOMER"]
    print(
        f"An AWS runs on this machine, at {running().endpoint}: two accounts, three Regions, "
        f"{len(keys)} customer\nmanaged keys, {sum(key['state'] == 'Disabled' for key in keys)} of "
        "them disabled. Work in its folder, with this shell set up for it:\n\n"
        "    cd playground\n    . ./activate\n\nWhen you are done: playground stop"
    )


def running() -> EmbeddedAws:
    """The server that `start` left running."""
    aws = EmbeddedAws()
    try:
        aws.endpoint = json.loads(SERVER.read_bytes())["endpoint"]
    except FileNotFoundError:
        sys.exit("playground: it is not running; start it with: make playground")
    return aws


def stop() -> None:
    """Stop the server, but no other process that got its process id."""
    with contextlib.suppress(urllib.error.URLError):
        running().now()
        os.kill(json.loads(SERVER.read_bytes())["pid"], signal.SIGTERM)
    SERVER.unlink(missing_ok=True)


def use_key(key: str) -> None:
    """Encrypt with a key, and show AWS's answer."""
    kms = boto3.client("kms", **running().client_arguments(SHOP, "eu-west-1"))
    try:
        kms.encrypt(KeyId=key, Plaintext=b"a cart")
    except ClientError as error:
        print(error)
    else:
        print(f"{key} was used")


if __name__ == "__main__":
    main()
