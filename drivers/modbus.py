"""A Modbus TCP connection: one request at a time, every answer checked, its own reconnecting.

Several devices (units behind one gateway) may share a link. A request that waits for its turn has no deadline of its
own; whoever holds the turn has one.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from drivers.modbus_frame import Ask, FrameBuffer, GarbageError, words_of_answer
from drivers.transport import Transport
from drivers.turns import Priority, SupersededError, Turns
from station.errors import DriverError, Nonsense, Rejected, Unreachable

FAILURES_TO_REOPEN = 3
REMEMBERED = 64
"""Transactions whose late or repeated answers are skipped; any other unexpected one is garbage."""
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 2.0


@dataclass(slots=True)
class LinkCounters:
    """What happened on a link since it was made."""

    requests: int = 0
    timeouts: int = 0
    nonsense: int = 0
    skipped: int = 0
    opened: int = 0
    refused: int = 0


class ModbusLink:
    """Checked transactions over a transport."""

    def __init__(
        self, transport: Transport, *, min_gap_s: float = 0.0, last_retry_s: float = LAST_RETRY_S
    ) -> None:
        self.counters = LinkCounters()
        self._transport = transport
        self._min_gap_s = min_gap_s
        self._last_retry_s = last_retry_s
        self._turns = Turns()
        self._buffer = FrameBuffer()
        self._transaction = 0
        self._asked: deque[int] = deque(maxlen=REMEMBERED)
        self._failures = 0
        self._retry_s = FIRST_RETRY_S
        self._closed_until_s = float("-inf")
        self._free_from_s = float("-inf")
        self._cause = ""

    async def ask(
        self, ask: Ask, device_id: str, *, timeout_s: float, priority: Priority, key: Hashable = None
    ) -> tuple[int, ...]:
        """Return the registers read or written; raise ``DriverError``.

        Of several waiting requests with the same ``key`` only the newest is sent.
        """
        try:
            async with self._turns.turn(priority, key):
                await self._open(device_id, timeout_s)
                return await self._checked(ask, device_id, timeout_s)
        except SupersededError:
            raise Rejected(device_id, "replaced by a newer setpoint before it was sent") from None

    def close(self) -> None:
        """Drop the connection; the next request opens it again."""
        self._transport.close()
        self._buffer.clear()
        self._failures = 0

    async def _open(self, device_id: str, timeout_s: float) -> None:
        if self._transport.is_open:
            return
        self.close()
        loop = asyncio.get_running_loop()
        if loop.time() < self._closed_until_s:
            raise Unreachable(device_id, self._cause)
        try:
            await self._transport.open(timeout_s)
        except (OSError, TimeoutError) as failed:
            self.counters.refused += 1
            self._cause = f"no connection: {in_words(failed, timeout_s)}"
            self._closed_until_s = loop.time() + self._retry_s
            self._retry_s = min(2.0 * self._retry_s, self._last_retry_s)
            raise Unreachable(device_id, self._cause) from None
        self.counters.opened += 1

    async def _checked(self, ask: Ask, device_id: str, timeout_s: float) -> tuple[int, ...]:
        """Make one transaction and keep the books of failures."""
        self.counters.requests += 1
        try:
            words = await self._exchange(ask, device_id, timeout_s)
        except TimeoutError:
            self.counters.timeouts += 1
            self._failed()
            raise Unreachable(device_id, f"no answer within {timeout_s:g} s") from None
        except OSError as failed:
            self.close()
            raise Unreachable(device_id, f"the connection broke: {in_words(failed, timeout_s)}") from None
        except GarbageError as garbage:
            self.counters.nonsense += 1
            self.close()
            raise Nonsense(device_id, f"garbage instead of an answer ({garbage})") from None
        except Nonsense:
            self.counters.nonsense += 1
            self._failed()
            raise
        except DriverError:
            self._answered()
            raise
        self._answered()
        return words

    async def _exchange(self, ask: Ask, device_id: str, timeout_s: float) -> tuple[int, ...]:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, min(self._free_from_s - loop.time(), self._min_gap_s)))
        deadline_s = loop.time() + timeout_s
        self._transaction = self._transaction % 0xFFFF + 1
        self._asked.append(self._transaction)
        try:
            await self._transport.send(ask.frame(self._transaction), timeout_s)
            while True:
                while (frame := self._buffer.take()) is None:
                    self._buffer.feed(await self._transport.receive(deadline_s - loop.time()))
                if frame.transaction == self._transaction:
                    return words_of_answer(ask, frame, device_id)
                if frame.transaction not in self._asked:
                    raise GarbageError(f"transaction {frame.transaction} was never asked")
                self.counters.skipped += 1
                if loop.time() >= deadline_s:
                    raise TimeoutError
        finally:
            self._free_from_s = loop.time() + self._min_gap_s

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_TO_REOPEN:
            self.close()

    def _answered(self) -> None:
        self._failures = 0
        self._retry_s = FIRST_RETRY_S


def in_words(failed: OSError | TimeoutError, timeout_s: float) -> str:
    """Return what an operator understands of a failure of the operating system."""
    if isinstance(failed, socket.gaierror):
        return "the host name is unknown"
    if isinstance(failed, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failed, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return "the device closed the connection"
    if isinstance(failed, TimeoutError):
        return f"nothing heard within {timeout_s:g} s"
    return (failed.strerror or str(failed)).lower()
