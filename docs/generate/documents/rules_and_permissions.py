"""rules.md and permissions.md, from the rules, the sources and the writes."""

from __future__ import annotations

from typing import Final

from keysweep.remediation.evidence import SOURCES
from keysweep.remediation.models import Cost
from keysweep.remediation.policy import Policy
from keysweep.remediation.policy_values import MAX_WINDOW_DAYS
from keysweep.remediation.policy_view import need
from keysweep.remediation.rules import RULES, Rule
from keysweep.remediation.write import CANCEL, ENABLE, SCHEDULE, TAG, Operation

from .formatting import GENERATED
from .iam import YOUR_ACCOUNT, YOUR_BUCKET, iam_policies, missing_from, read_actions
from .managed_policies import ROLES_PEOPLE_HAVE, facts
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
        "expensive about a key that is already on hold, unless you pass `--explain`. Where "
        "many account-Regions wait to be scanned for references, up to 32 keys of each are read "
        "on meanwhile, since CloudTrail answers two requests a second.\n\n"
        "To lift a rule for a key until a date, add an entry with a reason to `exceptions` in the "
        "[decision policy](../policies/retirement.yaml). No exception lifts `unreadable-key`, for "
        "a key that DescribeKey does not return, `not-asked`, for a key that a run did not "
        "reach, or `next-wave`, for a key that [only `max_keys` "
        "holds](why-keys-are-held.md#waves).\n\n"
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
    "plan": "Everything that `keysweep plan` reads, except the resources that name a key. Also for "
    "`status` and `mutelist`, which need no more than `DescribeKey`.",
    "references": "The resources that name a key (rule `in-use`), split because one "
    "policy would be too large. Attach all of them for `plan` and `apply`. What you leave out is a "
    "coverage gap, which holds every key until the decision policy has an exception.",
    "read-only-access-extra": "Attach it with the AWS managed policy `ReadOnlyAccess`, in place of "
    "the documents for plan and references. See [below](#roles-that-you-already-have).",
    "history": "For `--history`, in the account of the given credentials. Replace `WORKGROUP`, "
    f"`DATABASE`, `TABLE`, `{YOUR_ACCOUNT}`, the trail's bucket `{YOUR_BUCKET}`, and the bucket of "
    f"query results `{YOUR_BUCKET}-results`. See [history](history.md).",
    "results-bucket": "For RESULTS in `s3://bucket/prefix`, in the account of the given "
    f"credentials. Replace `{YOUR_BUCKET}` with the name of your bucket and `{YOUR_ACCOUNT}` with "
    "the account of its KMS key. Remove `DecryptResults` if no KMS key encrypts it.",
    "journal-bucket": "For `--journal s3://bucket/prefix/`, in the account of the given "
    f"credentials. Replace `{YOUR_BUCKET}` and `{YOUR_ACCOUNT}`. Commands that only read the "
    "journal (`plan`, `status`, `mutelist`) need `ListLines` and `ReadLines`. Nothing may delete "
    "or replace a line. Remove `UseKeyOfBucket` if no KMS key encrypts the bucket. See "
    "[scheduled jobs](scheduling.md#the-journal-in-a-bucket).",
    "apply": "For `keysweep apply`, which reads each key again and schedules its deletion. It "
    "always includes the permission to cancel. `LookForAlarms` is for the note when no alarm "
    "watches the keys. The policy denies scheduling keys with the protected tag.",
    "guard": "For `keysweep guard`, together with the documents for references; alone, for "
    "`keysweep journal rebuild`. `ListKeys` is for `--all`, and for a rebuild without a plan. "
    "`TagResource`, limited to the protected tag, is for `--keep`.",
    "cancel": "For `keysweep cancel`. `EnableKey` is for `--enable`. "
    "`TagResource`, limited to the protected tag, is for `--keep`.",
    "organization-guardrail": "A service control policy for the whole organization, with or "
    f"without Keysweep. It denies every principal a waiting period below {MAX_WINDOW_DAYS} days, "
    f"and the deletion of keys used within {Policy().min_days_unused} days or with the protected "
    "tag, in every account under its target. Attach it to a test account first "
    "(`aws organizations create-policy --type SERVICE_CONTROL_POLICY`, then `attach-policy`).",
}


def permissions_page() -> str:
    """Which document allows what, and which call needs which action."""
    page = GENERATED + (
        "# Permissions\n\n"
        "For anyone who grants Keysweep access. The documents below are generated from the calls "
        "that Keysweep declares, and allow nothing else. They are under `iam/` in the folder that "
        "`keysweep path policies` prints.\n\n"
        "IAM policies apply to a key only if its key policy delegates to IAM in the account. "
        "`--role-name` needs `sts:AssumeRole` on that role in each account, except the account in "
        "which Keysweep runs, where it uses the given credentials. The documents name the tag "
        f"`{Policy().protected_tag}`: if your decision policy has another `protected_tag`, change "
        "it there too. In GovCloud and China, [ARNs begin differently]"
        "(control-tower-govcloud-china.md).\n\n"
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
        "with a role for each task, made from the same documents. To install it, see "
        "[many accounts](many-accounts.md#roles-in-every-account).\n\n"
        "| role | documents |\n|---|---|\n"
    )
    for role, parts in ROLES.items():
        page += f"| `{role}` | {', '.join(parts)} |\n"
    page += (
        "\nIf a policy of the organization denies Regions, "
        "[region-deny-exemption.json](../policies/organizations/region-deny-exemption.json) "
        "[exempts the roles](control-tower-govcloud-china.md"
        "#exempt-the-roles-from-a-policy-that-denies-regions) that read references.\n"
    )
    page += _roles_people_have()
    page += "\n## Reads\n\n| evidence | costs | actions |\n|---|---|---|\n"
    for source in sorted(SOURCES.values(), key=lambda source: (source.cost, source.piece)):
        actions = ", ".join(f"`{action}`" for action in sorted(source.permissions))
        if source.piece == "references":
            actions = "those of the documents for references"
        page += f"| {source.piece.replace('_', ' ')} | {_COSTS[source.cost]} | {actions} |\n"
    page += "\n## Writes\n\n| operation | action | only in these key states |\n|---|---|---|\n"
    for operation in _writes():
        states = ", ".join(sorted(operation.from_states))
        page += f"| {operation.name} | `{operation.permission}` | {states} |\n"
    return page


def _roles_people_have() -> str:
    """What the roles that many accounts already have lack."""
    known = facts()
    versions = ", ".join(
        f"`{name}` {version} ({updated})" for name, (version, updated) in known.versions.items()
    )
    lacking = {
        " and ".join(f"`{name}`" for name in names): missing_from(role)
        for role, names in ROLES_PEOPLE_HAVE.items()
    }
    page = (
        "\n## Roles that you already have\n\n"
        f"`plan` needs {len(read_actions())} actions. The documents for plan and references allow "
        "all of them and need no AWS managed policy. If a role with AWS managed policies already "
        "exists, add what it lacks:\n\n"
        "| role | actions missing | attach also |\n|---|---|---|\n"
    )
    for role, actions in lacking.items():
        page += f"| {role} | {len(actions)} | {_attach(role)} |\n"
    page += (
        "\nProwler asks for `SecurityAudit` and `ViewOnlyAccess`. `ReadOnlyAccess` can also read "
        "data, such as objects in S3, which Keysweep does not need.\n\n"
        f"These facts are of {versions}, as published in {known.source}. An action counts as "
        "missing unless a policy allows it on every resource without conditions. AWS changes these "
        "policies. The plan names each action that a role lacks.\n\n"
        "The actions that each role lacks:\n\n"
        f"| service | {' | '.join(lacking)} |\n"
        f"|---|{'---|' * len(lacking)}\n"
    )
    for service in sorted({action.split(":")[0] for one in lacking.values() for action in one}):
        cells = (
            ", ".join(a.split(":")[1] for a in one if a.startswith(f"{service}:"))
            for one in lacking.values()
        )
        page += f"| `{service}` | {' | '.join(cells)} |\n"
    return page


def _attach(role: str) -> str:
    if role == "`ReadOnlyAccess`":
        return "read-only-access-extra"
    return "plan, references"


def _writes() -> tuple[Operation, ...]:
    return SCHEDULE, CANCEL, ENABLE, TAG
