"""The live clock. Wall time for tariffs and records, the monotonic clock for everything that is measured in seconds."""

import asyncio
import time
from datetime import UTC, datetime

from station.clock import Instant


class LiveClock:
    """Real time. The wall clock may jump; the monotonic one does not follow it."""

    speed = 1.0

    def now(self) -> Instant:
        """Return the present instant."""
        return Instant(datetime.now(UTC), time.monotonic())

    async def sleep_until(self, mono_s: float) -> None:
        """Return when the monotonic clock has reached ``mono_s``; others always get a turn."""
        await asyncio.sleep(max(mono_s - time.monotonic(), 0.0))

    def hold_until(self, mono_s: float) -> None:
        """Do nothing: real time waits for nobody."""
