"""Prowler's rules for a check's metadata that its own model does not enforce.

Source: "Check Metadata Guidelines" and "Metadata Structure for Prowler Checks", Prowler's
developer guide.
"""

from __future__ import annotations

import re
from typing import Any


def deviations(metadata: dict[str, Any]) -> set[str]:
    """Return the names of the fields that do not follow the guide."""
    code = metadata["Remediation"]["Code"]
    recommendation = metadata["Remediation"]["Recommendation"]["Text"]
    steps = code["Other"].splitlines()
    follows = {
        "CheckTitle": len(metadata["CheckTitle"]) <= 150
        and not metadata["CheckTitle"].startswith(("Ensure", "Check", "Verify")),
        "SubServiceName": metadata["SubServiceName"] == "",
        "ResourceIdTemplate": metadata["ResourceIdTemplate"] == "",
        "RelatedUrl": metadata["RelatedUrl"] == "",
        "Description": len(metadata["Description"]) <= 400
        and not re.search(
            r"\b(pass|fail)(es|ed|ing|ure)?\b", metadata["Description"], re.IGNORECASE
        ),
        "Risk": len(metadata["Risk"]) <= 400,
        "Categories": metadata["Categories"] == ["encryption"],
        "AdditionalURLs": len(set(metadata["AdditionalURLs"]))
        == len(metadata["AdditionalURLs"])
        > 0,
        "CLI": not re.search(r"[#\n;]|&&", code["CLI"]),
        "NativeIaC": re.fullmatch(r"(```yaml\n.*\n```)?", code["NativeIaC"], re.DOTALL),
        "Terraform": re.fullmatch(r"(```hcl\n.*\n```)?", code["Terraform"], re.DOTALL),
        "Other": [line.partition(". ")[0] for line in steps]
        == [str(number) for number in range(1, len(steps) + 1)]
        and "undo" not in code["Other"].lower(),
        "Recommendation": len(recommendation) <= 400
        and not re.search(r"\d\. |console|`aws |keysweep", recommendation),
    }
    return {field for field, holds in follows.items() if not holds}
