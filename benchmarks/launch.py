"""Run one command and write its time and memory: python -I -S launch.py REPORT COMMAND...

This is a process of its own because Linux counts the parent's memory at the fork as the child's
("getrusage(2)", ru_maxrss), and the measuring process may hold a plan of hundreds of megabytes. It
imports little, so that it adds at most 10 MB.
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
