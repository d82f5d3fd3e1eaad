"""Prowler, which scans once what several pages scan: the same command on the same keys.

Anything but a scan of the page's scenario goes to Prowler as it is.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

REAL = os.environ["DOCS_PROWLER"]


def state_of_the_keys(endpoint: str) -> list[object]:
    """What a scan can see of the keys."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{endpoint}/_embedded_aws/keys") as answer:
        return sorted((k["arn"], k["state"], sorted(k["tags"].items())) for k in json.load(answer))


def files() -> set[Path]:
    return {path for path in Path().rglob("*") if path.is_file()}


def main() -> int:
    command = [REAL, *sys.argv[1:]]
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    lists = any(word.startswith("--list") for word in sys.argv)
    elsewhere = any(word in {"-x", "--checks-folder"} for word in sys.argv)
    if endpoint != os.environ.get("DOCS_ENDPOINT") or lists or elsewhere:
        return subprocess.run(command, check=False).returncode
    seen = [sys.argv[1:], state_of_the_keys(endpoint), os.environ["AWS_ACCESS_KEY_ID"]]
    name = hashlib.sha256(json.dumps(seen).encode()).hexdigest()
    kept = Path(os.environ["DOCS_SCANS"]) / name
    if not kept.exists():
        before = files()
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for path in files() - before:
            (kept / "files" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, kept / "files" / path)
        kept.mkdir(exist_ok=True)
        (kept / "stdout").write_bytes(done.stdout)
        (kept / "code").write_text(str(done.returncode))
    elif (kept / "files").exists():
        shutil.copytree(kept / "files", Path(), dirs_exist_ok=True)
    sys.stdout.buffer.write((kept / "stdout").read_bytes())
    return int((kept / "code").read_text())


if __name__ == "__main__":
    sys.exit(main())
