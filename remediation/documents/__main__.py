"""`python -m keysweep.remediation.documents FOLDER`: write every document into a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from . import write

write(Path(sys.argv[1]))
