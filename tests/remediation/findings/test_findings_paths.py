"""Files, folders and standard input: what is read, what is skipped, what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import threading
from pathlib import Path

import pytest

from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import Results, read_results

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "results"
OCSF = FIXTURES / "prowler-5.46.0.ocsf.json"
ASFF = FIXTURES / "prowler-5.46.0.asff.json"
CHECKOV = FIXTURES / "checkov-3.3.30-object.json"


def read(*paths: Path | str, stdin: bytes = b"") -> Results:
    return read_results([str(path) for path in paths], io.BytesIO(stdin))


def names(results: Results) -> list[str]:
    return [Path(source.path).name for source in results.sources]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As an output folder of Prowler looks, with Checkov's report in it."""
    (tmp_path / "compliance").mkdir()
    shutil.copy(OCSF, tmp_path / "a.ocsf.json")
    shutil.copy(ASFF, tmp_path / "b.asff.json")
    shutil.copy(FIXTURES / "prowler-5.46.0.csv", tmp_path / "a.csv")
    shutil.copy(
        FIXTURES / "prowler-5.46.0.compliance.ocsf.json", tmp_path / "compliance/c.ocsf.json"
    )
    shutil.copy(CHECKOV, tmp_path / "results_json.json")
    (tmp_path / "a.html").write_text("<html>", encoding="utf-8")
    (tmp_path / "lines.ndjson").write_bytes(
        OCSF.read_bytes().replace(b"\n", b" ")[1:-1].replace(b"},{", b"}\n{")
    )
    return tmp_path


def test_a_folder_gives_its_results_files_and_is_silent_about_the_rest(folder: Path) -> None:
    results = read(folder)
    assert names(results) == [
        "a.ocsf.json", "b.asff.json", "lines.ndjson", "results_json.json", "c.ocsf.json",
    ]  # fmt: skip
    assert not any(word in w for w in results.warnings for word in (".csv", ".html", "skipped: "))


def test_json_of_something_else_in_a_folder_is_passed_over_with_a_warning(folder: Path) -> None:
    (folder / "package.json").write_text('{"name": "shop"}', encoding="utf-8")
    shutil.copy(FIXTURES / "checkov-3.3.30-sarif.json", folder / "sarif.json")
    passed_over = [w for w in read(folder).warnings if w.startswith("skipped: ")]
    assert {word for w in passed_over for word in ("package.json", "sarif.json") if word in w} == {
        "package.json",
        "sarif.json",
    }


def test_a_results_file_that_is_cut_off_is_refused_in_a_folder_too(folder: Path) -> None:
    (folder / "a.ocsf.json").write_bytes(OCSF.read_bytes()[:-3])
    with pytest.raises(BadInput, match=r"a\.ocsf\.json .* record 18"):
        read(folder)


def test_a_folder_without_a_results_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none", encoding="utf-8")
    with pytest.raises(BadInput, match=r"\*\.json.*: prowler"):
        read(tmp_path)
    (tmp_path / "package.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match="results file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["results.txt", "results", "results.csv"])
def test_the_format_is_told_from_the_content_not_from_the_name(tmp_path: Path, name: str) -> None:
    shutil.copy(ASFF, tmp_path / name)
    assert {source.format for source in read(tmp_path / name).sources} == {"Prowler ASFF"}


def test_standard_input_is_a_source_like_any_other() -> None:
    results = read(CHECKOV, "-", stdin=OCSF.read_bytes())
    assert [source.path for source in results.sources] == [str(CHECKOV), "-"]
    assert {finding.source for finding in results.findings} == {str(CHECKOV), "-"}


def test_a_file_that_is_named_twice_is_read_once(folder: Path) -> None:
    link = folder / "link.json"
    link.symlink_to(folder / "a.ocsf.json")
    results = read(folder / "a.ocsf.json", folder, link, folder / "." / "a.ocsf.json")
    assert names(results).count("a.ocsf.json") == 1
    assert "link.json" not in names(results)


def test_a_source_says_what_it_is_and_which_bytes_were_read() -> None:
    (source,) = read(OCSF).sources
    assert source.sha256 == hashlib.sha256(OCSF.read_bytes()).hexdigest()
    assert (source.path, source.format, source.scanner) == (str(OCSF), "Prowler OCSF", "prowler")
    assert source.findings == 17


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(OCSF.read_bytes(),))
    writer.start()
    assert len(read(pipe).findings) == 17
    writer.join()


def test_what_cannot_be_opened_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"missing\.json .*No such file"):
        read(tmp_path / "missing.json")
    with pytest.raises(BadInput, match="cannot be read"):
        read(OCSF / "inside.json")


def test_a_file_name_of_any_bytes_is_shown_without_control_characters(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/a\x1b[31m\xff.json")
    Path(name).write_bytes(OCSF.read_bytes())
    (source,) = read(name).sources
    source.model_dump_json()
    Path(name).write_bytes(b"{")
    with pytest.raises(BadInput) as refusal:
        read(name)
    assert str(refusal.value).isprintable()


def test_nothing_named_gives_nothing() -> None:
    assert read() == Results((), (), (), ())
