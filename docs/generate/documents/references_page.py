"""The page of the reference list: services, calls, fields and permissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from keysweep.remediation.evidence.references.entries import Call, Entry, ReferenceList
from ledger.accounts import Ledger

_WHERE: Final = {
    "region": "its Region",
    "account": "once per account",
    "every-region": "every Region",
}


def references_page(references: ReferenceList, ledger: Ledger) -> str:
    """The page in Markdown, services in alphabetical order."""
    naming = [call for _, call in references.calls() if call.names_keys]
    services = sorted({entry.service for entry in references.entries})
    first_calls = Counter(entry.reach for entry in references.entries)
    page = (
        "# Resources that name a key\n\n"
        "For anyone who wants to know how Keysweep finds the resources that use a key. No AWS API "
        "lists them. The rule [in-use](rules.md#in-use) lists the resources of each service and "
        "compares the keys they name with each candidate: by key ID, key ARN, alias name and "
        "alias ARN, and by those of the other members of a multi-Region set.\n\n"
        f"{len(naming)} calls of {len(services)} services name keys. They are "
        "listed in [key_references.yaml](../policies/key_references.yaml).\n\n"
        f"{_coverage(ledger)}\n\n"
        "* **Cost.** An account-Region without resources takes "
        f"{first_calls['region']} calls and their further pages, once for all its keys, and only "
        "while a key is not yet on hold. Each account takes "
        f"{first_calls['account'] + 1} more calls, and {first_calls['every-region']} in each "
        "enabled Region, for resources that name a key of another Region. Each listed item takes "
        "the calls after an arrow in the table.\n"
        "* **No reference**: an empty answer, an item that was deleted meanwhile, an error that "
        "the list declares to mean this, or a service that the Region does not offer.\n"
        "* **Coverage gap**: everything else, such as a denial, another error, a truncated answer, "
        "or a field that the installed boto3 does not know. It holds every key of the "
        "account-Region until it is closed or has an exception in `coverage_exceptions`.\n\n"
        "| service | calls | fields that name a key | read in | permissions |\n"
        "|---|---|---|---|---|\n"
    )
    entries = sorted(references.entries, key=lambda entry: entry.service)
    return page + "".join(_rows(entries))


def _coverage(ledger: Ledger) -> str:
    kinds, counts = ledger.kinds(), ledger.counts()
    whole, not_read = sum(kinds.values()), sum(not read for read in kinds.values())
    return (
        f"**Coverage.** {sum(counts.values()):,} members of AWS's answers name a KMS key, by the "
        f"service models of botocore {ledger.left_out.botocore}. {counts['read']:,} are read. The "
        "others are in [left_out.yaml](generate/ledger/left_out.yaml), each with its reason, such "
        f"as {counts['finished-job-record']} of finished jobs and {counts['shown-by']} that "
        "another call shows. A test compares all of them. "
        f"{whole} of {len(kinds)} kinds of resources ({100 * whole / len(kinds):.0f} %) are read "
        f"whole, and {not_read} are not read yet. [What cannot be "
        "proven](what-cannot-be-proven.md#keys-that-aws-does-not-show) names them, and the keys "
        "that no call shows."
    )


def unseen_part(page: str, ledger: Ledger) -> str:
    """The page of limits with the uses that the ledger says cannot be seen."""
    start, end = "<!-- ledger: generated -->\n", "<!-- /ledger -->\n"
    before, _, rest = page.partition(start)
    _, _, after = rest.partition(end)
    listed = "".join(f"* {use}\n" for use in ledger.unseen("no-read-call"))
    waiting = "".join(f"* {use}\n" for use in ledger.unseen("not-read-yet"))
    made = (
        f"No call shows the keys of:\n\n{listed}\n"
        "AWS shows these keys, and Keysweep does not read them yet "
        f"([left_out.yaml](generate/ledger/left_out.yaml) says why):\n\n{waiting}"
    )
    return f"{before}{start}{made}{end}{after}"


def _rows(entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        for way in _ways(entry):
            last = way[-1]
            if not last.names_keys:
                continue
            calls = " → ".join(map(_name, way))
            fields = ", ".join(_code(field) for field in (*last.keys, *last.documents))
            actions = dict.fromkeys([*(entry.permission_of(call) for call in way), *entry.also])
            yield (
                f"| {entry.service} | {calls} | {fields} | {_WHERE[entry.reach]} "
                f"| {', '.join(map(_code, actions))} |\n"
            )


def _name(call: Call) -> str:
    """The operation, with its service if that is not the entry's."""
    service = None if isinstance(call, Entry) else call.service
    return f"{service} {call.operation}" if service else call.operation


def _ways(call: Call) -> Iterator[list[Call]]:
    """Each call with the calls that lead to it."""
    yield [call]
    for child in call.then:
        for way in _ways(child):
            yield [call, *way]


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")
