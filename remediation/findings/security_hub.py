"""Security Hub's findings: pages of GetFindings, and events in EventBridge.

A page is `{"Findings": [...], "NextToken": ...}` ("GetFindings", AWS Security Hub API Reference);
the AWS CLI writes all pages as one. An event holds `{"findings": [...]}` under `detail`, with
`actionName` for a custom action ("EventBridge event formats for Security Hub CSPM", AWS Security
Hub User Guide); the input path `$.detail` of a rule passes that part alone.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from .format import refuse_ambiguous

NAME: Final = "Security Hub"
"""The format of a document that has only findings of other products than Prowler."""

PAGE_START: Final = b'{"Findings":['
"""How a page begins, without white space."""


class Envelope(Struct, frozen=True):
    """The findings of a page or an event."""

    findings: list[msgspec.Raw]
    more: bool | None = None
    """Whether Security Hub announces a further page; None: an event."""


class _Page(Struct, rename="pascal"):
    findings: list[msgspec.Raw]
    next_token: str | None = None


class _Detail(Struct):
    findings: list[msgspec.Raw]


class _Event(Struct):
    detail: _Detail


class _OtherProduct(Struct, rename="pascal"):
    schema_version: Literal["2018-10-08"]
    product_arn: str
    generator_id: str

    def __post_init__(self) -> None:
        if "prowler" in f"{self.product_arn} {self.generator_id}".lower():
            raise ValueError("a finding of Prowler's")


class _OcsfProduct(Struct):
    name: str = ""
    uid: str = ""
    vendor_name: str = ""


class _OcsfMetadata(Struct):
    product: _OcsfProduct


class _OcsfIdentity(Struct):
    uid: str = ""


class _Ocsf(Struct):
    class_uid: Literal[2003]
    metadata: _OcsfMetadata
    finding_info: _OcsfIdentity = field(default_factory=_OcsfIdentity)


_PAGE: Final = msgspec.json.Decoder(_Page)
_EVENT: Final = msgspec.json.Decoder(_Event)
_DETAIL: Final = msgspec.json.Decoder(_Detail)
_OTHER: Final = msgspec.json.Decoder(_OtherProduct)
_OCSF: Final = msgspec.json.Decoder(_Ocsf)


def unwrap(record: msgspec.Raw) -> Envelope | None:
    """The findings of a page or an event; None if the record is neither.

    Raises Unusable if the record names a field twice.
    """
    envelope = _page(record) or _event(record)
    if envelope is not None:
        refuse_ambiguous(record)
    return envelope


def _page(record: msgspec.Raw) -> Envelope | None:
    try:
        page = _PAGE.decode(record)
    except msgspec.DecodeError:
        return None
    return Envelope(page.findings, more=bool(page.next_token))


def _event(record: msgspec.Raw) -> Envelope | None:
    try:
        findings = _EVENT.decode(record).detail.findings
    except msgspec.DecodeError:
        try:
            findings = _DETAIL.decode(record).findings
        except msgspec.DecodeError:
            return None
    # Every event has a finding. An empty list of that common name is another tool's.
    return Envelope(findings) if findings else None


def is_other_product(record: msgspec.Raw) -> bool:
    """Whether a record is an ASFF finding of another product than Prowler."""
    try:
        _OTHER.decode(record)
    except msgspec.DecodeError:
        return False
    return True


def is_converted(record: msgspec.Raw) -> bool:
    """Whether a record is a finding of Prowler's that Security Hub converted to OCSF.

    It lacks what Prowler's own Compliance Findings have, which are recognized before. AWS documents
    the names of its fields ("OcsfStringFilter", AWS Security Hub API Reference), but
    not which of them holds Prowler's check.
    """
    try:
        finding = _OCSF.decode(record)
    except msgspec.DecodeError:
        return False
    product = finding.metadata.product
    names = f"{product.name} {product.uid} {product.vendor_name} {finding.finding_info.uid}"
    return "prowler" in names.lower()
