"""Entry point of the image: run a command in an empty folder, with files from and to S3.

Usage: task.py [--from s3://BUCKET/KEY]... --to s3://BUCKET/PREFIX/ [--if-nothing NAME] COMMAND...

--from fetches an object, or with a slash at its end every object below it, into a folder of that
name. --to keeps each file that the command leaves. With --if-nothing, a command that ends with 0
and leaves no file leaves a JSON list without records instead, because Prowler writes no file for an
account without findings.

Exits as the command does, and with 1 if S3 refuses or a signal ends the command.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import get_session

FAILED = 1


def main(arguments: Sequence[str]) -> int:
    """Fetch, run and keep; the exit code of the task."""
    parser = argparse.ArgumentParser(prog="task.py", usage=(__doc__ or "").split("Usage: ")[1])
    parser.add_argument("--from", dest="sources", action="append", default=[], type=_place)
    parser.add_argument("--to", dest="target", required=True, type=_place)
    parser.add_argument("--if-nothing", dest="otherwise")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    if not options.command:
        parser.error("no command")
    s3 = get_session().create_client("s3")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            for bucket, key in options.sources:
                _fetch(s3, bucket, key, folder)
            fetched = {*_files(folder)}
            code = _run(options.command, folder)
            left = [file for file in _files(folder) if file not in fetched]
            if code == 0 and not left and options.otherwise:
                left = [folder / options.otherwise]
                left[0].write_text("[]\n", encoding="utf-8")
            for file in left:
                _keep(s3, file, folder, *options.target)
        except (BotoCoreError, ClientError, OSError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return FAILED
    return code


def _place(text: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI."""
    bucket, slash, key = text.removeprefix("s3://").partition("/")
    if not text.startswith("s3://") or not bucket or not slash:
        raise argparse.ArgumentTypeError(f"{text!r} is not s3://BUCKET/KEY")
    return bucket, key


def _fetch(s3: Any, bucket: str, key: str, folder: Path) -> None:
    """Fetch an object, or all objects below a prefix, into the folder."""
    above = key.rstrip("/").rpartition("/")[0]
    keys = [key]
    if key.endswith("/"):
        (folder / PurePosixPath(key).name).mkdir()
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
        keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
    for one in keys:
        file = folder / one.removeprefix(f"{above}/" if above else "")
        if not file.resolve().is_relative_to(folder.resolve()):
            raise OSError(f"{one!r} lies outside the folder")
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as copy, s3.get_object(Bucket=bucket, Key=one)["Body"] as body:
            shutil.copyfileobj(body, copy)


def _files(folder: Path) -> list[Path]:
    """Every file of the folder, in the order of their names."""
    return sorted(file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _run(command: Sequence[str], folder: Path) -> int:
    """Run the command, and pass on the signal with which ECS stops a task."""
    process = subprocess.Popen(command, cwd=folder)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    code = process.wait()
    return code if code >= 0 else FAILED


def _keep(s3: Any, file: Path, folder: Path, bucket: str, prefix: str) -> None:
    """Write a file below the prefix."""
    kind = "text/html; charset=utf-8" if file.suffix == ".html" else "application/octet-stream"
    with file.open("rb") as body:
        s3.put_object(
            Bucket=bucket,
            Key=f"{prefix}{file.relative_to(folder).as_posix()}",
            Body=body,
            ContentType=kind,
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
