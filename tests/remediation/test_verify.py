"""Which scanner `keysweep verify` asks, on which Python that runs, what the AWS of it answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from keysweep.remediation import standalone
from keysweep.remediation.verify import prowler as verify_prowler
from keysweep.remediation.verify import scanner_run as verify
from keysweep.remediation.verify.fake_aws import ACCOUNT, REGION, FakeAws


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH, and a Python's folder, without any scanner; scripts may be put there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return tmp_path


def program(path: Path, text: str = "#!/bin/false\n") -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


NOT_FOUND = {
    "any": ((), "prowler or checkov"),
    "prowler": (("prowler",), "prowler not found"),
    "checkov": (("checkov",), "checkov not found"),
    "named": (("--prowler", "/no/such/prowler"), "/no/such/prowler not found"),
}


@pytest.mark.parametrize(("arguments", "sentence"), NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_without_a_scanner_verify_prints_one_line_and_exits_with_2(
    nowhere: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    assert standalone.main(["verify", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert sentence in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize("option", ["-x", "--config-file"])
def test_a_folder_for_a_file_and_a_file_for_a_folder_are_bad_usage(
    nowhere: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    given = nowhere / "given"
    given.mkdir() if option == "--config-file" else given.touch()
    program(nowhere / "checkov")
    assert standalone.main(["verify", option, str(given)]) == 2
    assert str(given) in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "what"), [("-x", "folder of checks"), ("--config-file", "file")]
)
def test_a_path_that_does_not_exist_is_bad_usage(
    nowhere: Path, capsys: pytest.CaptureFixture[str], option: str, what: str
) -> None:
    program(nowhere / "checkov")
    assert standalone.main(["verify", option, str(nowhere / "nothing")]) == 2
    error = capsys.readouterr().err
    assert f"{nowhere / 'nothing'} not found. " in error
    assert f" {what}, " in error
    assert error.endswith(f" omit {option}\n")


def test_without_an_argument_every_scanner_found_is_verified(
    nowhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(nowhere / "checkov")
    assert standalone.main(["verify", "--format", "json"]) == 1
    results = json.loads(capsys.readouterr().out)["results"]
    assert {result["scanner"]: result["passed"] for result in results} == {"checkov": False}


def test_the_scanner_on_path_goes_before_the_one_beside_this_python(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = nowhere / "beside"
    beside.mkdir()
    monkeypatch.setattr(sys, "executable", str(beside / "python"))
    program(beside / "prowler")
    assert verify.find("prowler", None) == beside / "prowler"
    program(nowhere / "prowler")
    assert verify.find("prowler", None) == nowhere / "prowler"
    assert verify.find("prowler", str(beside / "prowler")) == beside / "prowler"


def test_ctrl_c_ends_the_run_with_one_line(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    program(nowhere / "prowler")
    monkeypatch.setattr(verify_prowler, "verify", interrupted)
    assert standalone.main(["verify"]) == 130
    assert "Interrupted" in capsys.readouterr().err


FIRST_LINES = {
    "named": "#!{python}\n",
    "named with options": "#!{python} -sE\n",
    "looked up": "#!/usr/bin/env python3\n",
    "looked up with options": "#!/usr/bin/env -S -u NAME A=1 python3 -s\n",
    "by a shell, as pip does": "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
    "by a shell, as uv does": "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
}


@pytest.mark.parametrize("line", FIRST_LINES.values(), ids=FIRST_LINES.keys())
def test_the_python_of_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    folder = tmp_path / "with space" if "exec" in line else tmp_path
    folder.mkdir(exist_ok=True)
    python = folder / "python3"
    python.symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(folder))
    script = program(folder / "prowler", line.format(python=python) + "import prowler\n")
    assert verify.interpreter(script) == python


def test_the_python_beside_a_program_that_is_no_script(tmp_path: Path) -> None:
    made = program(tmp_path / "prowler", "MZ")
    assert verify.interpreter(made) is None
    python = tmp_path / ("python.exe" if os.name == "nt" else "python")
    python.symlink_to(sys.executable)
    assert verify.interpreter(made) == python


@pytest.mark.parametrize("text", ["#!/bin/sh\nexec x\n", "#!\n", "#!/usr/bin/env\n", "#!/gone\n"])
def test_a_script_in_another_language_has_no_python(tmp_path: Path, text: str) -> None:
    assert verify.interpreter(program(tmp_path / "prowler", text)) is None


def events(cloudtrail: Any, arn: str) -> list[str]:
    query = {"AttributeKey": "ResourceName", "AttributeValue": arn}
    found = cloudtrail.lookup_events(LookupAttributes=[query])["Events"]
    return [event["EventName"] for event in found]


def test_the_stub_answers_the_calls_of_a_scan_and_no_other() -> None:
    with FakeAws() as aws:

        def client(service: str):
            return boto3.client(
                service,
                region_name=REGION,
                endpoint_url=aws.endpoint,
                aws_access_key_id="none",
                aws_secret_access_key="none",
                config=Config(retries={"total_max_attempts": 1}),
            )

        def refused(call: Callable[..., object], **arguments: object) -> bool:
            with pytest.raises(ClientError) as error:
                call(**arguments)
            return "AccessDenied" in error.value.response["Error"]["Code"]

        kms = client("kms")
        states = {
            key["KeyArn"]: kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
            for key in kms.list_keys()["Keys"]
        }
        assert states == {
            aws.disabled: "Disabled",
            aws.enabled: "Enabled",
            aws.pending: "PendingDeletion",
        }
        assert events(client("cloudtrail"), aws.pending) == ["Decrypt", "ScheduleKeyDeletion"]
        assert events(client("cloudtrail"), aws.disabled) == []
        assert kms.list_resource_tags(KeyId=aws.disabled)["Tags"] == []
        assert client("sts").get_caller_identity()["Account"] == ACCOUNT
        regions = client("ec2").describe_regions()["Regions"]
        assert {region["RegionName"] for region in regions} == {REGION}
        assert refused(kms.schedule_key_deletion, KeyId=aws.disabled)
        assert refused(kms.describe_key, KeyId="other")
        assert refused(client("ec2").describe_instances)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(aws.endpoint)
        first = set(states)
    with FakeAws() as another:
        assert not first & {another.disabled, another.enabled, another.pending}


def test_what_runs_in_a_scanners_python_is_understood_by_older_ones() -> None:
    """Prowler before 5.x runs on Python 3.9: nothing newer than its grammar may be used."""
    import ast

    for name in ("prowler_facts.py", "sts_endpoint.py"):
        source = Path(verify.__file__).with_name(name).read_text(encoding="utf-8")
        ast.parse(source, feature_version=(3, 9))


def test_path_and_verify_need_the_standard_library_alone() -> None:
    code = "import sys, keysweep.remediation.standalone; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"boto3", "botocore", "click", "pydantic", "rich", "yaml"}
