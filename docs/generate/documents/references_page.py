"""The reference list for people: which service is asked what, and which permission that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from keysweep.remediation.evidence.references.entries import Call, Entry, ReferenceList

_WHERE: Final = {
    "region": "its Region",
    "account": "once an account",
    "every-region": "every Region",
}


def references_page(references: ReferenceList) -> str:
    """A page in Markdown, services in the order of the alphabet."""
    naming = [call for _, call in references.calls() if call.names_keys]
    services = sorted({entry.service for entry in references.entries})
    first_calls = Counter(entry.reach for entry in references.entries)
    page = (
        "# Resources that name a key\n\n"
        "No call of AWS shows what is encrypted under a key. So the rule "
        "[in-use](rules.md#in-use) asks the services, and compares what they answer with each "
        "key: by key id, key ARN, alias name and alias ARN, and by the names of the other members "
        "of a multi-Region set.\n\n"
        f"{len(naming)} calls of {len(services)} services name keys. What they are is data, in "
        "[key_references.yaml](../policies/key_references.yaml), which also says what is left "
        "out and why.\n\n"
        "* **Cost.** An account and Region in which nothing is found takes "
        f"{first_calls['region']} calls and their further pages, made once for all its keys, and "
        "only when a key is left that they could decide. Once an account come "
        f"{first_calls['account'] + 1} calls, and {first_calls['every-region']} in each enabled "
        "Region, for resources that name a key of another Region. Each item of a listing takes "
        "the calls that the table shows after an arrow.\n"
        "* **Nothing** is an empty answer, an item that is gone again, an error that the list "
        "declares to mean it, or a service that the Region lacks.\n"
        "* **A gap** is everything else: a denial, an error, an answer that was cut off, a field "
        "that the installed boto3 is too old to show. It holds every key of the account and "
        "Region until it is closed, or accepted under `coverage_exceptions`.\n\n"
        "| service | calls | fields that name a key | asked in | permissions |\n"
        "|---|---|---|---|---|\n"
    )
    entries = sorted(references.entries, key=lambda entry: entry.service)
    return page + "".join(_rows(entries))


def _rows(entries: list[Entry]) -> Iterator[str]:
    for entry in entries:
        for way in _ways(entry):
            last = way[-1]
            if not last.names_keys:
                continue
            calls = " → ".join(call.operation for call in way)
            fields = ", ".join(_code(field) for field in (*last.keys, *last.documents))
            actions = dict.fromkeys([*(entry.permission_of(call) for call in way), *entry.also])
            yield (
                f"| {entry.service} | {calls} | {fields} | {_WHERE[entry.reach]} "
                f"| {', '.join(map(_code, actions))} |\n"
            )


def _ways(call: Call) -> Iterator[list[Call]]:
    """Each call with those that lead to it."""
    yield [call]
    for child in call.then:
        for way in _ways(child):
            yield [call, *way]


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")
