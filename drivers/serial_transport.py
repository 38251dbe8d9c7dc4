"""Carries bytes over a serial port. pyserial sets the line up; the event loop waits for it."""

import asyncio
import os

import serial

from drivers.transport import Inbox
from station.links import SerialLink

CHUNK = 4096
PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
FAST_BAUD = 19200
FAST_GAP_S = 0.00175
"""The silence between two frames above 19200 baud; below it is 3.5 characters (Modbus over serial line, 2.5.1.1)."""
GAP_CHARACTERS = 3.5


def frame_gap_s(link: SerialLink) -> float:
    """Return the silence that must lie between two frames."""
    return FAST_GAP_S if link.baud > FAST_BAUD else GAP_CHARACTERS * link.byte_s


class SerialTransport:
    """A port that nobody else has open. A cable that is pulled out ends the connection, as a closed socket does."""

    def __init__(self, link: SerialLink) -> None:
        self._link = link
        self._inbox: Inbox | None = None
        self._port: serial.Serial | None = None

    def __str__(self) -> str:
        return str(self._link)

    @property
    def is_open(self) -> bool:
        """Return whether the port is open and its cable was there when last looked at."""
        return self._inbox is not None and not self._inbox.is_broken

    async def open(self, timeout_s: float) -> None:  # noqa: ARG002  a port opens at once or not at all
        """Open the port and drop what it had received before; raise ``OSError``."""
        self.close()
        link = self._link
        port = serial.Serial(
            link.device,
            link.baud,
            parity=PARITIES[link.parity],
            stopbits=link.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
        port.reset_input_buffer()
        self._port, self._inbox = port, Inbox()
        asyncio.get_running_loop().add_reader(port.fileno(), _read, port.fileno(), self._inbox)

    def close(self) -> None:
        """Give the port back."""
        if self._port is None or self._inbox is None:
            return
        asyncio.get_running_loop().remove_reader(self._port.fileno())
        self._port.close()
        self._inbox.close()
        self._port = self._inbox = None

    async def send(self, data: bytes, timeout_s: float) -> None:
        """Hand over the bytes; a frame is far shorter than what a port takes at once."""
        if self._port is None or self._inbox is None or self._inbox.is_broken:
            raise ConnectionResetError("the serial port is gone")
        if os.write(self._port.fileno(), data) < len(data):
            raise TimeoutError(f"the port took no more within {timeout_s:g} s")

    async def receive(self, timeout_s: float) -> bytes:
        """Return what arrived."""
        if self._inbox is None:
            raise ConnectionResetError("the serial port is not open")
        return await self._inbox.take(timeout_s)


def _read(descriptor: int, inbox: Inbox) -> None:
    try:
        data = os.read(descriptor, CHUNK)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if data:
        inbox.put(data)
        return
    inbox.fail("the serial port is gone")
    asyncio.get_running_loop().remove_reader(descriptor)
