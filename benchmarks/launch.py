"""Runs one command and writes what it took: python -I -S launch.py REPORT COMMAND...

A process of its own, since Linux counts the parent's memory at the fork as the child's
("getrusage(2)", ru_maxrss), and the measuring process may have read a plan of hundreds of
megabytes. Imports only what it needs, so that it adds 10 MB at most.
"""

import json
import os
import sys
import time

_, report, *command = sys.argv
start = time.monotonic()
_, status, usage = os.wait4(os.posix_spawnp(command[0], command, os.environ), 0)
taken = {
    "wall": time.monotonic() - start,
    "cpu": usage.ru_utime + usage.ru_stime,
    "rss": usage.ru_maxrss * 1024 / 1e6,
    "code": os.waitstatus_to_exitcode(status),
}
with open(report, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib would be one more import
    json.dump(taken, file)
