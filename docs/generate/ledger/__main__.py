"""`PYTHONPATH=docs/generate python -P -m ledger`: members that are neither read nor left out.

Prints each, and exits with 1 if there are any: the installed botocore has new ones.
"""

from __future__ import annotations

import sys

from .accounts import ledger

missing = ledger().missing()
print(*missing, sep="\n", end="\n" if missing else "")
sys.exit(bool(missing))
