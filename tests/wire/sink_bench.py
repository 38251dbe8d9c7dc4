"""A store with waiting messages, a clock that needs no time, and a way to run a sink for as long as a test needs."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from northbound.feed import Feed, Sink
from northbound.rows import AlarmCleared, AlarmRaised
from northbound.store import Store
from station.clock import Instant

START = datetime(2026, 3, 1, tzinfo=UTC)


class QuickClock:
    """Sleeping takes no time and is noted. Where ``is_over`` says so the sleeper never wakes."""

    speed = 1.0

    def __init__(self) -> None:
        self.pauses_s: list[float] = []
        self.is_over: Callable[[], bool] = lambda: False
        self.over = asyncio.Event()
        self._mono_s = 1000.0

    def now(self) -> Instant:
        return Instant(START + timedelta(seconds=self._mono_s - 1000.0), self._mono_s)

    async def sleep_until(self, mono_s: float) -> None:
        if mono_s > self._mono_s:
            self.pauses_s.append(mono_s - self._mono_s)
            self._mono_s = mono_s
        if self.is_over():
            self.over.set()
            await asyncio.Event().wait()
        await asyncio.sleep(0)

    def hold_until(self, mono_s: float) -> None:
        """Nothing holds it."""


async def run_until(sink: Sink, clock: QuickClock, is_over: Callable[[], bool]) -> None:
    """Run a sink until, at one of its pauses, ``is_over`` holds."""
    clock.over.clear()
    clock.is_over = is_over
    task = asyncio.create_task(sink.run())
    waiting = asyncio.create_task(clock.over.wait())
    try:
        await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for one in (task, waiting):
            one.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


def a_store(directory: Path, *feeds: Feed) -> Store:
    """Return a store whose messages are made by ``feeds``."""
    return Store(directory, "test", feeds=feeds)


def fill(store: Store, seconds: int, first_s: int = 0, signals: int = 3) -> int:
    """Put a record for each second and two alarms a minute into the store; return how many values that makes."""
    for second in range(first_s, first_s + seconds):
        at = START + timedelta(seconds=second)
        store.record(at, {f"ac{i + 1}.power_kw": second + i / 8.0 for i in range(signals)})
        if second % 60 == 0:
            store.enter(AlarmRaised(at, f"ac1: silent {second}"))
            store.enter(AlarmCleared(at, f"ac1: silent {second}"))
    assert store.flush(60.0)
    return seconds * signals


def is_drained(store: Store, sink: str) -> Callable[[], bool]:
    """Return a question: has everything been delivered?"""
    return lambda: not store.outbox(sink).parcels(1, 1)
