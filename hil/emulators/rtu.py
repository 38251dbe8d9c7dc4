"""Emulated devices on a serial line: the requests cut by what they hold, and a server at a serial port."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from drivers.modbus_frame import READS
from drivers.rtu_frame import crc, framed
from drivers.serial_transport import SerialTransport
from station.links import SerialLink

FIXED_SIZE = 8
"""Bytes of a request to read, or to write one register."""
WRITE_MANY, AROUND_WORDS = 16, 9
LONGEST = 256
Answer = Callable[[int, bytes], bytes | None]
"""Gives the answer of a unit to a request, None for silence."""


class RtuCutter:
    """Cuts what a line carries into requests. After what is none it begins anew with the next bytes."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield unit and request of each whole frame."""
        self._data += data
        while (size := self._size()) and len(self._data) >= size:
            frame = bytes(self._data[:size])
            if crc(frame[:-2]) != frame[-2] | frame[-1] << 8:
                self._data.clear()
                return
            del self._data[:size]
            yield frame[0], frame[1:-2]

    def _size(self) -> int:
        """Return the length of the frame that begins here, 0 while it can't be told."""
        data = self._data
        if len(data) < 2:
            return 0
        if data[1] != WRITE_MANY:
            return FIXED_SIZE if data[1] in (*READS, 6) else len(data)
        return AROUND_WORDS + data[6] if len(data) > 6 else 0


class SerialServer:
    """Serves the units of one line; it listens at the other end of the cable. An absent unit is silent there."""

    def __init__(self, link: SerialLink, answer: Answer) -> None:
        self._transport = SerialTransport(link)
        self._answer = answer
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """Return 0: a serial line has none."""
        return 0

    async def start(self) -> None:
        """Open the port. Raises OSError where it can't be had."""
        await self._transport.open(1.0)
        self._task = asyncio.create_task(self._serve())

    async def publish(self) -> None:
        """Do nothing: Modbus tells values only when asked."""

    async def close(self) -> None:
        """Give the port back."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await self._task
            self._task = None
        self._transport.close()

    async def _serve(self) -> None:
        cutter = RtuCutter()
        while True:
            try:
                data = await self._transport.receive(1.0)
            except TimeoutError:
                cutter = RtuCutter()
                continue
            for unit, request in cutter.feed(data):
                answer = self._answer(unit, request)
                if answer is not None:
                    await self._transport.send(framed(unit, answer), 1.0)
