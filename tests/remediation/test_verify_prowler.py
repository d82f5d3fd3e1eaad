"""`keysweep verify prowler` tests what a Prowler does, not by what it says of itself.

The Prowlers here are small scripts in environments of their own, since each does something that
a real one does only when it is old or broken. Real ones: tests/versions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from keysweep.remediation import paths, standalone
from keysweep.remediation.verify import prowler as verify_prowler
from keysweep.remediation.verify import scanner_run as verify

CHECK, OTHER = verify_prowler.CHECKS

SCANNER = f"""\
import json, os, pathlib, sys, time, urllib.error, urllib.request

def ask(target, **body):
    headers = {{"X-Amz-Target": target}}
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    request = urllib.request.Request(endpoint, json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request))

def state(key):
    return ask("TrentService.DescribeKey", KeyId=key)["KeyMetadata"]["KeyState"]

def used(key):
    query = {{"AttributeKey": "ResourceName", "AttributeValue": key}}
    found = ask("CloudTrail_20131101.LookupEvents", LookupAttributes=[query])
    return any(event["EventName"] == "Decrypt" for event in found["Events"])

def scanned():
    states = {{key["KeyArn"]: state(key["KeyArn"]) for key in ask("TrentService.ListKeys")["Keys"]}}
    status = {{True: "FAIL", False: "PASS"}}
    pending = [key for key, state in states.items() if state == "PendingDeletion"]
    return {{
        {CHECK!r}: {{key: status[state == "Disabled"] for key, state in states.items()}},
        {OTHER!r}: {{key: status[used(key)] for key in pending}},
    }}

def changed(check, status):
    found = scanned()
    found[check] = dict.fromkeys(found[check], status)
    return found

def write(found):
    out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    out.mkdir()
    records = [
        {{
            "metadata": {{"event_code": check}},
            "status_code": status,
            "resources": [{{"uid": key}}],
        }}
        for check, statuses in found.items()
        for key, status in statuses.items()
    ]
    (out / "prowler.ocsf.json").write_text(json.dumps(records))

"""
FIRES = "write(scanned()); sys.exit(3)"


class Made:
    """An environment with a stub Prowler that does what the test sets."""

    def __init__(self, folder: Path, version: str, does: str, *, installed: bool) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        [packages] = folder.glob("lib/python3*/site-packages")
        (packages / "yaml").symlink_to(Path(yaml.__file__).parent)
        self.prowler = packages / "prowler"
        self.services = self.prowler / "providers" / "aws" / "services" / "kms"
        self.services.mkdir(parents=True)
        (self.prowler / "config").mkdir()
        self.write("__init__.py", "raise ImportError('Prowler is slow to import')\n")
        self.write("config/config.py", f'import os\nprowler_version = "{version}"\n')
        self.regions("me-south-1", "me-central-1")
        self.script = folder / "bin" / "prowler"
        self.script.write_text(f"#!{folder}/bin/python\n{SCANNER}{textwrap.dedent(does)}\n")
        self.script.chmod(0o755)
        if installed:
            metadata = packages / "keysweep-0.1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text("Name: keysweep\nVersion: 0.1.0\n")
            self.entry_points = metadata / "entry_points.txt"
            self.brings(CHECK, OTHER)

    def brings(self, *checks: str) -> None:
        """Say which checks the installed package brings."""
        lines = [f"{check} = keysweep.services.kms.{check}.{check}" for check in checks]
        self.entry_points.write_text("\n".join(["[prowler.checks.aws]", *lines]))

    def write(self, path: str, text: str) -> None:
        (self.prowler / path).write_text(text, encoding="utf-8")

    def regions(self, *names: str) -> None:
        self.write("config/config.yaml", yaml.safe_dump({"aws": {"disallowed_regions": names}}))

    def check(self, check: str, text: str) -> Path:
        """Put a check with this metadata among Prowler's own; returns its folder."""
        connection = self.services / check
        connection.mkdir()
        (connection / f"{check}.metadata.json").write_text(text)
        return connection.resolve()


Make = Callable[..., Made]
Verify = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(version: str = "5.46.0", does: str = FIRES, *, installed: bool = True) -> Made:
        return Made(tmp_path / "environment", version, does, installed=installed)

    return made


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run `verify prowler` on a made one; returns the exit code and the one result."""

    def run(made: Made, *options: str) -> tuple[int, dict[str, Any]]:
        arguments = ["verify", "prowler", "--prowler", str(made.script), "--format", "json"]
        code = standalone.main([*arguments, *options])
        [result] = json.loads(capsys.readouterr().out)["results"]
        assert (code == 0) == result["passed"] == (result["fix"] == "")
        return code, result

    return run


def test_a_prowler_that_runs_the_check_passes_verify(make: Make, ask: Verify) -> None:
    code, result = ask(make())
    assert code == 0
    assert result["version"] == "5.46.0"
    assert f"prowler aws -c {CHECK} {OTHER}" in result["details"][-1]


DOES_NOT_PROVE = {
    "ends well without a result": "sys.exit(0)",
    "claims failures without a result": "sys.exit(3)",
    "finds nothing": "write({}); sys.exit(0)",
    "finds it and says that all is well": "write(scanned()); sys.exit(0)",
    "fails every key": f"write(changed({CHECK!r}, 'FAIL')); sys.exit(3)",
    "passes every key": f"write(changed({CHECK!r}, 'PASS')); sys.exit(3)",
    "passes the key that is missed": f"write(changed({OTHER!r}, 'PASS')); sys.exit(3)",
    "does not know about the key that is missed": (
        f"write(changed({OTHER!r}, 'MANUAL')); sys.exit(3)"
    ),
    "fails a key that is not there": (
        f"write({{{CHECK!r}: {{'arn:aws:kms:us-east-1:000000000000:key/x': 'FAIL'}}}}); sys.exit(3)"
    ),
    "runs one check of two": f"write({{{CHECK!r}: scanned()[{CHECK!r}]}}); sys.exit(3)",
    "runs the other check alone": f"write({{{OTHER!r}: scanned()[{OTHER!r}]}}); sys.exit(3)",
    "another check fails the key": (
        f"write({{'kms_cmk_are_used': scanned()[{CHECK!r}]}}); sys.exit(3)"
    ),
    "writes half a file": (
        "write(scanned()); path = next(pathlib.Path('out').iterdir()); "
        "path.write_text(path.read_text()[:80]); sys.exit(3)"
    ),
    "writes something else": (
        "write(scanned()); next(pathlib.Path('out').iterdir()).write_text('[1, null]'); sys.exit(3)"
    ),
    "crashes": "raise RuntimeError('no such thing')",
}


@pytest.mark.parametrize("does", DOES_NOT_PROVE.values(), ids=DOES_NOT_PROVE.keys())
def test_no_other_report_passes_verify(make: Make, ask: Verify, does: str) -> None:
    code, result = ask(make(does=does))
    assert code == 1
    assert "Prowler scanned keys" in result["details"][0]


REFUSED = f"raise ValueError('Metadata from /site/{OTHER}.metadata.json is not valid')"
"""What a Prowler raises that refuses a field, or does not find the file: its check is named."""


def test_a_pack_that_breaks_every_run_is_named_with_the_cure(make: Make, ask: Verify) -> None:
    made = make(does=REFUSED)
    code, result = ask(made)
    assert code == 1
    assert OTHER in result["details"][0]
    assert CHECK not in result["details"][0]
    assert "every `prowler aws` run" in result["details"][0]
    assert "(exit 1)" in result["details"][0]
    assert f"{OTHER}.metadata.json" in result["details"][0].partition("\n")[2]
    pip = f"{made.script.with_name('python')} -m pip"
    assert f"{pip} uninstall keysweep" in result["fix"]
    assert f"{pip} install keysweep" in result["fix"]


def test_a_folder_whose_metadata_is_refused_breaks_no_other_run(make: Make, ask: Verify) -> None:
    code, result = ask(make(does=REFUSED, installed=False), "-x")
    assert code == 1
    assert OTHER in result["details"][0]
    assert "uninstall" not in result["fix"]
    assert "upgrade" in result["fix"]


@pytest.mark.parametrize(
    "does",
    [
        f"print('{OTHER}.metadata.json'); sys.exit(0)",
        f"print('{OTHER}.metadata.json'); write({{}}); sys.exit(3)",
        "sys.exit('another_check.metadata.json')",
    ],
)
def test_other_errors_are_not_attributed_to_the_pack(make: Make, ask: Verify, does: str) -> None:
    code, result = ask(make(does=does))
    assert code == 1
    assert "uninstall" not in result["fix"]


def test_the_last_words_are_shown_without_what_a_terminal_obeys(make: Make, ask: Verify) -> None:
    _, result = ask(make(does=r"sys.exit('\x1b[31mbroken\x1b[0m \x1b]0;title\x07')"))
    assert r"    | broken \u{1b}]0;title\u{7}" in result["details"][0]


def test_a_prowler_that_hangs_is_stopped(
    make: Make, ask: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "SECONDS", 2)
    code, result = ask(make(does="time.sleep(600)"))
    assert code == 1
    assert "was stopped after 2 s" in result["details"][0]


@pytest.mark.parametrize("version", ["5.30.0", "5.37.0"])
def test_a_version_that_only_lists_is_reported(make: Make, ask: Verify, version: str) -> None:
    code, result = ask(make(version, "sys.exit(0)"))
    assert code == 1
    assert "only lists" in result["details"][0]
    assert f"prowler aws -x {paths.folder('prowler')} -c {CHECK} {OTHER}" in result["fix"]


def test_a_version_known_to_only_list_passes_if_it_runs_the_check(make: Make, ask: Verify) -> None:
    assert ask(make("5.37.0"))[0] == 0


MUST_NOT_RUN = "pathlib.Path(sys.argv[0] + '.ran').touch(); " + FIRES


@pytest.mark.parametrize("version", ["5.29.9", "5.10.2", "4.6.2", "3.16.17"])
def test_a_version_that_ignores_packages_is_not_run(make: Make, ask: Verify, version: str) -> None:
    made = make(version, MUST_NOT_RUN)
    code, result = ask(made)
    assert code == 1
    assert " before 5.30.0 " in result["details"][0]
    assert f"-x {paths.folder('prowler')} -c {CHECK} {OTHER}" in result["fix"]
    assert not Path(f"{made.script}.ran").exists()


def test_a_pack_that_is_elsewhere_is_reported_missing(make: Make, ask: Verify) -> None:
    made = make(does=MUST_NOT_RUN, installed=False)
    code, result = ask(made)
    assert code == 1
    assert result["details"][0].startswith("No package")
    assert f" {CHECK} and {OTHER}" in result["details"][0]
    assert f"{made.script.with_name('python')} -m pip install --upgrade keysweep" in result["fix"]
    assert not Path(f"{made.script}.ran").exists()


def test_an_older_pack_is_missing_a_check(make: Make, ask: Verify) -> None:
    made = make(does=MUST_NOT_RUN)
    made.brings(CHECK)
    code, result = ask(made)
    assert code == 1
    assert f"has {OTHER}:" in result["details"][0]


@pytest.mark.parametrize("checks", [(CHECK,), (OTHER,), (CHECK, OTHER)])
def test_a_copy_that_was_left_behind_is_named_for_deletion(
    make: Make, ask: Verify, checks: tuple[str, ...]
) -> None:
    made = make(does=MUST_NOT_RUN)
    copies = []
    for check in checks:
        installed = Path(paths.folder("prowler"), check, f"{check}.metadata.json")
        copies.append(made.check(check, installed.read_text(encoding="utf-8")))
    code, result = ask(made)
    assert code == 1
    assert "-x left" in result["details"][0]
    assert f"rm -r {' '.join(map(str, copies))}" in result["fix"]
    assert not Path(f"{made.script}.ran").exists()


@pytest.mark.parametrize("options", [(), ("-x",)], ids=["package", "folder"])
def test_a_check_of_prowlers_own_with_that_id_is_left_alone(
    make: Make, ask: Verify, options: tuple[str, ...]
) -> None:
    made = make(does=MUST_NOT_RUN)
    made.check(OTHER, json.dumps({"CheckID": OTHER, "Notes": "Prowler's"}))
    code, result = ask(made, *options)
    assert code == 1
    assert f"its own check named {OTHER}" in result["details"][0]
    assert "do not use -x" in result["fix"]
    assert not Path(f"{made.script}.ran").exists()


WITH_FOLDER = "assert sys.argv[sys.argv.index('-x') + 1] == {folder!r}; " + FIRES


@pytest.mark.parametrize("version", ["5.46.0", "5.10.2"])
def test_the_folder_passes_verify_without_the_package(
    make: Make, ask: Verify, version: str
) -> None:
    folder = paths.folder("prowler")
    made = make(version, "pass", installed=False)
    botocore = made.prowler.parent / "botocore"
    botocore.mkdir()
    (botocore / "__init__.py").touch()
    (botocore / "session.py").write_text("class Session:\n    create_client = None\n")
    body = SCANNER + WITH_FOLDER.format(folder=folder)
    made.script.write_text(f"#!{made.script.with_name('python')}\n{body}\n")
    code, result = ask(made, "-x")
    assert code == 0, result
    assert f"prowler aws -x {folder} -c {CHECK} {OTHER}" in result["details"][-1]


def test_a_copy_that_verify_itself_leaves_is_named(make: Make, ask: Verify) -> None:
    made = make(does="pass")
    connection = made.services / CHECK
    body = f"{SCANNER}pathlib.Path({str(connection)!r}).mkdir(); {FIRES}"
    made.script.write_text(f"#!{made.script.with_name('python')}\n{body}\n")
    code, result = ask(made, "-x")
    assert code == 0
    assert any(str(connection.resolve()) in sentence for sentence in result["details"])


@pytest.mark.parametrize("version", ["5.14.0", "5.14.1"])
def test_versions_in_which_folder_and_check_do_not_go_together(
    make: Make, ask: Verify, version: str
) -> None:
    made = make(version, "sys.exit(1)")
    (made.prowler.parent / "botocore").mkdir()
    code, result = ask(made, "-x")
    assert code == 1
    assert "does not work with -c" in result["details"][0]


def test_regions_that_scans_leave_out_are_named(
    make: Make, ask: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make()
    _, result = ask(made)
    assert any("me-central-1 and me-south-1" in sentence for sentence in result["details"])
    monkeypatch.setenv("PROWLER_AWS_DISALLOWED_REGIONS", "eu-south-1")
    _, result = ask(made)
    assert any("skip eu-south-1," in sentence for sentence in result["details"])
    monkeypatch.delenv("PROWLER_AWS_DISALLOWED_REGIONS")
    made.regions()
    _, result = ask(made)
    assert not any("skip" in sentence for sentence in result["details"])


LEAKY = """
seen = dict(os.environ)
try:
    urllib.request.urlopen("https://sts.us-east-1.amazonaws.com/", timeout=20)
    seen["real"] = "reached"
except OSError as error:
    seen["real"] = str(error)
pathlib.Path(sys.argv[0] + ".seen").write_text(json.dumps(seen))
sys.exit(0)
"""


def test_the_real_aws_and_the_users_settings_are_out_of_reach(
    make: Make, ask: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "token",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials",
        "AWS_ENDPOINT_URL_KMS": "https://kms.eu-west-1.amazonaws.com",
        "AWS_CA_BUNDLE": "/etc/bundle.pem",
        "PROWLER_AWS_DISALLOWED_REGIONS": "us-east-1",
        "https_proxy": "http://proxy.example:3128",
        "no_proxy": "amazonaws.com",
    }
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    made = make(does=LEAKY)
    assert ask(made)[0] == 1
    seen = json.loads(Path(f"{made.script}.seen").read_text(encoding="utf-8"))
    assert "403" in seen["real"]
    assert {name for name, value in theirs.items() if seen.get(name) == value} == set()
    assert seen["HOME"] != os.environ["HOME"]
    assert not Path(seen["HOME"]).exists(), "what the run made is gone"
    assert seen["AWS_CONFIG_FILE"] == seen["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert seen["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_a_program_that_is_not_prowler_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrapper = tmp_path / "prowler"
    wrapper.write_text("#!/bin/sh\nexec docker run prowler\n", encoding="utf-8")
    wrapper.chmod(0o755)
    assert standalone.main(["verify", "prowler", "--prowler", str(wrapper)]) == 1
    output = capsys.readouterr().out
    assert f"prowler ({wrapper}): FAILED" in output
    assert "--prowler PATH" in output


def test_python_without_prowler_is_no_prowler(make: Make, ask: Verify, tmp_path: Path) -> None:
    made = make()
    made.prowler.rename(tmp_path / "elsewhere")
    code, result = ask(made)
    assert code == 1
    assert "not a Python script" in result["details"][0]


def test_every_check_of_the_pack_passes_verify() -> None:
    pack_folder = Path(paths.folder("prowler"))
    checks = {path.parent.name for path in pack_folder.glob("*/*.metadata.json")}
    assert set(verify_prowler.CHECKS) == checks
