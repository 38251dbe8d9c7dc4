"""Modbus RTU frames, on a serial line or carried over TCP. Pure.

A frame has no length and no number of its own. How long the answer is follows from what was asked: a read of n
registers is answered by 5 + 2 n bytes, a write by 8, a refusal by 5. Nothing else is a frame, and nothing is guessed
from pauses. The checksum is the one of the specification (Modbus over serial line 1.02, 6.2.2).
"""

import struct
from binascii import hexlify

from drivers.modbus_frame import Ask, Frame, GarbageError

READS = (3, 4)
REFUSAL_SIZE = 5
ECHO_SIZE = 8
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


def answer_size(ask: Ask) -> int:
    """Return the bytes of a good answer."""
    return 5 + 2 * ask.count if ask.function in READS else ECHO_SIZE


class RtuFraming:
    """Finds the answer to the request that was sent last; whatever else the line carries is garbage.

    Of a unit that was given up, one whole answer is known by its shape and is skipped; see ``give_up``.
    """

    has_numbers = False

    def __init__(self) -> None:
        self.skipped = 0
        self._data = bytearray()
        self._asked: Ask | None = None
        self._sent = b""
        self._owed: dict[int, set[tuple[int, int]]] = {}

    def request(self, ask: Ask) -> bytes:
        """Return the bytes to send. What came before them is no answer to them and is dropped."""
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

    def give_up(self, ask: Ask) -> None:
        """Remember that the answer to ``ask`` may still come."""
        self._owed.setdefault(ask.unit, set()).add((ask.function, answer_size(ask)))

    def settle(self, unit: int) -> None:
        """Forget what a unit may still answer."""
        self._owed.pop(unit, None)

    def owes(self, ask: Ask) -> bool:
        """Return whether an answer to an older request would look like the answer to this one."""
        return (ask.function, answer_size(ask)) in self._owed.get(ask.unit, ())

    def take(self) -> Frame | None:
        """Return the answer, None while it is not whole; raise ``GarbageError`` for anything else."""
        data, asked = self._data, self._asked
        if asked is None or len(data) < 3:
            return None
        if self._skip_late(asked):
            return self.take()
        size = self._size(asked)
        if len(data) < size:
            return None
        if crc(data[: size - 2]) != data[size - 2] | data[size - 1] << 8:
            raise GarbageError(f"wrong checksum: {_shown(data)}")
        if len(data) > size:
            raise GarbageError(f"{len(data) - size} bytes too many: {_shown(data)}")
        pdu = bytes(data[1 : size - 2])
        data.clear()
        return Frame(0, asked.unit, pdu)

    def _size(self, asked: Ask) -> int:
        """Return how long the answer is that begins here; raise ``GarbageError`` where none does."""
        unit, function, third = self._data[0], self._data[1], self._data[2]
        if unit != asked.unit:
            raise GarbageError(f"unit {unit} speaks instead of unit {asked.unit}")
        if function == asked.function | 0x80:
            return REFUSAL_SIZE
        size = answer_size(asked)
        if function != asked.function:
            raise GarbageError(f"the answer is for function {function}, not for function {asked.function}")
        if function in READS and third != size - REFUSAL_SIZE:
            if self._sent.startswith(bytes(self._data)) or self._data.startswith(self._sent):
                raise GarbageError("the line echoes what is sent: switch the echo of the adapter off")
            raise GarbageError(f"{third} bytes of registers are announced instead of {size - REFUSAL_SIZE}")
        return size

    def _skip_late(self, asked: Ask) -> bool:
        """Skip a whole answer, its checksum right, to a request that was given up."""
        data = self._data
        for function, size in self._owed.get(data[0], ()):
            if data[0] == asked.unit and (function, size) == (asked.function, answer_size(asked)):
                continue
            fits = data[1] == function and (function not in READS or data[2] == size - REFUSAL_SIZE)
            if fits and len(data) >= size and crc(data[: size - 2]) == data[size - 2] | data[size - 1] << 8:
                del data[:size]
                self.skipped += 1
                return len(data) >= 3
        return False


def _shown(data: bytearray) -> str:
    return hexlify(data[:16], " ").decode()
