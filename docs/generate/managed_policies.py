"""`python docs/generate/managed_policies.py`: write the table of AWS managed policies anew.

Needs moto, which ships AWS's policy documents.
"""

from __future__ import annotations

import json

import moto
from moto.iam.aws_managed_policies import aws_managed_policies_data

from documents.iam import read_actions
from documents.managed_policies import TABLE, table

TABLE.write_text(
    table(f"moto {moto.__version__}", json.loads(aws_managed_policies_data), read_actions()),
    encoding="utf-8",
)
