"""A Modbus connection: one request at a time, every answer checked, its own reconnecting.

Several devices (units behind one gateway or on one line) may share a link. A request that waits for its turn has no
deadline of its own; whoever holds the turn has one.
"""

import asyncio
import socket
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass

from drivers.modbus_frame import Ask, Framing, GarbageError, NoPath, TcpFraming, words_of_answer
from drivers.owed import Owed
from drivers.rtu_frame import AROUND, RtuFraming
from drivers.silence import Silence
from drivers.transport import Transport
from drivers.turns import Priority, SupersededError, Turns
from station.errors import DriverError, Nonsense, Rejected, Unreachable

NONSENSE_TO_REOPEN = 3
SILENCES_TO_REOPEN = 2
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 1.0


@dataclass(slots=True)
class LinkCounters:
    """What happened on a link since it was made.

    ``skipped`` are late or repeated answers, ``spared`` requests to a unit that was left alone, ``fences`` those that
    were put before another so that no late answer can pass for its own.
    """

    requests: int = 0
    timeouts: int = 0
    nonsense: int = 0
    skipped: int = 0
    opened: int = 0
    refused: int = 0
    spared: int = 0
    fences: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """What a link grants its devices, in seconds.

    ``gap_s`` lies between an answer and the next request; ``byte_s`` is what a byte needs on the line (0 on a network);
    ``connect_delay_s`` lies between connecting and the first request. A unit that does not answer is left alone for at
    most ``back_off_s``.
    """

    gap_s: float = 0.0
    byte_s: float = 0.0
    connect_delay_s: float = 0.0
    back_off_s: float = 1.0
    last_retry_s: float = LAST_RETRY_S


USUAL = Pace()


class ModbusLink:
    """Checked transactions over a transport; ``is_rtu`` where frames have a checksum and no number."""

    def __init__(self, transport: Transport, pace: Pace = USUAL, *, is_rtu: bool = False) -> None:
        self._counters = LinkCounters()
        self._transport = transport
        self._pace = pace
        self.is_rtu = is_rtu
        self._owed = Owed()
        self._framing: Framing = RtuFraming(self._owed) if is_rtu else TcpFraming()
        self._turns = Turns()
        self._silences: dict[int, Silence] = {}
        self._failures = 0
        self._retry_s = FIRST_RETRY_S
        self._closed_until_s = float("-inf")
        self._free_from_s = float("-inf")
        self._cause = ""
        self._is_resting = False
        self.renewed = 0
        """How often a connection was opened after one that broke: another device may be there."""

    @property
    def counters(self) -> LinkCounters:
        """Return what happened so far."""
        self._counters.skipped = self._framing.skipped
        return self._counters

    async def ask(
        self, ask: Ask, device_id: str, *, timeout_s: float, priority: Priority, key: Hashable = None
    ) -> tuple[int, ...]:
        """Return the registers read or written; raise ``DriverError``.

        Of several waiting requests with the same ``key`` only the newest is sent.
        """
        silence = self._silences.get(ask.unit)
        if silence is None:
            silence = self._silences[ask.unit] = Silence(self._pace.back_off_s)
        if silence.is_troubled or not self._turns.take_at_once():
            try:
                await self._turn(silence, device_id, priority, key)
            except SupersededError:
                raise Rejected(device_id, "replaced by a newer setpoint before it was sent") from None
        try:
            if not self._transport.is_open:
                await self._open(device_id, timeout_s)
            if self._owed.hides(ask):
                await self._fence(ask, silence, device_id, timeout_s)
            return await self._checked(ask, silence, device_id, timeout_s)
        finally:
            self._turns.pass_on()

    def rest(self) -> None:
        """Close the connection until it is needed again, unless somebody else needs it now."""
        if not self._turns.is_taken:
            self._is_resting = True
            self.close()

    def close(self) -> None:
        """Drop the connection; the next request opens it again."""
        self._transport.close()
        self._framing.clear()
        self._failures = 0

    async def _turn(self, silence: Silence, device_id: str, priority: Priority, key: Hashable) -> None:
        """Wait until the unit may be asked and it is this request's turn; raise ``DriverError`` where that is far."""
        loop = asyncio.get_running_loop()
        while True:
            self._spare(silence, device_id, loop.time())
            await self._turns.take(priority, key)
            wait_s = silence.quiet_until_s - loop.time()
            if wait_s <= 0.0 and loop.time() >= silence.spared_until_s:
                return
            self._turns.pass_on()
            if wait_s > 0.0:
                await asyncio.sleep(wait_s)

    def _spare(self, silence: Silence, device_id: str, now_s: float) -> None:
        wait_s = silence.spared_until_s - now_s
        if wait_s > 0.0:
            self._counters.spared += 1
            raise Unreachable(device_id, f"{silence.cause}; it is asked again in {wait_s:.1f} s")

    async def _open(self, device_id: str, timeout_s: float) -> None:
        self.close()
        loop = asyncio.get_running_loop()
        if loop.time() < self._closed_until_s:
            raise Unreachable(device_id, self._cause)
        try:
            await self._transport.open(timeout_s)
        except (OSError, TimeoutError) as failed:
            self._counters.refused += 1
            self._cause = f"no connection: {in_words(failed, timeout_s)}"
            self._closed_until_s = loop.time() + self._retry_s
            self._retry_s = min(2.0 * self._retry_s, self._pace.last_retry_s)
            raise Unreachable(device_id, self._cause) from None
        self._counters.opened += 1
        self.renewed += not self._is_resting
        self._is_resting = False
        if self._pace.connect_delay_s:
            await asyncio.sleep(self._pace.connect_delay_s)

    async def _fence(self, ask: Ask, silence: Silence, device_id: str, timeout_s: float) -> None:
        """Have a request answered that no older answer fits, so that ``ask`` can only get its own."""
        fence = self._owed.fence(ask)
        if fence is None:
            return
        self._counters.fences += 1
        with suppress(Rejected):
            await self._checked(fence, silence, device_id, timeout_s)
        self._owed.settle(ask.unit)

    async def _checked(self, ask: Ask, silence: Silence, device_id: str, timeout_s: float) -> tuple[int, ...]:
        """Make one transaction and keep the books of failures."""
        self._counters.requests += 1
        began_s = asyncio.get_running_loop().time()
        within_s = silence.patience_s(timeout_s)
        try:
            words = await self._exchange(ask, device_id, within_s)
        except asyncio.CancelledError:
            self._beware(ask, silence, timeout_s)
            raise
        except TimeoutError:
            self._counters.timeouts += 1
            silence.cause = f"no answer within {within_s:g} s"
            self._unanswered(ask, silence, timeout_s)
            self._failed(SILENCES_TO_REOPEN)
            raise Unreachable(device_id, silence.cause) from None
        except OSError as failed:
            self.close()
            raise Unreachable(device_id, f"the connection broke: {in_words(failed, timeout_s)}") from None
        except GarbageError as garbage:
            self._counters.nonsense += 1
            self._garbled(ask, silence, timeout_s)
            raise Nonsense(device_id, f"garbage instead of an answer ({garbage})") from None
        except Nonsense:
            self._counters.nonsense += 1
            self._garbled(ask, silence, timeout_s, is_frame=True)
            raise
        except NoPath as failed:
            silence.cause = failed.cause
            silence.unheard(asyncio.get_running_loop().time())
            self._owe(ask, silence, timeout_s)
            self._answered()
            raise
        except DriverError:
            silence.heard(0.0)
            if self._owed.of(ask.unit):  # the refusal may belong to an older request
                self._owe(ask, silence, timeout_s)
            self._answered()
            raise
        silence.heard(asyncio.get_running_loop().time() - began_s)
        self._owed.settle(ask.unit)
        self._answered()
        return words

    async def _exchange(self, ask: Ask, device_id: str, timeout_s: float) -> tuple[int, ...]:
        loop = asyncio.get_running_loop()
        transport, framing, pace = self._transport, self._framing, self._pace
        if (wait_s := min(self._free_from_s - loop.time(), pace.gap_s)) > 0.0:
            await asyncio.sleep(wait_s)
        if not framing.has_numbers:
            await self._drain()
        request = framing.request(ask)
        size = len(request) + AROUND + ask.answer_size()
        deadline_s = loop.time() + timeout_s + pace.byte_s * size
        try:
            await transport.send(request, timeout_s)
            while (frame := framing.take()) is None:
                left_s = deadline_s - loop.time()
                if left_s <= 0.0:
                    raise TimeoutError
                framing.feed(await transport.receive(left_s))
            return words_of_answer(ask, frame, device_id)
        finally:
            self._free_from_s = loop.time() + pace.gap_s

    async def _drain(self) -> None:
        """Take what the line still carries; without numbers it could pass for an answer."""
        with suppress(TimeoutError):
            while True:
                self._framing.feed(await self._transport.receive(0.0))

    def _unanswered(self, ask: Ask, silence: Silence, timeout_s: float) -> None:
        """Leave the unit alone for a while."""
        silence.unheard(asyncio.get_running_loop().time())
        self._beware(ask, silence, timeout_s)

    def _beware(self, ask: Ask, silence: Silence, timeout_s: float) -> None:
        """Let no late answer pass for another where it carries no number."""
        if not self._framing.has_numbers:
            self._owe(ask, silence, timeout_s)

    def _owe(self, ask: Ask, silence: Silence, timeout_s: float) -> None:
        """Expect the answer to ``ask`` still; a gateway may even give it the number of another request."""
        self._owed.add(ask)
        silence.keep_quiet(asyncio.get_running_loop().time() + timeout_s)

    def _garbled(self, ask: Ask, silence: Silence, timeout_s: float, *, is_frame: bool = False) -> None:
        """Begin anew: a network stream at once, a line in silence and only after repeated nonsense by reopening."""
        if self._framing.has_numbers and not is_frame:
            self.close()
            return
        if not self._framing.has_numbers:
            self._framing.clear()
        self._beware(ask, silence, timeout_s)
        self._failed(NONSENSE_TO_REOPEN)

    def _failed(self, most: int) -> None:
        self._failures += 1
        if self._failures >= most:
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
