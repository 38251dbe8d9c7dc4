"""Modbus requests and answers: what is asked, and whether an answer fits the question. Pure.

pymodbus encodes the requests (those of polls once, for they repeat). Answers are taken apart here: pymodbus needs 40
times as long for them and accepts other function codes, too few or too many registers and writes that echo something
else.
"""

import struct
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from station.errors import DriverError, Nonsense, Rejected, Unreachable

HEADER = struct.Struct(">HHHB")
READS = (3, 4)
REQUESTS: dict[int, type[ModbusPDU]] = {
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
    6: WriteSingleRegisterRequest,
    16: WriteMultipleRegistersRequest,
}
LEAST_LENGTH = 3
MOST_LENGTH = 254
REMEMBERED = 64
"""Transactions whose late or repeated answers are skipped; any other unexpected one is garbage."""


class NoSuchRegister(Rejected):
    """Exception 2: the device knows no register at one of the addresses."""


class NoPath(Unreachable):
    """A gateway answers for a device that did not."""


class GarbageError(Exception):
    """The stream holds something that is no frame; only a new beginning finds the next one."""


EXCEPTIONS: dict[int, tuple[type[DriverError], str]] = {
    1: (Rejected, "the device does not know this function"),
    2: (NoSuchRegister, "the device has no such register"),
    3: (Rejected, "the device refuses the value or the number of registers"),
    4: (Unreachable, "the device reports a failure of its own"),
    5: (Unreachable, "the device is busy with an earlier request"),
    6: (Unreachable, "the device is busy"),
    10: (NoPath, "the gateway has no path to the device"),
    11: (NoPath, "the gateway gets no answer from the device"),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``words`` are written (functions 6 and 16), ``count`` registers are read (3 and 4)."""

    unit: int
    function: int
    address: int
    count: int = 0
    words: tuple[int, ...] = ()

    def pdu(self) -> bytes:
        """Return the function and its data, without any framing."""
        if self.function in READS:
            return _read_pdu(self.function, self.address, self.count)
        return _pdu(self.function, self.address, len(self.words), self.words)

    def answer_head(self) -> bytes:
        """Return how every good answer begins: the byte count of a read, the whole confirmation of a write."""
        if self.function in READS:
            return bytes((self.function, 2 * self.count))
        second = self.words[0] if self.function == 6 else len(self.words)
        return struct.pack(">BHH", self.function, self.address, second)

    def answer_size(self) -> int:
        """Return the bytes of a good answer, without any framing."""
        return 2 + 2 * self.count if self.function in READS else 5


def _pdu(function: int, address: int, count: int, words: tuple[int, ...] = ()) -> bytes:
    request = REQUESTS[function](address=address, count=count, registers=list(words))
    return bytes([function]) + request.encode()


_read_pdu = lru_cache(maxsize=4096)(_pdu)


@dataclass(frozen=True, slots=True)
class Frame:
    """One answer that arrived, without its framing."""

    unit: int
    pdu: bytes


class Framing(Protocol):
    """How requests and answers are told apart on a stream of bytes."""

    skipped: int
    """Answers to older requests that were recognised and left out."""
    has_numbers: bool
    """Whether each answer names the request that it belongs to."""

    def request(self, ask: Ask) -> bytes:
        """Return the bytes to send; from now on the answer to them is wanted."""
        ...

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        ...

    def take(self) -> Frame | None:
        """Return the answer that is wanted, None while there is none; raise ``GarbageError``."""
        ...

    def clear(self) -> None:
        """Forget what arrived on a connection that is gone."""
        ...


class TcpFraming:
    """Modbus TCP: a header with a transaction number (MBAP)."""

    has_numbers = True

    def __init__(self) -> None:
        self.skipped = 0
        self._data = bytearray()
        self._transaction = 0
        self._asked: deque[int] = deque(maxlen=REMEMBERED)

    def request(self, ask: Ask) -> bytes:
        """Return the bytes to send, under a new number."""
        self._transaction = self._transaction % 0xFFFF + 1
        self._asked.append(self._transaction)
        pdu = ask.pdu()
        return HEADER.pack(self._transaction, 0, len(pdu) + 1, ask.unit) + pdu

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._data += data

    def clear(self) -> None:
        """Forget what arrived on a connection that is gone."""
        self._data.clear()

    def take(self) -> Frame | None:
        """Return the answer with the newest number; those with an older one of ours are skipped."""
        data = self._data
        while len(data) >= HEADER.size:
            transaction, protocol, length, unit = HEADER.unpack_from(data)
            if protocol != 0 or not LEAST_LENGTH <= length <= MOST_LENGTH:
                raise GarbageError(f"protocol {protocol}, length {length}")
            end = HEADER.size - 1 + length
            if len(data) < end:
                return None
            pdu = bytes(data[HEADER.size : end])
            del data[:end]
            if transaction == self._transaction:
                return Frame(unit, pdu)
            if transaction not in self._asked:
                raise GarbageError(f"transaction {transaction} was never asked")
            self.skipped += 1
        return None


def words_of_answer(ask: Ask, frame: Frame, device_id: str) -> tuple[int, ...]:
    """Return the registers that were read, or those that were written; raise ``DriverError`` for any other answer."""
    pdu = frame.pdu
    if frame.unit != ask.unit:
        raise Nonsense(device_id, f"unit {frame.unit} answered instead of unit {ask.unit}")
    if len(pdu) == ask.answer_size() and pdu.startswith(ask.answer_head()):
        return struct.unpack_from(f">{ask.count}H", pdu, 2) if ask.function in READS else ask.words
    raise _misfit(ask, pdu, device_id)


def _misfit(ask: Ask, pdu: bytes, device_id: str) -> DriverError:
    """Return what is wrong with an answer that does not fit."""
    function = pdu[0]
    if function == ask.function | 0x80:
        return _exception(pdu, device_id)
    if function != ask.function:
        return Nonsense(device_id, f"the answer is for function {function}, not for function {ask.function}")
    if ask.words:
        return Nonsense(device_id, "the device confirms another write than the one that was sent")
    got = (len(pdu) - 2) / 2
    return Nonsense(device_id, f"{got:g} registers came (byte count wrong) instead of {ask.count}")


def _exception(pdu: bytes, device_id: str) -> DriverError:
    if len(pdu) != 2:
        return Nonsense(device_id, f"a refusal of {len(pdu)} bytes")
    kind, cause = EXCEPTIONS.get(pdu[1], (Nonsense, f"unknown refusal {pdu[1]}"))
    return kind(device_id, cause)
