"""The pages of the docs that rules, sources and writes make: rules.md and permissions.md."""

from __future__ import annotations

from typing import Final

from keysweep.remediation.evidence import SOURCES
from keysweep.remediation.models import Cost
from keysweep.remediation.policy import MAX_WINDOW_DAYS, Policy
from keysweep.remediation.policy_view import need
from keysweep.remediation.rules import RULES, Rule
from keysweep.remediation.write import CANCEL, ENABLE, SCHEDULE, TAG, Operation

from .formatting import GENERATED
from .iam import YOUR_ACCOUNT, YOUR_BUCKET, iam_policies
from .member_roles import ROLES

_COSTS: Final = {
    Cost.FREE: "no call",
    Cost.DESCRIBE: "one DescribeKey for each key",
    Cost.KEY_CALL: "one fast call for each key, or one listing for each account-Region",
    Cost.ACCOUNT_REGION_SCAN: "many listings for each account-Region",
    Cost.EVENT_NAME: "CloudTrail by event name: a few pages for each account-Region, 2 a second",
    Cost.STACK: "one DescribeStackResources for each key, 20 a second",
    Cost.LAST_USE: "one GetKeyLastUsage for each key, 5 a second",
    Cost.EVENT_KEY: "CloudTrail by key: one or more pages for each key, 2 a second",
}


def rules_page() -> str:
    """Why each rule holds, what it needs, and how to clear it; cheapest first."""
    page = GENERATED + (
        "# Rules\n\n"
        "This page is for anyone who wants to know why a key is on hold.\n\n"
        "Keysweep schedules a key only if no rule holds it. A rule also holds a key if its "
        "evidence could not be read. Keysweep reads the cheapest evidence first, and nothing more "
        "expensive about a key that is already on hold, unless you pass `--explain`.\n\n"
        "To lift a rule for a key until a date, add an entry with a reason to `exceptions` in the "
        "[decision policy](../policies/retirement.yaml). No exception lifts `unreadable-key`, for "
        "a key that DescribeKey does not return, or `not-asked`, for a key that a run did not "
        "reach.\n\n"
        "| rule | needs | cost |\n|---|---|---|\n"
    )
    ordered = sorted(RULES, key=lambda rule: (_most_expensive(rule), rule.id))
    for rule in ordered:
        needs = ", ".join(piece.replace("_", " ") for piece in rule.needs) or "nothing"
        page += f"| [{rule.id}](#{rule.id}) | {needs} | {_COSTS[_most_expensive(rule)]} |\n"
    for rule in ordered:
        permissions = sorted(
            {p for piece in rule.needs if piece != "references" for p in need(piece).permissions}
        )
        listed = ", ".join(f"`{permission}`" for permission in permissions) or "none"
        if "references" in rule.needs:
            listed = "those of the [reference list](references.md)"
        page += (
            f"\n## {rule.id}\n\n{rule.sentence}\n\n"
            f"*Fix.* {rule.clears}\n\n"
            f"*Permissions.* {listed}\n"
        )
    return page


def _most_expensive(rule: Rule) -> Cost:
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
    "organization-guardrail": "A service control policy for the whole organization, Keysweep or "
    "not: the whole waiting period, no key that was used lately, no protected key. With it, "
    f"`pending_window_days` below {MAX_WINDOW_DAYS} and keys used within "
    f"{Policy().min_days_unused} days are denied to everybody, in every account below the one that "
    "it is attached to. Attach it to a test account first "
    "(`aws organizations create-policy --type SERVICE_CONTROL_POLICY`, then `attach-policy`).",
}


def permissions_page() -> str:
    """Which document allows what, and which call needs which action."""
    page = GENERATED + (
        "# Permissions\n\n"
        "The documents below are made from what rules, sources and writes declare, so that they "
        "allow what Keysweep calls and nothing else. They are in the folder that "
        "`keysweep path policies` prints, under `iam/`.\n\n"
        "The key policy of a key comes first: IAM policies count only where it lets the account "
        "govern the key. `--role-name` needs `sts:AssumeRole` on that role in each account but the "
        "one in which Keysweep runs: its keys are reached with the given credentials. The "
        f"documents name the tag `{Policy().protected_tag}`: if your decision policy has another "
        "`protected_tag`, write it into them too.\n\n"
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
