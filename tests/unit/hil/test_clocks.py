"""Clocks of station time, tried on a loop whose own time jumps."""

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import timedelta
from typing import Any

import async_solipsism
import pytest

from hil.clocks import ScaledClock, VirtualClock, WallClock
from tests.unit.hil.stations import START_AT


class Loop:
    """Runs a coroutine in jumping time."""

    def __init__(self) -> None:
        self.loop = async_solipsism.EventLoop()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)


@pytest.fixture
def jumping() -> Iterator[Loop]:
    """Return a loop that jumps over its waits."""
    runner = Loop()
    yield runner
    runner.loop.close()


def test_a_scaled_clock_runs_as_many_times_as_fast(jumping: Loop) -> None:
    async def body() -> None:
        clock = ScaledClock(START_AT, 60.0)
        await asyncio.sleep(2.0)
        assert clock.now().mono_s == pytest.approx(120.0)
        assert clock.now().at == START_AT + timedelta(seconds=120)
        await clock.sleep_until(300.0)
        assert clock.now().mono_s == pytest.approx(300.0)
        assert asyncio.get_running_loop().time() == pytest.approx(5.0)
        await clock.sleep_until(10.0)

    jumping.run(body())


def test_a_held_clock_waits_for_the_cycle_and_does_not_catch_up(jumping: Loop) -> None:
    async def body() -> None:
        clock = ScaledClock(START_AT, 10.0)
        clock.hold_until(30.0)
        sleeper = asyncio.create_task(clock.sleep_until(40.0))
        await asyncio.sleep(20.0)
        assert clock.now().mono_s == 30.0
        assert not sleeper.done()
        clock.hold_until(60.0)
        await asyncio.sleep(0.9)
        assert not sleeper.done()
        assert clock.now().mono_s == pytest.approx(39.0)
        await asyncio.sleep(0.2)
        assert sleeper.done()
        clock.release()
        await asyncio.sleep(10.0)
        assert clock.now().mono_s == pytest.approx(141.0)

    jumping.run(body())


def test_a_hold_never_turns_time_back(jumping: Loop) -> None:
    async def body() -> None:
        clock = ScaledClock(START_AT, 10.0)
        await asyncio.sleep(5.0)
        clock.hold_until(20.0)
        assert clock.now().mono_s == pytest.approx(50.0)

    jumping.run(body())


@pytest.mark.parametrize("speed", [1.0, 1e6])
def test_sleepers_wake_in_the_order_of_their_instants(jumping: Loop, speed: float) -> None:
    async def body() -> list[str]:
        clock, woken = ScaledClock(START_AT, speed), []

        async def sleep(name: str, until_s: float) -> None:
            await clock.sleep_until(until_s)
            woken.append(name)

        async with asyncio.TaskGroup() as group:
            for name, until_s in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("a2", 1.0)):
                group.create_task(sleep(name, until_s))
            gone = group.create_task(sleep("gone", 0.5))
            await asyncio.sleep(0)
            gone.cancel()
        return woken

    assert jumping.run(body()) == ["a", "a2", "b", "c"]


def test_the_wall_clock_is_not_held(jumping: Loop) -> None:
    async def body() -> None:
        clock = WallClock(START_AT)
        clock.hold_until(1.0)
        await asyncio.sleep(5.0)
        assert clock.now().mono_s == pytest.approx(5.0)

    jumping.run(body())


def test_a_virtual_clock_passes_time_only_when_told() -> None:
    async def body() -> list[tuple[str, float]]:
        clock, woken = VirtualClock(START_AT), []

        async def tick(name: str, every_s: float) -> None:
            for index in range(1, 4):
                await clock.sleep_until(index * every_s)
                woken.append((name, clock.now().mono_s))

        async with asyncio.TaskGroup() as group:
            group.create_task(tick("a", 2.0))
            group.create_task(tick("b", 3.0))
            await clock.run_until(5.0)
            assert clock.now().mono_s == 5.0
            await clock.sleep_until(1.0)
            await clock.run_until(100.0)
        return woken

    assert asyncio.run(body()) == [("a", 2.0), ("b", 3.0), ("a", 4.0), ("b", 6.0), ("a", 6.0), ("b", 9.0)]


def test_a_clock_needs_a_speed(jumping: Loop) -> None:
    async def body() -> None:
        with pytest.raises(ValueError, match="speed"):
            ScaledClock(START_AT, 0.0)

    jumping.run(body())
