"""Settings of all tests, in whichever scanner's environment they run."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("hypothesis"):
    from hypothesis import settings

    # How long an example takes is the machine's business: speed is measured in benchmarks/.
    settings.register_profile("keysweep", deadline=None, print_blob=True)
    settings.load_profile("keysweep")
