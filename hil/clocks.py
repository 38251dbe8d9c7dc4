"""Clocks of station time for rigs and tests. Each belongs to one asyncio loop.

Station time starts at 0 monotonic seconds and at ``start_at`` on the wall, which may lie in another year.
"""

import asyncio
from datetime import datetime
from heapq import heappop, heappush
from itertools import count

from station.clock import Instant

INFINITE_S = float("inf")
_EPSILON_S = 1e-9


class Sleepers:
    """Those who wait for an instant; they wake in its order, and equals in the order of their coming."""

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()

    @property
    def next_s(self) -> float:
        """Return the instant for which the first of them waits, infinite where nobody does."""
        while self._queue and self._queue[0][2].done():
            heappop(self._queue)
        return self._queue[0][0] if self._queue else INFINITE_S

    def add(self, mono_s: float) -> asyncio.Future[None]:
        """Return a future that is done once ``wake`` has reached ``mono_s``."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._queue, (mono_s, next(self._numbers), future))
        return future

    def wake(self, mono_s: float) -> None:
        """Wake all who wait for ``mono_s`` or an instant before it."""
        while self.next_s <= mono_s + _EPSILON_S:
            heappop(self._queue)[2].set_result(None)


class ScaledClock:
    """Real time times ``speed``, but never beyond what ``hold_until`` permits.

    The control loop permits one cycle after the other, so ``speed`` is a ceiling: when the loop is late, station time
    waits for it and what was waited is not caught up. Make it inside the running loop.
    """

    def __init__(self, start_at: datetime, speed: float) -> None:
        if not speed > 0.0:
            raise ValueError(f"a speed of {speed}")
        self.speed = speed
        self._start_at = start_at
        self._loop = asyncio.get_running_loop()
        self._read_at_s = self._loop.time()
        self._mono_s = 0.0
        self._held_s = INFINITE_S
        self._sleepers = Sleepers()
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> Instant:
        """Return the present instant in station time."""
        return Instant(self._start_at, 0.0).later(self._read())

    def hold_until(self, mono_s: float) -> None:
        """Let station time run until ``mono_s`` and stand there until a later instant is permitted."""
        self._held_s = max(mono_s, self._read())
        self._arm()

    def release(self) -> None:
        """Let station time run freely again."""
        self.hold_until(INFINITE_S)

    async def sleep_until(self, mono_s: float) -> None:
        """Return when station time has reached ``mono_s``; others always get a turn."""
        if mono_s <= self._read():
            await asyncio.sleep(0)
            return
        future = self._sleepers.add(mono_s)
        self._arm()
        await future

    def _read(self) -> float:
        real_s = self._loop.time()
        self._mono_s = min(self._mono_s + (real_s - self._read_at_s) * self.speed, self._held_s)
        self._read_at_s = real_s
        return self._mono_s

    def _arm(self) -> None:
        """Set the one timer for the first sleeper; none while the clock would stand before it is reached."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        next_s = self._sleepers.next_s
        if next_s <= self._held_s and next_s < INFINITE_S:
            wait_s = (next_s - self._read()) / self.speed
            self._timer = self._loop.call_later(max(wait_s, 0.0), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._sleepers.wake(self._read())
        self._arm()


class WallClock(ScaledClock):
    """Real time, only moved to ``start_at``. Nothing holds it."""

    def __init__(self, start_at: datetime) -> None:
        super().__init__(start_at, 1.0)

    def hold_until(self, mono_s: float) -> None:
        """Do nothing: real time waits for nobody."""


class VirtualClock:
    """Time that passes only in ``run_until``: for tests, and for the whole application in virtual time."""

    speed = INFINITE_S

    def __init__(self, start_at: datetime) -> None:
        self._start_at = start_at
        self._mono_s = 0.0
        self._sleepers = Sleepers()

    def now(self) -> Instant:
        """Return the present instant in station time."""
        return Instant(self._start_at, 0.0).later(self._mono_s)

    async def sleep_until(self, mono_s: float) -> None:
        """Return when ``run_until`` has reached ``mono_s``."""
        if mono_s <= self._mono_s:
            await asyncio.sleep(0)
            return
        await self._sleepers.add(mono_s)

    async def run_until(self, mono_s: float, turns: int = 20) -> None:
        """Let time pass until ``mono_s``: jump to one sleeper after the other and give everybody ``turns`` turns."""
        await _take_turns(turns)
        while self._sleepers.next_s <= mono_s:
            self._mono_s = max(self._sleepers.next_s, self._mono_s)
            self._sleepers.wake(self._mono_s)
            await _take_turns(turns)
        self._mono_s = max(mono_s, self._mono_s)


async def _take_turns(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
