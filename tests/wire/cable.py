"""A serial cable without a port: two pseudo terminals with their far sides joined."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Cable:
    """Two ends that programs open as serial ports; ``cut`` lets nothing through."""

    ends: tuple[str, str]
    cut: bool = False
    carried: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def cable() -> AsyncIterator[Cable]:
    """Join two ends for the body."""
    loop = asyncio.get_running_loop()
    pairs = [os.openpty(), os.openpty()]
    for _, end in pairs:
        tty.setraw(end)
    joined = Cable((os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])))

    def carry(source: int, target: int) -> None:
        data = os.read(source, 4096)
        if not joined.cut:
            joined.carried.append(data)
            os.write(target, data)

    near, far = pairs[0][0], pairs[1][0]
    loop.add_reader(near, carry, near, far)
    loop.add_reader(far, carry, far, near)
    try:
        yield joined
    finally:
        for master, end in pairs:
            loop.remove_reader(master)
            os.close(master)
            os.close(end)
