"""Files, folders and standard input: what is read, what is skipped, what is refused."""

from __future__ import annotations

import hashlib
import io
import json
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


def test_a_truncated_results_file_is_refused_in_a_folder_too(folder: Path) -> None:
    (folder / "a.ocsf.json").write_bytes(OCSF.read_bytes()[:-3])
    with pytest.raises(BadInput, match=r"a\.ocsf\.json .* record 18.* Fix: "):
        read(folder)


def test_a_folder_without_a_results_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none", encoding="utf-8")
    with pytest.raises(BadInput, match=r"\*\.json.*--status FAIL.*--resource-arn.*: prowler"):
        read(tmp_path)
    (tmp_path / "package.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BadInput, match="results file"):
        read(tmp_path)


MANUAL = {
    "status_code": "MANUAL",
    "resources": [{"uid": "unknown", "region": "eu-west-1"}],
}


def test_a_report_of_manual_findings_alone_is_read(tmp_path: Path) -> None:
    """Prowler leaves MANUAL findings out of ASFF, and then the file has 0 bytes."""
    record = {**json.loads(OCSF.read_bytes())[0], **MANUAL}
    (tmp_path / "a.asff.json").touch()
    (tmp_path / "a.ocsf.json").write_text(json.dumps([record]), encoding="utf-8")
    results = read(tmp_path)
    assert names(results) == ["a.asff.json", "a.ocsf.json"]
    assert (results.findings, results.unusable) == ((), ())
    assert len(results.warnings) == 2  # of the empty file, and what the MANUAL finding says
    (tmp_path / "a.ocsf.json").unlink()
    for path in (tmp_path, tmp_path / "a.asff.json"):
        assert len(read(path).warnings) == 1


@pytest.mark.parametrize("content", [b"", b" \n", b"{}", b"[1]"])
def test_an_empty_or_foreign_file_is_skipped_in_a_folder_and_refused_alone(
    folder: Path, content: bytes
) -> None:
    (folder / "broken.ocsf.json").write_bytes(content)
    (warning,) = (w for w in read(folder).warnings if w.startswith("skipped: "))
    assert "broken.ocsf.json" in warning
    with pytest.raises(BadInput, match=r"broken\.ocsf\.json"):
        read(folder / "broken.ocsf.json")
    with pytest.raises(BadInput):
        read("-", stdin=content)


@pytest.mark.parametrize("content", [b"[]", b" [\n] ", b"[][]", b'{"Findings": []}'])
def test_a_whole_document_without_records_is_no_findings_with_a_warning(content: bytes) -> None:
    results = read("-", stdin=content)
    assert (results.findings, results.unusable) == ((), ())
    assert results.warnings
    (source,) = results.sources
    assert (source.findings, source.sha256) == (0, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("name", ["A.JSON", "a.jsonl", "a.NdJson", "a.ocsf.Json"])
def test_results_are_found_by_names_in_any_case(tmp_path: Path, name: str) -> None:
    shutil.copy(OCSF, tmp_path / name)
    assert names(read(tmp_path)) == [name]


def test_linked_folders_are_read_once_and_links_upward_end(tmp_path: Path, folder: Path) -> None:
    expected = sorted(names(read(folder)))
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    shutil.copy(OCSF, outside / "linked.json")
    (folder / "latest").symlink_to(outside)
    (folder / "again").symlink_to(outside)
    (folder / "up").symlink_to(folder)
    assert sorted(names(read(folder))) == sorted([*expected, "linked.json"])


@pytest.mark.parametrize("name", ["results.txt", "results", "results.csv"])
def test_the_content_decides_the_format_and_not_the_name(tmp_path: Path, name: str) -> None:
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
