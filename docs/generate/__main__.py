"""`python docs/generate .`: write every generated document into a checkout."""

from __future__ import annotations

import sys
from pathlib import Path

from documents import write

write(Path(sys.argv[1]))
