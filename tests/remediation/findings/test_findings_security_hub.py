"""Prowler's findings as Security Hub returns them: pages, events, and its own OCSF."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from keysweep.remediation.errors import BadInput
from keysweep.remediation.findings import Results, buffer, read_results
from keysweep.remediation.findings.documents import Records
from keysweep.remediation.models import Finding

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "results"
ASFF: list[dict[str, Any]] = json.loads((FIXTURES / "prowler-5.46.0.asff.json").read_bytes())
OCSF: list[dict[str, Any]] = json.loads((FIXTURES / "prowler-5.46.0.ocsf.json").read_bytes())
OTHER = {
    "SchemaVersion": "2018-10-08",
    "ProductArn": "arn:aws:securityhub:eu-west-1::product/aws/guardduty",
    "GeneratorId": "arn:aws:guardduty:eu-west-1:111122223333:detector/1",
    "ProductFields": {"aws/guardduty/service/archived": "false"},
}
EVENT = {
    "version": "0",
    "id": "1a1111a1-b22b-3c33-444d-5555e5ee5555",
    "source": "aws.securityhub",
    "account": "111122223333",
    "time": "2026-11-24T18:43:48Z",
    "region": "eu-west-1",
}
IMPORTED = {**EVENT, "detail-type": "Security Hub Findings - Imported", "resources": []}
CUSTOM = {**EVENT, "detail-type": "Security Hub Findings - Custom Action", "resources": []}
ACTION = {"actionName": "retire-keys", "actionDescription": "send to keysweep"}


def read(document: object) -> Results:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_results(["-"], io.BytesIO(content))


def facts(results: Results) -> list[Finding]:
    """The findings without their position, which differs."""
    return [Finding(**{**fields(one), "position": ""}) for one in results.findings]


def fields(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in Finding.__dataclass_fields__}


def lines(records: list[Any]) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def page(findings: list[dict[str, Any]], token: str | None = None) -> dict[str, Any]:
    return {"Findings": findings, **({"NextToken": token} if token else {})}


HALF = len(ASFF) // 2
ELSEWHERE = json.loads(json.dumps(ASFF).replace("111122223333", "444455556666"))
SHAPES: dict[str, Callable[[], object]] = {
    "page": lambda: page(ASFF),
    "page of boto3": lambda: {"Findings": ASFF, "ResponseMetadata": {"HTTPStatusCode": 200}},
    "token first": lambda: {"NextToken": None, "Findings": ASFF},
    "indented page": lambda: json.dumps(page(ASFF), indent=4).encode(),
    "list of pages": lambda: [page(ASFF[:HALF], "token"), page(ASFF[HALF:])],
    "lines of pages": lambda: lines([page(ASFF[:HALF], "token"), page(ASFF[HALF:])]),
    "page and list": lambda: lines([page(ASFF[:HALF]), ASFF[HALF:]]),
    "imported events": lambda: lines([{**IMPORTED, "detail": {"findings": [r]}} for r in ASFF]),
    "custom action": lambda: [{**CUSTOM, "detail": {**ACTION, "findings": [r]}} for r in ASFF],
    "detail of a custom action": lambda: lines([{**ACTION, "findings": [r]} for r in ASFF]),
    "detail": lambda: lines([{"findings": [r]} for r in ASFF]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_envelope_gives_the_findings_in_it(shape: str) -> None:
    results = read(SHAPES[shape]())
    assert facts(results) == facts(read(ASFF))
    assert results.unusable == results.warnings == ()
    assert {source.scanner for source in results.sources} == {"prowler"}


def test_positions_count_findings_and_name_the_page_in_a_list() -> None:
    bad = {**ASFF[0], "Resources": []}
    assert [one.position for one in read(page([bad, *ASFF])).unusable] == ["record 1"]
    (unusable,) = read([page(ASFF), page([ASFF[0], bad])]).unusable
    assert unusable.position == "record 2, finding 2"


@pytest.mark.parametrize(
    ("document", "open_ended"),
    [
        (page(ASFF, "token"), True),
        (page([], "token"), True),
        ([page(ASFF, "token"), page(ASFF, "token")], True),
        ([page(ASFF, "token"), page(ASFF)], False),
        (page(ASFF), False),
    ],
)
def test_a_page_that_announces_another_is_reported(document: object, open_ended: bool) -> None:
    assert any("NextToken" in warning for warning in read(document).warnings) is open_ended


@pytest.mark.parametrize(
    ("pages", "named"),
    [
        ({"1": page(ASFF, "t"), "2": page(ASFF, "t"), "3": page(ASFF)}, set()),
        ({"1": page(ASFF), "2": page(ASFF, "t"), "10": page(ASFF, "t")}, set()),
        ({"1": page(ASFF, "t"), "2": page(ASFF, "t")}, {"1", "2"}),
        ({"1": page(ASFF, "t"), "2": page([])}, {"1"}),
        ({"1": page(ASFF, "t"), "2": {"findings": ASFF}}, {"1"}),
        ({"1": page(ELSEWHERE, "t"), "2": page(ASFF)}, {"1"}),
    ],
)
def test_a_page_is_reported_unless_a_file_ends_its_listing(
    pages: dict[str, Any], named: set[str], tmp_path: Path
) -> None:
    for name, document in pages.items():
        (tmp_path / f"page-{name}.json").write_text(json.dumps(document), "utf-8")
    warnings = read_results([str(tmp_path)], io.BytesIO()).warnings
    open_ended = [one for one in warnings if "NextToken" in one]
    assert len(open_ended) == bool(named)
    assert {name for name in pages if f"page-{name}.json" in "".join(open_ended)} == named


def test_findings_of_other_products_are_counted_and_not_unusable() -> None:
    results = read(page([OTHER] * 12_000 + ASFF))
    assert facts(results) == facts(read(ASFF))
    assert results.unusable == ()
    (warning,) = results.warnings
    assert "12,000" in warning


def test_a_page_of_other_products_alone_is_no_all_clear() -> None:
    for document in (page([OTHER]), [OTHER], {**IMPORTED, "detail": {"findings": [OTHER]}}):
        results = read(document)
        assert results.findings == results.unusable == ()
        assert len(results.warnings) == 2


@pytest.mark.parametrize(
    "document",
    [
        {"findings": []},
        {"findings": [{"findingArn": "arn:aws:inspector2:eu-west-1:111122223333:finding/1"}]},
        {**EVENT, "detail-type": "Security Hub Insight Results", "detail": {"insightName": "a"}},
        [{"Findings": [{"Findings": ASFF}]}],
    ],
)
def test_lists_of_other_tools_are_foreign(document: object) -> None:
    with pytest.raises(BadInput):
        read(document)


def test_an_envelope_that_names_a_field_twice_is_unusable() -> None:
    one = json.dumps(ASFF)
    for text in (
        f'[{{"NextToken": null, "Findings": {one}, "Findings": []}}, {one[1:-1]}]',
        f'{{"Findings": {one}, "Findings": []}}',
    ):
        assert len(read(text.encode()).unusable) == 1


def converted(**changes: Any) -> dict[str, Any]:
    """A finding as Security Hub may convert it: its documented fields, without Prowler's own."""
    return {
        "class_uid": 2003,
        "class_name": "Compliance Finding",
        "status": "New",
        "compliance": {"status": "Fail", "control": "kms_cmk_not_disabled"},
        "metadata": {
            "product": {"name": "Prowler", "uid": ASFF[0]["ProductArn"], "vendor_name": "Prowler"},
            "version": "1.5.0",
        },
        "finding_info": {"uid": ASFF[0]["Id"], "title": "key"},
        "resources": [{"uid": ASFF[0]["Resources"][0]["Id"]}],
        **changes,
    }


DEFAULT_PRODUCT = {"product": {"name": "Default", "uid": "arn:aws:securityhub:::product/a/default"}}


@pytest.mark.parametrize("record", [converted(), converted(metadata=DEFAULT_PRODUCT)])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda record: record,
        lambda record: [*OCSF, record],
        lambda record: page([record]),
        lambda record: {**EVENT, "detail": {"findings": [record]}},
    ],
)
def test_findings_that_security_hub_converted_to_ocsf_are_refused(
    record: dict[str, Any], wrap: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="OCSF"):
        read(wrap(record))
    (tmp_path / "a.json").write_text(json.dumps(wrap(record)), encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps(OCSF), encoding="utf-8")
    with pytest.raises(BadInput, match=r"a\.json"):
        read_results([str(tmp_path)], io.BytesIO())


@pytest.mark.parametrize("chunk", [1, 7, 5000])
def test_a_page_is_streamed_finding_by_finding(chunk: int) -> None:
    document = json.dumps(page([{"a": [{"b": "]}"}]}, {}], "t"), indent=chunk % 3 or None)
    expected = [{"a": [{"b": "]}"}]}, {}, {"Findings": [], "NextToken": "t"}]
    with mock.patch.object(buffer, "CHUNK", chunk):
        found = [json.loads(bytes(r)) for r in Records(io.BytesIO(document.encode()))]
        assert found == expected
        for cut in range(1, len(document)):
            with pytest.raises(buffer.InvalidDocument):
                list(Records(io.BytesIO(document[:cut].encode())))


def test_a_page_may_be_larger_than_memory() -> None:
    finding = {"Id": "x" * 900}
    with (
        mock.patch.object(buffer, "LONGEST", 4000),
        mock.patch("keysweep.remediation.findings.documents.LONGEST", 4000),
        mock.patch.object(buffer, "CHUNK", 500),
    ):
        document = json.dumps(page([finding] * 100, "t")).encode()
        assert len(list(Records(io.BytesIO(document)))) == 101
