"""One request at a time on a link: the most urgent first, the newest of a kind only, and nothing lost by cancelling."""

import asyncio
from collections.abc import Hashable

import pytest

from drivers.turns import Priority, SupersededError, Turns


async def take(turns: Turns, order: list[str], name: str, priority: Priority, key: Hashable = None) -> None:
    async with turns.turn(priority, key):
        order.append(name)
        await asyncio.sleep(0)


async def test_the_most_urgent_goes_first_then_the_oldest() -> None:
    turns, order = Turns(), list[str]()
    await asyncio.gather(
        take(turns, order, "holder", Priority.SLOW),
        take(turns, order, "slow", Priority.SLOW),
        take(turns, order, "fast 1", Priority.FAST),
        take(turns, order, "fast 2", Priority.FAST),
        take(turns, order, "setpoint", Priority.SETPOINT),
        take(turns, order, "safety", Priority.SAFETY),
    )
    assert order == ["holder", "safety", "setpoint", "fast 1", "fast 2", "slow"]


async def test_of_the_same_key_only_the_newest_is_served() -> None:
    turns, order = Turns(), list[str]()
    results = await asyncio.gather(
        take(turns, order, "holder", Priority.SLOW, "a"),
        take(turns, order, "a1", Priority.SETPOINT, "a"),
        take(turns, order, "b1", Priority.SETPOINT, "b"),
        take(turns, order, "a2", Priority.SETPOINT, "a"),
        return_exceptions=True,
    )
    assert order == ["holder", "b1", "a2"]
    assert isinstance(results[1], SupersededError)


@pytest.mark.parametrize("steps", range(6))
async def test_a_cancelled_waiter_never_keeps_the_turn(steps: int) -> None:
    turns, order = Turns(), list[str]()
    holder = asyncio.create_task(take(turns, order, "holder", Priority.FAST))
    waiter = asyncio.create_task(take(turns, order, "waiter", Priority.FAST))
    for _ in range(steps):
        await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    async with asyncio.timeout(1.0):
        await take(turns, order, "next", Priority.FAST)
    assert order[-1] == "next"


async def test_a_failing_holder_passes_the_turn_on() -> None:
    turns, order = Turns(), list[str]()
    with pytest.raises(ZeroDivisionError):
        async with turns.turn(Priority.FAST):
            raise ZeroDivisionError
    await take(turns, order, "next", Priority.FAST)
    assert order == ["next"]
