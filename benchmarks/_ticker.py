"""Ticks every 0.1 s in a process of its own, until its standard input ends: how late the machine itself makes anyone.

``python -m benchmarks._ticker`` prints the lateness of each tick in ms as a JSON list.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

TICK_S = 0.1


@asynccontextmanager
async def ticking(late_ms: list[float]) -> AsyncIterator[None]:
    """Note by how much each tick of 0.1 s of this event loop is late, in ms."""
    task = asyncio.create_task(_tick(late_ms))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _tick(late_ms: list[float]) -> None:
    due_s = monotonic() + TICK_S
    while True:
        await asyncio.sleep(max(due_s - monotonic(), 0.0))
        late_ms.append(max(monotonic() - due_s, 0.0) * 1000.0)
        due_s += TICK_S


async def _main() -> None:
    late_ms: list[float] = []
    async with ticking(late_ms):
        await asyncio.to_thread(sys.stdin.read)
    sys.stdout.write(json.dumps(late_ms))


if __name__ == "__main__":
    asyncio.run(_main())
