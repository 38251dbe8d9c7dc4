"""Whose turn it is on a link that carries one request at a time: the most urgent first, then the oldest."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum


class Priority(IntEnum):
    """How urgent a request is; the lowest number goes first."""

    SAFETY = 0
    SETPOINT = 1
    HEARTBEAT = 2
    FAST = 3
    SLOW = 4


class SupersededError(Exception):
    """A newer request for the same point came while this one waited; it was never sent."""


@dataclass(order=True, slots=True)
class _Waiter:
    priority: Priority
    number: int
    turn: asyncio.Future[None] = field(compare=False)
    key: Hashable = field(compare=False)


class Turns:
    """A lock with priorities. Of the waiting requests with the same key only the newest is served."""

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []
        self._is_taken = False
        self._number = 0

    @asynccontextmanager
    async def turn(self, priority: Priority, key: Hashable = None) -> AsyncIterator[None]:
        """Wait for the turn and keep it for the body; raise ``SupersededError`` when a newer one took its place."""
        await self.take(priority, key)
        try:
            yield
        finally:
            self.pass_on()

    @property
    def is_taken(self) -> bool:
        """Return whether somebody has the turn."""
        return self._is_taken

    def take_at_once(self) -> bool:
        """Take the turn where nobody has it; return whether that was so."""
        if self._is_taken:
            return False
        self._is_taken = True
        return True

    async def take(self, priority: Priority, key: Hashable = None) -> None:
        """Wait for the turn; ``pass_on`` must follow. Raises ``SupersededError`` as ``turn`` does."""
        if self.take_at_once():
            return
        self._supersede(key)
        self._number += 1
        waiter = _Waiter(priority, self._number, asyncio.get_running_loop().create_future(), key)
        heapq.heappush(self._waiting, waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self.pass_on()  # the turn came in the same moment as the cancellation
            raise

    def _supersede(self, key: Hashable) -> None:
        for waiter in self._waiting:
            if key is not None and waiter.key == key and not waiter.turn.done():
                waiter.turn.set_exception(SupersededError())

    def pass_on(self) -> None:
        """Give the turn to whoever is next."""
        while self._waiting:
            waiter = heapq.heappop(self._waiting)
            if not waiter.turn.done():
                waiter.turn.set_result(None)
                return
        self._is_taken = False
