"""Modbus RTU frames, on a serial line or carried over TCP. Pure.

A frame has no length and no number of its own. How long the answer is follows from what was asked: a read of n
registers is answered by 5 + 2 n bytes, a write by 8, a refusal by 5. Nothing else is a frame, and nothing is guessed
from pauses. The checksum is the one of the specification (Modbus over serial line 1.02, 6.2.2).
"""

import struct

from drivers.modbus_frame import READS, Ask, Frame, GarbageError
from drivers.owed import Owed

AROUND = 3
"""Bytes of a frame around function and data: unit and checksum."""
REFUSAL_SIZE = 5
_POLYNOMIAL = 0xA001


def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ _POLYNOMIAL if value & 1 else value >> 1
        table.append(value)
    return tuple(table)


_TABLE = _table()


def crc(data: bytes | bytearray) -> int:
    """Return the CRC-16 of a frame without its last two bytes, which carry it low byte first."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _TABLE[(value ^ byte) & 0xFF]
    return value


def framed(unit: int, pdu: bytes) -> bytes:
    """Return the bytes on the line."""
    body = bytes((unit,)) + pdu
    return body + struct.pack("<H", crc(body))


class RtuFraming:
    """Finds the answer to the request that was sent last; whatever else the line carries is garbage.

    A whole answer that is owed to an older request, and that can be told from the one that is wanted, is skipped.
    """

    has_numbers = False

    def __init__(self, owed: Owed) -> None:
        self.skipped = 0
        self._owed = owed
        self._data = bytearray()
        self._asked: Ask | None = None
        self._sent = b""

    def request(self, ask: Ask) -> bytes:
        """Return the bytes to send. What came before them is no answer to them and is dropped."""
        if self._data:
            self.skipped += 1
            self._data.clear()
        self._asked = ask
        self._sent = framed(ask.unit, ask.pdu())
        return self._sent

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._data += data

    def clear(self) -> None:
        """Forget what arrived."""
        self._data.clear()

    def take(self) -> Frame | None:
        """Return the answer, None while it is not whole; raise ``GarbageError`` for anything else."""
        data, asked = self._data, self._asked
        while asked is not None and len(data) >= AROUND:
            late = self._late_size(asked)
            size = late or self._size(asked)
            if len(data) < size:
                return None
            if crc(data[: size - 2]) != data[size - 2] | data[size - 1] << 8:
                raise GarbageError(f"wrong checksum: {_shown(data)}")
            pdu = bytes(data[1 : size - 2])
            del data[:size]
            if late:
                self.skipped += 1
                continue
            if data:
                raise GarbageError(f"{len(data)} bytes after the answer: {_shown(data)}")
            return Frame(asked.unit, pdu)
        return None

    def _size(self, asked: Ask) -> int:
        """Return how long the answer is that begins here; raise ``GarbageError`` where none does."""
        unit, function, third = self._data[:AROUND]
        if unit != asked.unit:
            raise GarbageError(f"unit {unit} speaks instead of unit {asked.unit}")
        if function == asked.function | 0x80:
            return REFUSAL_SIZE
        if function != asked.function:
            raise GarbageError(f"the answer is for function {function}, not for function {asked.function}")
        if function in READS and third != 2 * asked.count:
            if self._sent.startswith(self._data) or self._data.startswith(self._sent):
                raise GarbageError("the line echoes what is sent: switch the echo of the adapter off")
            raise GarbageError(f"{third} bytes of registers are announced instead of {2 * asked.count}")
        return AROUND + asked.answer_size()

    def _late_size(self, asked: Ask) -> int:
        """Return how long the older answer is that begins here; 0 where none does that can be told apart."""
        wanted = asked.answer_head() if self._data[0] == asked.unit else b""
        for head, size in self._owed.of(self._data[0]):
            if head != wanted and self._data.startswith(head[: len(self._data) - 1], 1):
                return AROUND + size
        return 0


def _shown(data: bytearray) -> str:
    return data[:16].hex(" ")
