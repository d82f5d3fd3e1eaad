"""Documents made from the code: IAM policies, JSON Schemas, reference pages.

Rules, sources and writes declare what they need, so nothing is listed a second time. A test
compares the files with what is made here; `python docs/generate .` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from keysweep.remediation.evidence.references.entries import reference_list
from ledger.accounts import ledger

from .figures import figures_part
from .formatting import GENERATED, json_text, yaml_text
from .iam import iam_policies, region_deny_exemption
from .member_roles import template
from .pages import pages
from .references_page import references_page, unseen_part
from .rules_and_permissions import permissions_page, rules_page
from .schemas import schemas

_LIMITS: Final = Path(__file__).parents[2] / "what-cannot-be-proven.md"
"""Written by hand, but for one part."""

_FIGURES: Final = Path(__file__).parents[2] / "figures.json"
"""Written by `make figures`."""

_RELIABILITY: Final = Path(__file__).parents[2] / "reliability.md"
"""Written by hand, but for one part."""


def documents() -> Mapping[str, str]:
    """Every generated file, by its path in the repository."""
    return {
        **{
            f"policies/iam/{name}.json": json_text(policy)
            for name, policy in iam_policies().items()
        },
        **{
            f"policies/schemas/{name}.schema.json": json_text(schema)
            for name, schema in schemas().items()
        },
        "policies/organizations/region-deny-exemption.json": json_text(region_deny_exemption()),
        "policies/stacksets/member-roles.yaml": yaml_text(template(iam_policies())),
        **pages(schemas()),
        "docs/rules.md": rules_page(),
        "docs/permissions.md": permissions_page(),
        "docs/references.md": GENERATED + references_page(reference_list(), ledger()),
        "docs/reliability.md": figures_part(_RELIABILITY.read_text("utf-8"), _FIGURES),
        "docs/what-cannot-be-proven.md": unseen_part(_LIMITS.read_text("utf-8"), ledger()),
    }


def write(root: Path) -> None:
    """Write every document into a checkout; delete those no longer made."""
    made = documents()
    for folder in ("policies/iam", "policies/organizations", "policies/schemas"):
        for path in (root / folder).glob("*.json"):
            if f"{folder}/{path.name}" not in made:
                path.unlink()
    for name, text in made.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
