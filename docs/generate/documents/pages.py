"""Reference pages: commands, checks, file formats and the output of commands."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from pydantic import TypeAdapter

from keysweep.remediation.cli.main import keysweep
from keysweep.remediation.doctor.findings import Examination
from keysweep.remediation.errors import present
from keysweep.remediation.guard import GuardRow
from keysweep.remediation.models import Outcomes, Rebuild
from keysweep.remediation.paths import folder
from keysweep.remediation.report import csv_rows
from keysweep.remediation.status import Status

from .formatting import GENERATED
from .schema_page import tables


def pages(schemas: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The pages by their path in the repository, from the commands, the checks and the schemas."""
    made = {
        "commands": commands_page(),
        "checks": checks_page(),
        "policy-file": _POLICY + tables(schemas["policy"], "PolicyFile"),
        "plan-file": _PLAN + tables(schemas["plan"], "Plan", {"Policy": "policy-file.md"}),
        "journal-file": _JOURNAL + tables(schemas["journal-line"], "Line"),
        "output": _OUTPUT + tables(output_schema(), "Output"),
    }
    return {f"docs/{name}.md": GENERATED + page for name, page in made.items()}


# --- commands ----------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command with its arguments and options, from click."""
    top = keysweep.make_context("keysweep", [], resilient_parsing=True)
    page = (
        "# Commands\n\n"
        "For anyone who runs or scripts Keysweep. `keysweep COMMAND --help` prints the same. Exit "
        "codes:\n\n"
        "| code | meaning |\n|---|---|\n"
        "| 0 | done, also when a plan holds keys |\n"
        "| 1 | something is left: a key failed, records of the results were unusable, no key of an "
        "account could be read, or [access does not work]"
        "(diagnostics.md#access-that-does-not-work); `guard`: a key is in use; `doctor`: an answer "
        "would hold keys; `status`: a key or journal line could not be read, or a pending key "
        "needs attention; `verify`: failed |\n"
        "| 2 | bad input or usage, or AWS configuration that cannot be parsed or names nothing: "
        "nothing was done |\n"
        "| 3 | refused: the plan has expired, schedules more than `max_keys` keys or has another "
        "digest, you answered no, or another run uses the journal or plan. AWS was not changed "
        "|\n\n"
        "An option overrides its environment variable, and the variable overrides the default. "
        "Options for access and logging, and `--format`, have variables, named in the tables. "
        "`KEYSWEEP_FORMAT` is for all commands: one without that format keeps its default. A "
        "variable for a repeatable option takes several values, separated by spaces. Credentials "
        "and the default Region come from the variables and files of AWS (`AWS_PROFILE`, "
        "`AWS_REGION`).\n"
    )
    return page + "".join(_commands(top, ""))


def _commands(group: click.Context, within: str) -> Iterator[str]:
    """The sections of a group's commands; those of a group within it are named after both."""
    if not isinstance(group.command, click.Group):
        return
    for name in group.command.list_commands(group):
        listed = present(group.command.get_command(group, name), name)
        with listed.make_context(name, [], parent=group, resilient_parsing=True) as context:
            if isinstance(context.command, click.Group):
                yield from _commands(context, f"{name} ")
                continue
            page = f"\n## {within}{name}\n\n{_prose(context.command)}\n\n"
            yield f"{page}```text\n{_usage(context)}\n```\n{_options(context)}"


def _usage(context: click.Context) -> str:
    return f"{context.command_path} {' '.join(context.command.collect_usage_pieces(context))}"


def _prose(command: click.Command) -> str:
    """The help text of a command, with its example as code."""
    paragraphs = inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        start, colon, example = paragraph.partition("Example: ")
        if colon and not start:
            paragraphs[number] = f"Example: `{example}`"
    return "\n\n".join(paragraphs)


def _options(context: click.Context) -> str:
    rows = ""
    for parameter in context.command.params:
        if isinstance(parameter, click.Option):
            record = present(parameter.get_help_record(context), "the help of an option")
            names, about = record
            rows += f"| `{_cell(names)}` | {_cell(about)} |\n"
    return f"\n| option | meaning |\n|---|---|\n{rows}" if rows else ""


# --- checks ------------------------------------------------------------------------------------


def checks_page() -> str:
    """Every check, from its metadata."""
    page = (
        "# Checks\n\n"
        "For anyone who runs the checks: what each one examines, from its metadata. See how to add "
        "them to [Prowler](prowler.md) and [Checkov](checkov.md), and what the Checkov checks "
        "report [case by case](checkov-verdicts.md).\n"
    )
    for path in sorted(Path(folder("prowler")).glob("*/*.metadata.json")):
        page += _prowler_check(json.loads(path.read_text(encoding="utf-8")))
    for one in _checkov_checks(Path(folder("checkov")) / "keysweep_verdicts.py"):
        page += (
            f"\n## {one['id']}\n\n{one['name']}.\n\n"
            "| | |\n|---|---|\n| scanner | Checkov |\n"
            f"| AWS documentation | <{one['guideline']}> |\n"
        )
    return page


def _prowler_check(metadata: Mapping[str, Any]) -> str:
    remediation = metadata["Remediation"]
    rows = {
        "scanner": "Prowler",
        "severity": metadata["Severity"],
        "resource": metadata["ResourceType"],
        "aliases": ", ".join(f"`{alias}`" for alias in metadata.get("CheckAliases", ())),
        "related": ", ".join(f"`{one}`" for one in metadata.get("RelatedTo", ())),
    }
    page = f"\n## {metadata['CheckID']}\n\n{metadata['CheckTitle']}.\n\n| | |\n|---|---|\n"
    page += "".join(f"| {name} | {value} |\n" for name, value in rows.items() if value)
    page += f"\n{metadata['Description']}\n\n**Risk.** {metadata['Risk']}\n\n"
    page += f"**What to do.** {remediation['Recommendation']['Text']}\n"
    if notes := metadata.get("Notes"):
        page += f"\n**Notes.** {notes}\n"
    links = "".join(f"* <{link}>\n" for link in metadata.get("AdditionalURLs", ()))
    return page + (f"\nAWS documentation:\n\n{links}" if links else "")


def _checkov_checks(path: Path) -> Iterator[dict[str, str]]:
    """The texts of each `Check(...)`, parsed because Checkov cannot be imported here."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Check":
            yield {
                str(word.arg): str(word.value.value)
                for word in node.keywords
                if isinstance(word.value, ast.Constant)
            }


# --- files -------------------------------------------------------------------------------------

_POLICY: Final = (
    "# The policy file\n\n"
    "For anyone who decides when a key may be deleted. The decision policy is YAML. "
    "[retirement.yaml](../policies/retirement.yaml) is the default and explains every value: copy "
    "it, change it, and pass it with `--policy`. Values that you leave out keep their defaults. An "
    "unknown name is an error that gives its line. `keysweep policy FILE` checks a file and shows "
    "its effect.\n\n"
    "The [JSON Schema](../policies/schemas/policy.schema.json) lets an editor check the file "
    "while you type.\n\n"
)
_PLAN: Final = (
    "# The plan file\n\n"
    "For anyone who reads plans with a program. `keysweep plan` writes the plan, and `keysweep "
    "apply` executes it. It is JSON with a digest of its content: edited or truncated plans are "
    "refused, and so are plans with duplicate names in an object, because the digest "
    "would match either value. "
    "[The schema](../policies/schemas/plan.schema.json) describes the file.\n\n"
)
_JOURNAL: Final = (
    "# The journal file\n\n"
    "For anyone who reads journals with a program. The journal records what `apply`, `cancel` and "
    "`guard` did, as JSON Lines that are only appended. Each write has two lines: the intent, on "
    "disk before the call, and the outcome. `status`, `cancel --journal` and reruns of `apply` "
    "need the journal, so keep it with the plan. "
    "[The schema](../policies/schemas/journal-line.schema.json) describes one line. Lines omit "
    "fields that are `null`.\n"
    "\n## In S3\n\n"
    "`--journal s3://BUCKET/PREFIX/` keeps the same lines in a bucket ([access, encryption and "
    "advice](scheduling.md#the-journal-in-a-bucket)).\n\n"
    "* Line 7 is the object `PREFIX/lines/000000000007.json`. It holds this one line and its line "
    "feed. Numbers begin at 1.\n"
    "* A line is written with `If-None-Match: *`, so that it never replaces another. If the answer "
    "to the request is lost, Keysweep reads the object and compares its bytes. If it cannot show "
    "that the line is there, it makes no call.\n"
    "* `keysweep journal copy` writes the first line last: until then, the copy is damaged, since "
    "its first line is missing. The same command completes it.\n"
    "* The number also separates two writers: the second line with the same number is refused, and "
    "its run stops.\n"
    "* Lines are listed to the end of the last page; an incomplete listing is an error. A missing "
    "number, an object with another name, and an object that is not exactly one line are "
    "[damage](reliability.md#damaged-journals). S3 writes objects whole, so no line is torn.\n"
    "* `PREFIX/lock.json` names the run that writes: `run`, `caller`, `host`, `process` and "
    "`since` (by the clock of the host). The run deletes it at its end, and only its own. After a "
    "killed run, a person does so with `keysweep journal unlock`.\n"
    "* A run reads and writes at most 100 lines a second.\n"
)


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


_OUTPUT: Final = (
    "# The output of commands\n\n"
    "For anyone who scripts Keysweep. With `--format json`, these commands print JSON and nothing "
    "else on standard output:\n\n"
    "| command | output |\n|---|---|\n"
    "| `doctor` | one object, [Examination](#examination) |\n"
    "| `apply`, `cancel` | one object, [Outcomes](#outcomes) |\n"
    "| `status` | one object, [Status](#status) |\n"
    "| `guard` | one object a line, [GuardRow](#guardrow), for each key that it read |\n"
    "| `journal rebuild` | one object, [Rebuild](#rebuild) |\n\n"
    "`plan` prints [the plan](plan-file.md). Times are UTC, such as `2026-01-31T00:00:00Z`. "
    "Messages, such as problems with a journal, go to standard error.\n\n"
    "With `--format csv`, these commands print one table, with a row for each key. Texts that a "
    "spreadsheet could read as a formula begin with `'`.\n\n"
    "| command | columns |\n|---|---|\n"
    f"| `plan`, `show` | {_columns(csv_rows.PLAN_COLUMNS)}. The verdict `{csv_rows.GONE}` is a key "
    f"that only the plan of `--since` has, and `{csv_rows.UNMAPPED}` a finding in code without a "
    "live key |\n"
    f"| `apply` | {_columns(csv_rows.RESULT_COLUMNS)} |\n"
    f"| `status` | {_columns(csv_rows.STATUS_COLUMNS)} |\n"
)


def output_schema() -> Mapping[str, Any]:
    """The JSON Schema of command output that is not a file format."""
    output: TypeAdapter[Any] = TypeAdapter(Examination | Outcomes | Status | GuardRow | Rebuild)
    return output.json_schema(mode="serialization")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
