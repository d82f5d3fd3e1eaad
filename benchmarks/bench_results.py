"""Results files: reading OCSF of all checks, one record in a thousand ours.

Seconds are CPU time of the reading alone, measured inside the process; memory is the peak of the
whole process. Keysweep does everything that `plan` does with a file: it also computes the digest
and checks that nothing is truncated. The other readers only parse and select the same records.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from . import ocsf
from .environments import program, version
from .process import Failed, Run, interleaved, middle, run
from .table import Row, megabytes

MEGABYTE: Final = 1_000_000

LEAST_MB_A_SECOND: Final = 150
MOST_MB: Final = 300
MOST_GROWTH: Final = 1.2
"""Largest ratio of seconds per megabyte between the largest and the smallest file."""

_OURS: Final = """
import io, json, sys, time
from keysweep.remediation.findings import read_results
begun = time.process_time()
found = len(read_results([sys.argv[1]], io.BytesIO()).findings)
print(json.dumps([found, time.process_time() - begun]))
"""

_PEER: Final = """
import json, sys, time
{imports}
path, check = sys.argv[1:]
begun = time.process_time()
{read}
print(json.dumps([found, time.process_time() - begun]))
"""


class _Reader(NamedTuple):
    library: str
    imports: str
    read: str
    remark: str = ""


_PICK: Final = "found = sum(record['metadata']['event_code'] == check for record in records)"

_READERS: Final = (
    _Reader(
        "msgspec",
        """
import msgspec
class Metadata(msgspec.Struct):
    event_code: str = ""
class Head(msgspec.Struct):
    metadata: Metadata
decode = msgspec.json.Decoder(list[Head]).decode""",
        """
with open(path, "rb") as file:
    records = decode(file.read())
found = sum(record.metadata.event_code == check for record in records)""",
        "one typed field",
    ),
    _Reader(
        "msgspec",
        "import msgspec",
        f"""
with open(path, "rb") as file:
    records = msgspec.json.decode(file.read())
{_PICK}""",
        "everything",
    ),
    _Reader(
        "orjson",
        "import orjson",
        f"""
with open(path, "rb") as file:
    records = orjson.loads(file.read())
{_PICK}""",
        "everything",
    ),
    _Reader(
        "pysimdjson",
        "import simdjson",
        f"""
with open(path, "rb") as file:
    records = simdjson.Parser().parse(file.read())
{_PICK}""",
        "lazily",
    ),
    _Reader(
        "json",
        "",
        f"""
with open(path, "rb") as file:
    records = json.load(file)
{_PICK}""",
        "standard library, everything",
    ),
    _Reader(
        "ijson",
        "import ijson.backends.yajl2_c as ijson",
        f"""
with open(path, "rb") as file:
    records = ijson.items(file, "item")
    {_PICK}""",
        "in a stream, in C",
    ),
)


class _Taken(NamedTuple):
    found: int
    cpu: float
    rss: float


def versions() -> dict[str, str]:
    """Versions of the measured readers."""
    libraries = {reader.library for reader in _READERS} - {"json"}
    return {"keysweep": version("command", "keysweep")} | {
        name: version("bench-readers", name) for name in libraries
    }


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure Keysweep on growing files, and all readers on a file that each can hold in memory."""
    sizes = (10, 30, 100) if quick else (10, 100, 1000)
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder, f"{size}.ocsf.json") for size in sizes}
        ours_in = {size: ocsf.write(file, size * MEGABYTE) for size, file in files.items()}
        beside = sizes[0] if quick else sizes[1]
        return [
            *_growing(runs, files, ours_in),
            *_beside(runs, files[beside], ours_in[beside]),
        ]


def _growing(runs: int, files: dict[int, Path], ours_in: dict[int, int]) -> list[Row]:
    taken = interleaved(runs, *(partial(_ours, file) for file in files.values()))
    cost = {}
    rows = []
    for (size, file), of_size in zip(files.items(), taken, strict=True):
        answer = [_taken(one.out, one.rss, ours_in[size]) for one in of_size]
        length = file.stat().st_size / MEGABYTE
        cost[size] = median(one.cpu for one in answer) / length
        rate, rss = 1 / cost[size], middle(of_size, lambda one: one.rss)
        largest = size == max(files)
        rows.append(
            Row(
                f"`read_results`, {size} MB",
                ours_in[size] * ocsf.BLOCK,
                f"{rate:.0f} MB/s, {megabytes(rss)}",
                target=f">= {LEAST_MB_A_SECOND} MB/s, <= {MOST_MB} MB" if largest else "",
                met=(rate >= LEAST_MB_A_SECOND and rss <= MOST_MB) if largest else None,
            )
        )
    growth = cost[max(files)] / cost[min(files)]
    rows.append(
        Row(
            f"seconds a megabyte: {max(files)} MB over {min(files)} MB",
            None,
            f"{cost[max(files)] * 1000:.2f} ms",
            peer=f"{cost[min(files)] * 1000:.2f} ms",
            ratio=growth,
            target=f"<= {MOST_GROWTH}",
            met=growth <= MOST_GROWTH,
        )
    )
    return rows


def _beside(runs: int, file: Path, ours_in: int) -> list[Row]:
    length = file.stat().st_size / MEGABYTE
    ours, *peers = (
        [_taken(one.out, one.rss, ours_in) for one in runs_of_one]
        for runs_of_one in interleaved(
            runs, partial(_ours, file), *(partial(_peer, reader, file) for reader in _READERS)
        )
    )
    our_rate = length / median(one.cpu for one in ours)
    our_rss = median(one.rss for one in ours)
    rows = []
    for reader, answer in zip(_READERS, peers, strict=True):
        rate = length / median(one.cpu for one in answer)
        rows.append(
            Row(
                f"{length:.0f} MB beside {reader.library} ({reader.remark})",
                ours_in * ocsf.BLOCK,
                f"{our_rate:.0f} MB/s, {megabytes(our_rss)}",
                peer=f"{rate:.0f} MB/s, {megabytes(median(one.rss for one in answer))}",
                ratio=our_rate / rate,
            )
        )
    return rows


def _ours(file: Path) -> Run:
    return run([program("command", "python"), "-P", "-c", _OURS, file])


def _peer(reader: _Reader, file: Path) -> Run:
    code = _PEER.format(imports=reader.imports, read=reader.read)
    return run([program("bench-readers", "python"), "-P", "-c", code, file, ocsf.OURS])


def _taken(out: str, rss: float, expected: int) -> _Taken:
    """Figures that a process printed. Raises Failed unless it found every record."""
    found, cpu = json.loads(out)
    if found != expected:
        raise Failed(f"{found} records of {ocsf.OURS} were found, and there are {expected}")
    return _Taken(found, cpu, rss)
