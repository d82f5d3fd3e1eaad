"""The light AWS itself: it must stay well above what is measured with it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Final

from .aws import Aws
from .scenario import OWN, REGIONS, Scenario
from .table import Row

_ARN: Final = next(Scenario(1, 1, 1).arns())
_BODY: Final = json.dumps({"KeyId": _ARN}).encode()
_REQUEST: Final = (
    f"POST / HTTP/1.1\r\nHost: kms\r\nX-Amz-Target: TrentService.DescribeKey\r\n"
    f"Authorization: AWS4-HMAC-SHA256 Credential=AKIA{OWN}/20260101/{REGIONS[0]}/kms/aws4_request, "
    f"SignedHeaders=host, Signature=0\r\nContent-Length: {len(_BODY)}\r\n\r\n"
).encode() + _BODY


def measure(runs: int, quick: bool) -> list[Row]:
    """Measure the rows. `quick`: a tenth of the requests."""
    del runs
    requests = 2_000 if quick else 20_000
    rows = []
    with Aws() as aws:
        for latency, connections in ((0.0, 64), (0.04, 1_000)):
            aws.set_up(Scenario(1, 1, 1), latency=latency)
            took = asyncio.run(_ask(aws.port, connections, requests // connections))
            counts = aws.counts()
            answered = sum(counts.requests.values())
            rows.append(
                Row(
                    f"answers at {latency * 1000:.0f} ms to {connections:,} connections, from a "
                    "client in Python on the same machine",
                    answered,
                    f"{answered / took:,.0f}/s, {counts.most_in_flight:,} in flight",
                )
            )
    return rows


async def _ask(port: int, connections: int, each: int) -> float:
    """Seconds in which so many connections get so many answers each."""
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(each):
            writer.write(_REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)

    begun = time.monotonic()
    await asyncio.gather(*(one(*pair) for pair in pairs))
    took = time.monotonic() - begun
    for _, writer in pairs:
        writer.close()
    return took
