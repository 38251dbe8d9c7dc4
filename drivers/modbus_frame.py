"""Modbus TCP frames: what is asked, and whether an answer fits the question. Pure.

pymodbus encodes and decodes. It also accepts answers with another function code, with too few or too many registers
and writes that echo something else; the checks here refuse them.
"""

import struct
from dataclasses import dataclass

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from station.errors import DriverError, Nonsense, Rejected, Unreachable

HEADER = struct.Struct(">HHHB")
REQUESTS: dict[int, type[ModbusPDU]] = {
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
    6: WriteSingleRegisterRequest,
    16: WriteMultipleRegistersRequest,
}
LEAST_LENGTH = 3
MOST_LENGTH = 254

_decoder = DecodePDU(False)
_framer = FramerSocket(_decoder)


class NoSuchRegister(Rejected):
    """Exception 2: the device knows no register at one of the addresses."""


class GarbageError(Exception):
    """The stream holds something that is no frame; only a new connection finds the next one."""


EXCEPTIONS: dict[int, tuple[type[DriverError], str]] = {
    1: (Rejected, "the device does not know this function"),
    2: (NoSuchRegister, "the device has no such register"),
    3: (Rejected, "the device refuses the value or the number of registers"),
    4: (Unreachable, "the device reports a failure of its own"),
    5: (Unreachable, "the device is busy with an earlier request"),
    6: (Unreachable, "the device is busy"),
    10: (Unreachable, "the gateway has no path to the device"),
    11: (Unreachable, "the gateway gets no answer from the device"),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``words`` are written (functions 6 and 16), ``count`` registers are read (3 and 4)."""

    unit: int
    function: int
    address: int
    count: int = 0
    words: tuple[int, ...] = ()

    def frame(self, transaction: int) -> bytes:
        """Return the bytes to send."""
        pdu = REQUESTS[self.function](
            dev_id=self.unit,
            transaction_id=transaction,
            address=self.address,
            count=self.count or len(self.words),
            registers=list(self.words),
        )
        return bytes(_framer.buildFrame(pdu))


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame that arrived."""

    transaction: int
    unit: int
    pdu: bytes


class FrameBuffer:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._data += data

    def clear(self) -> None:
        """Forget what arrived on a connection that is gone."""
        self._data.clear()

    def take(self) -> Frame | None:
        """Return the next whole frame, or None while there is none; raise ``GarbageError`` for what can be none."""
        if len(self._data) < HEADER.size:
            return None
        transaction, protocol, length, unit = HEADER.unpack_from(self._data)
        if protocol != 0 or not LEAST_LENGTH <= length <= MOST_LENGTH:
            raise GarbageError(f"protocol {protocol}, length {length}")
        end = HEADER.size - 1 + length
        if len(self._data) < end:
            return None
        pdu = bytes(self._data[HEADER.size : end])
        del self._data[:end]
        return Frame(transaction, unit, pdu)


def words_of_answer(ask: Ask, frame: Frame, device_id: str) -> tuple[int, ...]:
    """Return the registers that were read, or those that were written; raise ``DriverError`` for any other answer."""
    if frame.unit != ask.unit:
        raise Nonsense(device_id, f"unit {frame.unit} answered instead of unit {ask.unit}")
    function = frame.pdu[0]
    if function == ask.function | 0x80:
        raise _exception(frame, device_id)
    if function != ask.function:
        raise Nonsense(device_id, f"the answer is for function {function}, not for function {ask.function}")
    if ask.words:
        return _checked_echo(ask, frame, device_id)
    return _checked_words(ask, frame, device_id)


def _exception(frame: Frame, device_id: str) -> DriverError:
    if len(frame.pdu) != 2:
        return Nonsense(device_id, f"a refusal of {len(frame.pdu)} bytes")
    kind, cause = EXCEPTIONS.get(frame.pdu[1], (Nonsense, f"unknown refusal {frame.pdu[1]}"))
    return kind(device_id, cause)


def _checked_words(ask: Ask, frame: Frame, device_id: str) -> tuple[int, ...]:
    size = 2 * ask.count
    if len(frame.pdu) < 2 or frame.pdu[1] != size or len(frame.pdu) != size + 2:
        got = (len(frame.pdu) - 2) / 2
        raise Nonsense(device_id, f"{got:g} registers came (byte count wrong) instead of {ask.count}")
    answer = _decoder.decode(frame.pdu)
    if answer is None or len(answer.registers) != ask.count:
        raise Nonsense(device_id, "the answer cannot be decoded")
    return tuple(answer.registers)


def _checked_echo(ask: Ask, frame: Frame, device_id: str) -> tuple[int, ...]:
    """A device confirms a write by its address and the value (6) or the number of registers (16)."""
    expected = ask.words[0] if ask.function == 6 else len(ask.words)
    if frame.pdu[1:] != struct.pack(">HH", ask.address, expected):
        raise Nonsense(device_id, "the device confirms another write than the one that was sent")
    return ask.words
