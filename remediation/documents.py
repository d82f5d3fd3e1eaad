"""Documents that derive from the declarations: IAM policies, JSON Schemas, pages of the docs.

Rules, sources and writes declare what they need; nobody lists it a second time. A test compares the
files with what this module makes, and `python -m keysweep.remediation.documents FOLDER` writes them
into a checkout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import TypeAdapter

from .alarms import PERMISSIONS as ALARMS
from .aws import bucket
from .evidence import SOURCES
from .evidence.lake import PERMISSIONS as LAKE
from .evidence.reference_list import ReferenceList, reference_list
from .evidence.reference_page import references_page
from .guard import LIST_PERMISSION as LIST_KEYS
from .guard import PIECES as GUARDED
from .iac.stacks import PERMISSIONS as STACKS
from .journal import Line
from .member_roles import ROLES, template
from .models import Cost
from .pages import pages
from .plan import Plan
from .policy import MAX_WINDOW_DAYS, Policy, PolicyFile
from .policy_view import need
from .rules import RULES, Rule
from .write import CANCEL, ENABLE, SCHEDULE, TAG, Operation

MANAGED_POLICY_SIZE: Final = 6144
"""Most characters of a managed policy, white space not counted ("IAM and AWS STS quotas")."""

ORGANISATION_POLICY_SIZE: Final = 5120
"""Most characters of a service control policy, white space counted ("Quotas for AWS
Organizations")."""

YOUR_BUCKET: Final = "amzn-s3-demo-bucket"
"""What AWS's documentation writes for a bucket's name that is to be filled in."""

YOUR_ACCOUNT: Final = "111122223333"
"""What it writes for an account."""

Json = dict[str, Any]


def documents() -> Mapping[str, str]:
    """Every generated file, by its path in the repository."""
    return {
        **{f"policies/iam/{name}.json": _json(policy) for name, policy in iam_policies().items()},
        **{
            f"policies/schemas/{name}.schema.json": _json(schema)
            for name, schema in schemas().items()
        },
        "policies/stacksets/member-roles.yaml": _yaml(template(iam_policies())),
        **pages(schemas()),
        "docs/rules.md": rules_page(),
        "docs/permissions.md": permissions_page(),
        "docs/references.md": _GENERATED + references_page(reference_list()),
    }


# --- IAM ---------------------------------------------------------------------------------------


def iam_policies() -> dict[str, Json]:
    """The least that each task needs, by name; `plan` and the references change nothing."""
    return {
        "plan": _policy([*_reads(), _allow("ReadNamedStacks", STACKS)]),
        **{f"references-{n}": _policy(s) for n, s in enumerate(_references(), 1)},
        "lake": _policy([_allow("AskTheEventDataStore", LAKE)]),
        "results-bucket": _policy(_results_bucket()),
        "apply": _policy([*_reads(), *_schedule(), _allow("LookForAlarms", ALARMS)]),
        "cancel": _policy(_cancel()),
        "guard": _policy(_guard()),
        "organization-guardrail": _policy(_guardrail()),
    }


def _reads() -> list[Json]:
    """One statement for each source but the references, which are too many for one policy."""
    return [
        _allow(f"Read{_camel(source.piece)}", source.permissions)
        for source in sorted(SOURCES.values(), key=lambda source: (source.cost, source.piece))
        if source.piece != "references"
    ]


def _references() -> list[list[Json]]:
    """Statements by service, in as few policies as AWS's limit of size allows."""
    by_service: dict[str, list[str]] = {}
    for action in sorted(SOURCES["references"].permissions):
        by_service.setdefault(action.split(":")[0], []).append(action)
    pages: list[list[Json]] = [[]]
    for service, actions in by_service.items():
        statement = _allow(f"List{_camel(service)}", actions)
        if _size(_policy([*pages[-1], statement])) > MANAGED_POLICY_SIZE:
            pages.append([])
        pages[-1].append(statement)
    return pages


def _results_bucket() -> list[Json]:
    """Reading one bucket, whose name is to be filled in; and its encryption, through S3 alone."""
    arn = f"arn:aws:s3:::{YOUR_BUCKET}"
    through_s3 = {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}
    key = f"arn:aws:kms:*:{YOUR_ACCOUNT}:key/*"
    decrypt = {**_allow("DecryptResults", [bucket.DECRYPT_PERMISSION]), "Resource": key}
    return [
        {**_allow("FindResults", [bucket.LIST_PERMISSION]), "Resource": arn},
        {**_allow("ReadResults", [bucket.READ_PERMISSION]), "Resource": f"{arn}/*"},
        {**decrypt, "Condition": through_s3},
    ]


def _schedule() -> list[Json]:
    """Scheduling never goes without the right to undo it, and never meets a protected key."""
    unprotected = {"Null": {f"aws:ResourceTag/{Policy().protected_tag}": "true"}}
    return [
        {**_allow("ScheduleWhatIsNotProtected", [SCHEDULE.permission]), "Condition": unprotected},
        _allow("Undo", [CANCEL.permission]),
    ]


def _cancel() -> list[Json]:
    """Cancel, with `--enable` and `--keep`; and status."""
    only_keep = {"ForAllValues:StringEquals": {"aws:TagKeys": [Policy().protected_tag]}}
    return [
        _allow("Look", SOURCES["description"].permissions),
        _allow("SeeAttempts", SOURCES["use_attempts"].permissions),
        _allow("Undo", [CANCEL.permission, ENABLE.permission]),
        {**_allow("Keep", [TAG.permission]), "Condition": only_keep},
    ]


def _guard() -> list[Json]:
    """Guard looks at what `judge` wants of a pending key, and rescues with `--cancel`."""
    reads = frozenset({"description"}) | GUARDED
    permissions = {action for p in reads - {"references"} for action in SOURCES[p].permissions}
    undo = [one for one in _cancel() if one["Sid"] == "Keep"]
    return [
        _allow("Watch", permissions),
        _allow("FindEveryPendingKey", [LIST_KEYS]),
        _allow("Undo", [CANCEL.permission]),
        *undo,
    ]


def _guardrail() -> list[Json]:
    """A service control policy: nobody in the organisation deletes in haste, Keysweep or not."""
    too_soon = {"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": MAX_WINDOW_DAYS}}
    unused = Policy().min_days_unused
    in_use = {"NumericLessThan": {"kms:TrailingDaysWithoutKeyUsage": unused}}
    protected = {"Null": {f"aws:ResourceTag/{Policy().protected_tag}": "false"}}
    deny = {"Effect": "Deny", "Action": SCHEDULE.permission, "Resource": "*"}
    return [
        {"Sid": "KeepTheWholeWaitingPeriod", **deny, "Condition": too_soon},
        {"Sid": "KeepKeysThatWereUsed", **deny, "Condition": in_use},
        {"Sid": "KeepProtectedKeys", **deny, "Condition": protected},
    ]


def _policy(statements: Sequence[Json]) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(name: str, actions: Iterable[str]) -> Json:
    return {"Sid": name, "Effect": "Allow", "Action": sorted(actions), "Resource": "*"}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("-", "_").split("_"))


def _size(policy: Json) -> int:
    return len("".join(_json(policy).split()))


# --- schemas -----------------------------------------------------------------------------------


def schemas() -> dict[str, Json]:
    """JSON Schemas of what people write and scripts read."""
    journal: TypeAdapter[Any] = TypeAdapter(Line)
    return {
        "policy": {**PolicyFile.model_json_schema(), "title": "Decision policy of Keysweep"},
        "plan": {**Plan.model_json_schema(mode="serialization"), "title": "Plan of Keysweep"},
        "key_references": {
            **ReferenceList.model_json_schema(),
            "title": "Reference list of Keysweep",
        },
        "journal-line": {
            **journal.json_schema(mode="serialization"),
            "title": "Line of a journal of Keysweep",
        },
    }


# --- pages -------------------------------------------------------------------------------------

_GENERATED: Final = (
    "<!-- Generated by python -m keysweep.remediation.documents: do not edit. -->\n\n"
)

_COSTS: Final = {
    Cost.FREE: "nothing is asked",
    Cost.DESCRIBE: "one DescribeKey a key",
    Cost.KEY_CALL: "one fast call a key, or one listing an account and Region",
    Cost.PLACE_SCAN: "many listings, once an account and Region",
    Cost.EVENT_NAME: "CloudTrail by event name: a few pages an account and Region, 2 a second",
    Cost.STACK: "one DescribeStackResources a key, 20 a second",
    Cost.LAST_USE: "one GetKeyLastUsage a key, 5 a second",
    Cost.EVENT_KEY: "CloudTrail by key: one page or more a key, 2 a second",
}


def rules_page() -> str:
    """Why each rule holds, what it needs, and how to clear it; cheapest first."""
    page = _GENERATED + (
        "# Rules\n\n"
        "A key is scheduled only when no rule holds it. A rule also holds when its evidence cannot "
        "be read: not knowing is never a no. The cheapest evidence comes first, and nothing dearer "
        "is asked about a key that is already held, unless you say `--explain`.\n\n"
        "Any rule can be lifted for a key until a day, with a reason, under `accept` in the "
        "[decision policy](../policies/retirement.yaml). One hold no waiver lifts: "
        "`unreadable-key`, for a key that DescribeKey does not show.\n\n"
        "| rule | needs | costs |\n|---|---|---|\n"
    )
    ordered = sorted(RULES, key=lambda rule: (_dearest(rule), rule.id))
    for rule in ordered:
        needs = ", ".join(piece.replace("_", " ") for piece in rule.needs) or "nothing"
        page += f"| [{rule.id}](#{rule.id}) | {needs} | {_COSTS[_dearest(rule)]} |\n"
    for rule in ordered:
        permissions = sorted(
            {p for piece in rule.needs if piece != "references" for p in need(piece).permissions}
        )
        listed = ", ".join(f"`{permission}`" for permission in permissions) or "none"
        if "references" in rule.needs:
            listed = "those of the [reference list](references.md)"
        page += (
            f"\n## {rule.id}\n\n{rule.sentence}\n\n"
            f"*How to clear it.* {rule.clears}\n\n"
            f"*Permissions.* {listed}\n"
        )
    return page


def _dearest(rule: Rule) -> Cost:
    return max((SOURCES[piece].cost for piece in rule.needs), default=Cost.FREE)


_ABOUT: Final = {
    "plan": "Everything that `keysweep plan` reads, but for the resources that name a key.",
    "references": "The resources that name a key (rule `in-use`), in parts, since one policy "
    "would be too large. Attach all of them for `plan` and `apply`. What you leave out is a gap, "
    "which holds every key until the decision policy accepts it.",
    "lake": "What `--cloudtrail-lake` asks in place of the event history, in the store's account.",
    "results-bucket": "What RESULTS of `s3://bucket/prefix` need, in the account of the given "
    f"credentials. Write your bucket's name for `{YOUR_BUCKET}`, and the account of its key for "
    f"`{YOUR_ACCOUNT}`, or leave `DecryptResults` out where no KMS key encrypts it.",
    "apply": "What `keysweep apply` needs: it reads each key again, schedules, and can always "
    "undo; `LookForAlarms` is for its remark where nothing watches the keys. AWS itself refuses "
    "here what carries the protected tag.",
    "guard": "What `keysweep guard` needs, beside the documents for references. `ListKeys` is for "
    "`--all`, and `TagResource`, for the protected tag alone, for `--keep`.",
    "cancel": "What `keysweep cancel`, `status` and `mutelist` need. `EnableKey` is for "
    "`--enable`, and `TagResource`, for the protected tag alone, is for `--keep`.",
    "organization-guardrail": "A service control policy for the whole organisation, Keysweep or "
    "not: the whole waiting period, no key that was used lately, no protected key.",
}


def permissions_page() -> str:
    """Which document allows what, and which call needs which action."""
    page = _GENERATED + (
        "# Permissions\n\n"
        "The documents below are made from what rules, sources and writes declare, so that they "
        "allow what Keysweep calls and nothing else. They are in the folder that "
        "`keysweep path policies` prints, under `iam/`.\n\n"
        "The key policy of a key comes first: IAM policies count only where it lets the account "
        "govern the key. `--role-name` needs `sts:AssumeRole` on that role in each account.\n\n"
        "| document | for |\n|---|---|\n"
    )
    policies = iam_policies()
    for name, about in _ABOUT.items():
        files = [file for file in policies if file == name or file.startswith(f"{name}-")]
        linked = ", ".join(f"[{file}.json](../policies/iam/{file}.json)" for file in files)
        page += f"| {linked} | {about} |\n"
    page += (
        "\n## In every account of an organization\n\n"
        "[member-roles.yaml](../policies/stacksets/member-roles.yaml) is a CloudFormation template "
        "with a role for each task, made of the same documents: "
        "[many accounts](many-accounts.md#roles-in-every-account) says how to install it.\n\n"
        "| role | documents |\n|---|---|\n"
    )
    for role, parts in ROLES.items():
        page += f"| `{role}` | {', '.join(parts)} |\n"
    page += "\n## Reads\n\n| evidence | costs | actions |\n|---|---|---|\n"
    for source in sorted(SOURCES.values(), key=lambda source: (source.cost, source.piece)):
        actions = ", ".join(f"`{action}`" for action in sorted(source.permissions))
        if source.piece == "references":
            actions = "those of the documents for references"
        page += f"| {source.piece.replace('_', ' ')} | {_COSTS[source.cost]} | {actions} |\n"
    page += "\n## Writes\n\n| operation | action | in these key states alone |\n|---|---|---|\n"
    for operation in _writes():
        states = ", ".join(sorted(operation.from_states))
        page += f"| {operation.name} | `{operation.permission}` | {states} |\n"
    return page


def _writes() -> tuple[Operation, ...]:
    return SCHEDULE, CANCEL, ENABLE, TAG


def _json(document: Json) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _yaml(document: Json) -> str:
    """In half the size of indented JSON, which CloudFormation limits."""
    made = "# Generated by python -m keysweep.remediation.documents: do not edit.\n"
    return made + yaml.safe_dump(document, sort_keys=False, width=100)


def main(arguments: Sequence[str]) -> None:
    """Write every document into a checkout; those that are no longer made are removed."""
    (root,) = map(Path, arguments)
    made = documents()
    for folder in ("policies/iam", "policies/schemas"):
        for path in (root / folder).glob("*.json"):
            if f"{folder}/{path.name}" not in made:
                path.unlink()
    for name, text in made.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
