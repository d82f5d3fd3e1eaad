"""Broken and hostile results: a message that names the position, and never a guess."""

from __future__ import annotations

import copy
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import Results, buffer, documents, read_results
from keysweep.remediation.findings.formats import FORMATS
from keysweep.remediation.models import Finding

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "results"
OCSF = json.loads((FIXTURES / "prowler-5.46.0.ocsf.json").read_bytes())
FAILED = next(
    record
    for record in OCSF
    if record["metadata"]["event_code"] == "kms_cmk_not_disabled"
    and record["status_code"] == "FAIL"
)
SAMPLES = [
    records[0] if isinstance(records, list) else records
    for file in (
        "prowler-3.16.17.ocsf.json",
        "prowler-4.0.1.ocsf.json",
        "prowler-5.46.0.ocsf.json",
        "prowler-5.46.0.asff.json",
        "prowler-3.16.17.json",
        "checkov-3.3.30-object.json",
    )
    for records in [json.loads((FIXTURES / file).read_bytes())]
]
UUID = FAILED["resources"][0]["uid"][-36:]


def read(content: bytes) -> Results:
    return read_results(["-"], io.BytesIO(content))


def refusal(content: bytes) -> str:
    with pytest.raises(BadInput) as refused:
        read(content)
    assert str(refused.value).isprintable()
    assert str(refused.value).startswith("- ")
    return str(refused.value)


def changed(**fields: Any) -> dict[str, Any]:
    """A failed finding of Keysweep's check with some fields replaced, each by its path."""
    record = copy.deepcopy(FAILED)
    for path, value in fields.items():
        *parents, last = path.split("__")
        inner: Any = record
        for step in parents:
            inner = inner[int(step) if step.isdigit() else step]
        inner[last] = value
    return record


# --- documents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (json.dumps(OCSF).encode()[:-1], "truncated in record 19"),
        (json.dumps(OCSF).encode()[:20_000], "truncated in record"),
        (json.dumps(OCSF, indent=4).encode("utf-16")[:-101], "complete UTF-16"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00", "at record 1"),
        (b"\x1f\x8b\x08\x00\x00", "is compressed"),
        (b"<html><body>Forbidden</body></html>", "is HTML"),
        (b"[" * 200_000, "is nested too deeply"),
        (b"[" * 200_000 + b"]" * 200_000, "is nested too deeply"),
        (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "is nested too deeply"),
        (b"[1, 2, null]", "holds no record"),
        (b"{}", "holds no record"),
        (b'"\x1b[31m"', "at record 1"),
        (b"\x1b[31mred", "at record 1"),
        (b"NaN", "at record 1"),
        (b'[{"a": NaN}]', "at record 1"),
        (b'[{"a": "\xff"}]', "is not UTF-8"),
        (b"[" + b"{}," * 20_000 + b"{}]", "more than 10000 unusable records"),
    ],
)
def test_a_document_that_holds_no_results_is_refused_with_its_reason(
    content: bytes, why: str
) -> None:
    assert why in refusal(content)


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_real_record_truncated_at_any_byte_is_refused(sample: dict[str, Any]) -> None:
    document = json.dumps([sample], indent=4).encode()
    for cut in range(1, len(document), 97):
        refusal(document[:cut])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_what_powershell_and_windows_write_is_read_whole(encoding: str) -> None:
    record = changed(resources__0__name="Schl\u00fcssel \U0001f511")
    results = read(json.dumps([record], ensure_ascii=False).encode(encoding))
    assert len(results.findings) == 1


@pytest.mark.parametrize("limit", [1, pytest.param(64, marks=pytest.mark.sample)])
def test_one_line_of_a_gibibyte_is_refused_in_bounded_memory(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert buffer.LONGEST == 64 << 20
    monkeypatch.setattr(buffer, "LONGEST", limit << 20)
    monkeypatch.setattr(documents, "LONGEST", limit << 20)

    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1, /) -> bytes:
            assert 0 < size <= 1 << 26
            part = b"x" * min(size, (1 << 30) - self.given)
            if not self.given:
                part = b'[{"a":"' + part[7:]
            self.given += len(part)
            return part

    stream = Endless()
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=f"{limit} MiB in record 1"):
            read_results(["-"], stream)  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < (3 * limit + 8) << 20
    assert stream.given <= (limit + 1) << 20


APPENDED = json.dumps(OCSF).encode() + json.dumps(OCSF).encode()[1:]
"""What Prowler writes to the file of a constant `-F`: the second scan has no opening bracket."""


@pytest.mark.parametrize(
    ("content", "option"),
    [
        (APPENDED, "-F"),
        (json.dumps([FAILED]).encode() + b"\n" + json.dumps(FAILED).encode() + b"]", "-F"),
        (APPENDED[:-200], "-F"),
        (b"2026-11-24 10:00:00 [MainThread  ] [WARNI]  no\n{}", "--output-file-path"),
        (b"{}\n2026-11-24 10:00:00 [MainThread  ] [WARNI]  no", "--output-file-path"),
        (b"{}\nDone. {1} file", "--output-file-path"),
        (json.dumps(OCSF).encode() + b"\nDone.", "--output-file-path"),
        (json.dumps(OCSF).encode()[:-1], "copy"),
    ],
)
def test_a_refusal_names_the_option_that_helps(content: bytes, option: str) -> None:
    assert f" {option} " in refusal(content)


# --- records ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [1, None, "x", [], {}, True, {"class_uid": 2004}])
def test_a_bad_record_in_a_whole_document_is_listed_and_the_rest_is_used(bad: object) -> None:
    results = read(json.dumps([FAILED, bad, FAILED]).encode())
    assert [finding.position for finding in results.findings] == ["record 1", "record 3"]
    assert [record.position for record in results.unusable] == ["record 2"]


ARN = f"arn:aws:kms:eu-west-1:111122223333:key/{UUID}"


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (changed(resources__0__uid="arn:aws:s3:::bucket"), "not the ARN"),
        (changed(resources__0__uid=f"{ARN}\n"), "not the ARN"),
        (changed(resources__0__uid=f" {ARN}"), "not the ARN"),
        (changed(resources__0__uid=UUID), "not the ARN"),
        (changed(resources__0__uid=f"{ARN[:-36]}alias/a"), "not the ARN"),
        (changed(resources__0__uid=None), "resources"),
        (changed(resources__0__uid=ARN.replace("eu-west", "us-east")), "states the Region"),
        (changed(resources__0__region="eu-central-1"), "states the Region eu-central-1"),
        (changed(cloud__region="eu-central-1"), "states the Region eu-central-1"),
        (changed(cloud__account__uid="999999999999"), "states the account 999999999999"),
        (changed(resources__0__cloud_partition="aws-cn"), "states the partition aws-cn"),
        (changed(resources=[]), "0 resources"),
        (changed(resources=FAILED["resources"] * 2), "2 resources"),
        (changed(status_code="FAILED"), "status"),
        (changed(status_code=None), "status"),
        (changed(time=None), "no time"),
        (changed(time="yesterday"), "yesterday"),
        (changed(time=1e300), "1e"),
        (changed(time=True), "time"),
        (changed(time="9" * 5000), "its time 999"),
        (changed(cloud__account__uid=111122223333), "cloud.account.uid"),
    ],
)
def test_a_record_that_contradicts_its_arn_or_lacks_fields_is_unusable(
    record: dict[str, Any], problem: str
) -> None:
    results = read(json.dumps([FAILED, record]).encode())
    (unusable,) = results.unusable
    assert (unusable.source, unusable.position) == ("-", "record 2")
    assert problem in unusable.problem
    assert unusable.problem.isprintable()
    assert len(results.findings) == 1


@pytest.mark.parametrize(
    ("field", "twice"),
    [
        ("status_code", '"status_code": "PASS", "status_code": "FAIL"'),
        ("uid", f'"uid": "{ARN}", "uid": "{ARN[:-1]}0"'),
        ("event_code", '"event_code": "kms_cmk_are_used", "event_code": "kms_cmk_not_disabled"'),
    ],
)
def test_a_field_that_is_named_twice_makes_the_record_unusable(field: str, twice: str) -> None:
    record = json.dumps(FAILED)
    value = {"status_code": "FAIL", "uid": FAILED["resources"][0]["uid"]}.get(
        field, "kms_cmk_not_disabled"
    )
    damaged = record.replace(f'"{field}": "{value}"', twice, 1)
    assert damaged != record
    results = read(f"[{record}, {damaged}]".encode())
    (unusable,) = results.unusable
    assert f"the field {field} twice" in unusable.problem
    assert len(results.findings) == 1


def test_an_object_with_a_million_fields_twice_is_evaluated_at_once() -> None:
    record = json.dumps(FAILED)[:-1] + "".join(f', "f{n}": 1' for n in range(300_000))
    results = read(f'[{json.dumps(FAILED)}, {record}, "f0": 2}}]'.encode())
    assert [one.position for one in results.unusable] == ["record 2"]


def test_terminal_escapes_stay_data_and_are_shown_escaped() -> None:
    escape = "\x1b]0;owned\x07\u202e\u009b31m"
    results = read(
        json.dumps(
            [
                changed(resources__0__name=escape),
                changed(status_code=escape),
                changed(cloud__region=escape),
                changed(metadata__version=f"9.9{escape}"),
                changed(
                    status_code="MANUAL", resources__0__uid="unknown", status_detail=f"no {escape}"
                ),
            ]
        ).encode()
    )
    assert {record.position for record in results.unusable} == {"record 2", "record 3"}
    assert all(record.problem.isprintable() for record in results.unusable)
    assert len(results.warnings) == 2
    assert all(warning.isprintable() for warning in results.warnings)


# --- anything ---------------------------------------------------------------------------------

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([ARN, UUID, "FAIL", "kms_cmk_not_disabled", "CKV_KEYSWEEP_001", "1.5.0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["uid", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path]
    for step, below in inner:
        found += paths(below, (*path, step)) if isinstance(below, dict | list) else [(*path, step)]
    return found


@given(st.data())
def test_a_record_of_any_content_raises_only_our_own_errors(data: st.DataObject) -> None:
    record: Any = copy.deepcopy(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths(record)))
        if not path:
            record = data.draw(anything)
            break
        inner = record
        for step in path[:-1]:
            inner = inner[step]
        if isinstance(inner, dict) and data.draw(st.booleans()):
            del inner[path[-1]]
        else:
            inner[path[-1]] = data.draw(anything)
        if not isinstance(record, dict | list):
            break
    document = json.dumps([SAMPLES[0], record]).encode()
    try:
        results = read(document)
    except BadInput:
        refusal(document)
        return
    for unusable in results.unusable:
        assert unusable.problem.isprintable()
        unusable.model_dump_json()
    for finding in results.findings:
        TypeAdapter(Finding).dump_json(finding)
    assert all(warning.isprintable() for warning in results.warnings)


@given(st.binary(max_size=300))
@example(b"[]")
def test_any_bytes_are_refused_or_hold_no_finding(content: bytes) -> None:
    try:
        found, message = read(content).findings, ""
    except BadInput as error:
        found, message = (), str(error)
    assert not found
    assert message.isprintable()


def test_every_format_is_among_the_samples() -> None:
    recognized = {read(json.dumps(sample).encode()).sources[0].format for sample in SAMPLES}
    assert recognized == {known.name for known in FORMATS}
