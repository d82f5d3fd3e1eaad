"""`python -P -m embedded_aws [--scenario FILE]`: start a server, print one JSON line, serve."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from . import scenario as schema
from .gateway import Gateway
from .server import Server
from .world import World


def main() -> int:
    """Start, say where, serve until SIGTERM, SIGINT or the end of the parent."""
    parser = argparse.ArgumentParser(prog="embedded_aws", description=__doc__)
    parser.add_argument("--scenario", type=Path, help="YAML file; without it one empty account")
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one")
    parser.add_argument("--quotas", action="store_true", help="throttle as AWS does")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when stdin is closed")
    options = parser.parse_args()
    try:
        content = schema.load(options.scenario) if options.scenario else schema.parse(schema.EMPTY)
        world = World(content, options.quotas)
    except (OSError, ValueError) as error:
        print(f"{options.scenario}: {error}", file=sys.stderr)
        return 2
    server = Server(Gateway(world), options.port)
    ready_line, sys.stdout = sys.stdout, sys.stderr  # moto prints, and the parent reads one line
    try:
        server.gateway.make_resources()
    except ValueError as error:
        print(f"{options.scenario}: {error}", file=sys.stderr)
        return 2

    def stop(*_: int | FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if options.exit_with_parent:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), daemon=True).start()
    ready = {"endpoint": server.endpoint, "pid": os.getpid()}
    print(json.dumps(ready), file=ready_line, flush=True)
    server.serve_forever(poll_interval=0.05)
    server.gateway.world.tasks.end()
    return 0


def _wait_for_end_of_stdin(stop: Callable[[], None]) -> None:
    while os.read(0, 4096):  # not through sys.stdin, whose lock would disturb the interpreter's end
        pass
    stop()


if __name__ == "__main__":
    sys.exit(main())
