"""A Modbus device that answers wrongly in every way that was seen in the field, and the truth to judge answers by.

It sits at the end of a connection in memory and lives in the time of the event loop. Chance is seeded: the same seed
makes the same misdeeds. It answers in the order of the requests, as a device does: what comes late delays what follows.

Each register holds a number made of unit, function, address and of how many requests the device performed before. So a
value of another place or of another moment is known as such.
"""

import asyncio
import random
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drivers.modbus_frame import HEADER, READS, Ask
from drivers.rtu_frame import crc
from drivers.rtu_frame import framed as rtu_framed
from drivers.transport import CLOSED, Inbox

RESET = object()
FINISH = object()
Event = tuple[float, object]
"""After how many seconds which bytes come, or ``RESET`` or ``FINISH``."""
TICK_S = 1e-6
"""Between two things that the device sends as fast as it can: the event loop keeps no order at one instant."""
LOST = "lost on the way"
"""The misdeed whose request the device never performs."""


def truth(unit: int, function: int, address: int, generation: int) -> int:
    """Return what a register holds after so many requests."""
    mixed = (
        unit * 0x9E3779B1 ^ function * 0x85EBCA6B ^ address * 0xC2B2AE35 ^ generation * 0x27D4EB2F
    ) & 0xFFFFFFFF
    mixed = (mixed ^ mixed >> 15) * 0x2C1B3C6D & 0xFFFFFFFF
    return (mixed ^ mixed >> 13) & 0xFFFF


@dataclass(slots=True)
class Turn:
    """One request and its true answer, with what a misdeed needs to spoil it."""

    chance: random.Random
    timeout_s: float
    is_rtu: bool
    transaction: int
    unit: int
    request: bytes
    answer: bytes
    before: bytes
    before_pdu: bytes

    def frame(
        self, pdu: bytes | None = None, *, unit: int | None = None, transaction: int | None = None
    ) -> bytes:
        """Return an answer on the wire: the true one, or another."""
        pdu = self.answer if pdu is None else pdu
        unit = self.unit if unit is None else unit
        if self.is_rtu:
            return rtu_framed(unit, pdu)
        number = self.transaction if transaction is None else transaction
        return HEADER.pack(number, 0, len(pdu) + 1, unit) + pdu

    @property
    def is_read(self) -> bool:
        """Return whether registers are asked for."""
        return self.request[0] in READS

    @property
    def is_after_another(self) -> bool:
        """Return whether the answer before had another shape; nobody could tell two equal ones apart."""
        size = 2 if self.is_read else 5
        return bool(self.before_pdu) and self.before_pdu[:size] != self.answer[:size]


Misdeed = Callable[[Turn], list[Event]]


def _at_once(data: bytes) -> list[Event]:
    return [(0.0, data)]


def _wrong_unit(turn: Turn) -> list[Event]:
    return _at_once(turn.frame(unit=(turn.unit + turn.chance.randint(1, 9)) & 0xFF))


def _wrong_function(turn: Turn) -> list[Event]:
    other = {3: 4, 4: 3, 6: 16, 16: 6}[turn.request[0]]
    return _at_once(turn.frame(bytes((other,)) + turn.answer[1:]))


def _short(turn: Turn) -> list[Event]:
    pdu = turn.answer
    if turn.is_read:
        return _at_once(turn.frame(bytes((pdu[0], max(pdu[1] - 2, 0))) + pdu[2:-2]))
    return _at_once(turn.frame(pdu[:-1]))


def _long(turn: Turn) -> list[Event]:
    pdu = turn.answer
    if turn.is_read:
        return _at_once(turn.frame(bytes((pdu[0], pdu[1] + 2)) + pdu[2:] + b"\x12\x34"))
    return _at_once(turn.frame(pdu + b"\x00"))


def _byte_count_lies(turn: Turn) -> list[Event]:
    pdu = turn.answer
    lie = (pdu[1] + 2 * turn.chance.choice((-1, 1))) & 0xFF
    return _at_once(turn.frame(bytes((pdu[0], lie)) + pdu[2:]))


def _truncated(turn: Turn) -> list[Event]:
    frame = turn.frame()
    return _at_once(frame[: turn.chance.randint(1, len(frame) - 1)])


def _cut_pdu(turn: Turn) -> list[Event]:
    return _at_once(turn.frame(turn.answer[: turn.chance.randint(1, len(turn.answer) - 1)]))


def _trailing(turn: Turn) -> list[Event]:
    return _at_once(turn.frame() + turn.chance.randbytes(turn.chance.randint(1, 6)))


def _garbage_before(turn: Turn) -> list[Event]:
    return _at_once(turn.chance.randbytes(turn.chance.randint(1, 12)) + turn.frame())


def _garbage_after(turn: Turn) -> list[Event]:
    return [(0.0, turn.frame()), (0.0, turn.chance.randbytes(turn.chance.randint(1, 12)))]


def _glued_to_older(turn: Turn) -> list[Event]:
    return _at_once(turn.before + turn.frame())


def _glued_to_other(turn: Turn) -> list[Event]:
    return _at_once(turn.frame() + turn.before)


def _single_bytes(turn: Turn) -> list[Event]:
    frame = turn.frame()
    step_s = 0.5 * turn.timeout_s / len(frame)
    return [(step_s * number, frame[number : number + 1]) for number in range(len(frame))]


def _too_slow_bytes(turn: Turn) -> list[Event]:
    frame = turn.frame()
    step_s = 2.0 * turn.timeout_s / len(frame)
    return [(step_s * number, frame[number : number + 1]) for number in range(len(frame))]


def _late(turn: Turn) -> list[Event]:
    return [(turn.timeout_s * turn.chance.uniform(1.0, 4.0), turn.frame())]


def _late_refusal(turn: Turn) -> list[Event]:
    refusal = bytes((turn.request[0] | 0x80, turn.chance.choice((1, 2, 3, 4))))
    return [(turn.timeout_s * turn.chance.uniform(1.0, 4.0), turn.frame(refusal))]


def _duplicate(turn: Turn) -> list[Event]:
    return [(0.0, turn.frame())] * turn.chance.randint(2, 5)


def _older(turn: Turn) -> list[Event]:
    return _at_once(turn.before) if turn.is_after_another else _wrong_unit(turn)


def _older_renumbered(turn: Turn) -> list[Event]:
    return _at_once(turn.frame(turn.before_pdu)) if turn.is_after_another else _wrong_unit(turn)


def _exception(turn: Turn) -> list[Event]:
    return _at_once(turn.frame(bytes((turn.request[0] | 0x80, turn.chance.choice((1, 3, 4, 5, 6, 10, 11))))))


def _unknown_exception(turn: Turn) -> list[Event]:
    return _at_once(turn.frame(bytes((turn.request[0] | 0x80, turn.chance.choice((0, 7, 9, 12, 99, 255))))))


def _exception_of_other(turn: Turn) -> list[Event]:
    other = {3: 4, 4: 3, 6: 16, 16: 6}[turn.request[0]]
    return _at_once(turn.frame(bytes((other | 0x80, 2))))


def _other_value(turn: Turn) -> list[Event]:
    pdu = turn.answer
    return _wrong_function(turn) if turn.is_read else _at_once(turn.frame(pdu[:-1] + bytes((pdu[-1] ^ 1,))))


def _other_address(turn: Turn) -> list[Event]:
    pdu = turn.answer
    return (
        _wrong_unit(turn) if turn.is_read else _at_once(turn.frame(pdu[:2] + bytes((pdu[2] ^ 1,)) + pdu[3:]))
    )


def _noise(turn: Turn) -> list[Event]:
    return _at_once(turn.chance.randbytes(turn.chance.randint(1, 60)))


def _zeros(turn: Turn) -> list[Event]:
    return _at_once(bytes(len(turn.frame())))


def _nothing(turn: Turn) -> list[Event]:  # noqa: ARG001  silence needs nothing to be silent about
    return []


def _reset(turn: Turn) -> list[Event]:  # noqa: ARG001  it looks the same for every request
    return [(0.0, RESET)]


def _finish_in_mid_frame(turn: Turn) -> list[Event]:
    frame = turn.frame()
    return [(0.0, frame[: turn.chance.randint(1, len(frame) - 1)]), (0.0, FINISH)]


def _wrong_transaction(turn: Turn) -> list[Event]:
    return _at_once(turn.frame(transaction=(turn.transaction + turn.chance.randint(1, 900)) & 0xFFFF))


def _wrong_protocol(turn: Turn) -> list[Event]:
    frame = turn.frame()
    return _at_once(frame[:2] + struct.pack(">H", turn.chance.randint(1, 0xFFFF)) + frame[4:])


def _length_field(turn: Turn, length: int) -> list[Event]:
    frame = turn.frame()
    return _at_once(frame[:4] + struct.pack(">H", length & 0xFFFF) + frame[6:])


def _length_too_small(turn: Turn) -> list[Event]:
    return _length_field(turn, turn.chance.randint(0, len(turn.answer)))


def _length_too_large(turn: Turn) -> list[Event]:
    return _length_field(turn, len(turn.answer) + 1 + turn.chance.choice((1, 2, 7, 400)))


def _wrong_crc(turn: Turn) -> list[Event]:
    frame = turn.frame()
    return _at_once(frame[:-2] + struct.pack("<H", crc(frame[:-2]) ^ turn.chance.randint(1, 0xFFFF)))


def _swapped_crc(turn: Turn) -> list[Event]:
    frame = turn.frame()
    return _wrong_crc(turn) if frame[-1] == frame[-2] else _at_once(frame[:-2] + frame[-1:] + frame[-2:-1])


def _bit_flip(turn: Turn) -> list[Event]:
    frame = bytearray(turn.frame())
    bit = turn.chance.randrange(8 * len(frame))
    frame[bit // 8] ^= 1 << bit % 8
    return _at_once(bytes(frame))


def _other_speaks(turn: Turn) -> list[Event]:
    return [(0.0, turn.frame(unit=turn.unit % 247 + 1)), (0.0, turn.frame())]


def _line_echo(turn: Turn) -> list[Event]:
    return [(0.0, rtu_framed(turn.unit, turn.request)), (0.0, turn.frame())]


COMMON: Mapping[str, Misdeed] = {
    "wrong unit": _wrong_unit,
    "wrong function": _wrong_function,
    "too few registers": _short,
    "too many registers": _long,
    "byte count that lies": _byte_count_lies,
    "truncated frame": _truncated,
    "truncated data in a whole frame": _cut_pdu,
    "trailing bytes": _trailing,
    "garbage before": _garbage_before,
    "garbage after": _garbage_after,
    "glued behind an older answer": _glued_to_older,
    "older answer glued behind": _glued_to_other,
    "single bytes": _single_bytes,
    "single bytes, too slow": _too_slow_bytes,
    "late": _late,
    "late refusal": _late_refusal,
    "duplicate": _duplicate,
    "answer to the request before": _older,
    "data of the request before": _older_renumbered,
    "refusal": _exception,
    "unknown refusal": _unknown_exception,
    "refusal of another function": _exception_of_other,
    "confirms another value": _other_value,
    "confirms another address": _other_address,
    "noise": _noise,
    "zeros": _zeros,
    "silence": _nothing,
    LOST: _nothing,
    "reset": _reset,
    "end in mid frame": _finish_in_mid_frame,
}
TCP_MISDEEDS: Mapping[str, Misdeed] = {
    **COMMON,
    "wrong transaction": _wrong_transaction,
    "wrong protocol": _wrong_protocol,
    "length too small": _length_too_small,
    "length too large": _length_too_large,
}
RTU_MISDEEDS: Mapping[str, Misdeed] = {
    **COMMON,
    "wrong checksum": _wrong_crc,
    "swapped checksum": _swapped_crc,
    "bit flip": _bit_flip,
    "another unit speaks": _other_speaks,
    "line echo": _line_echo,
}


@dataclass
class MisbehavingDevice:
    """All units of one link. Of its answers a share ``badness`` is spoilt by one of the misdeeds."""

    chance: random.Random
    is_rtu: bool
    timeout_s: float
    badness: float = 0.5
    done: dict[str, int] = field(default_factory=dict)
    generation: int = 0
    performed: tuple[int, bytes] = (0, b"")
    """Unit and request of the last one that was performed."""
    _before: bytes = b""
    _before_pdu: bytes = b""

    def __post_init__(self) -> None:
        self._misdeeds = RTU_MISDEEDS if self.is_rtu else TCP_MISDEEDS
        self._names = tuple(self._misdeeds)

    def answer(self, data: bytes) -> list[Event]:
        """Return what comes back for a whole request."""
        transaction, unit, request = self._parts(data)
        is_bad = self.chance.random() < self.badness
        name = self._names[int(self.chance.random() * len(self._names))] if is_bad else ""
        answer = b"" if name == LOST else self._perform(unit, request)
        turn = Turn(
            self.chance,
            self.timeout_s,
            self.is_rtu,
            transaction,
            unit,
            request,
            answer,
            self._before,
            self._before_pdu,
        )
        if not name:
            events = _at_once(turn.frame())
        else:
            self.done[name] = self.done.get(name, 0) + 1
            events = self._misdeeds[name](turn)
        if answer:
            self._before, self._before_pdu = turn.frame(), answer
        return events

    def holds(self, ask: Ask, words: tuple[int, ...]) -> bool:
        """Return whether an accepted answer is true: this request was performed last, and these were its registers."""
        if self.performed != (ask.unit, ask.pdu()):
            return False
        return bool(ask.words) or words == self._words(ask.unit, ask.function, ask.address, ask.count)

    def _parts(self, data: bytes) -> tuple[int, int, bytes]:
        if self.is_rtu:
            return 0, data[0], data[1:-2]
        transaction, _, _, unit = HEADER.unpack_from(data)
        return transaction, unit, data[HEADER.size :]

    def _perform(self, unit: int, request: bytes) -> bytes:
        self.generation += 1
        self.performed = unit, request
        function, address, count = struct.unpack_from(">BHH", request)
        if function not in READS:
            return request[:5]
        words = self._words(unit, function, address, count)
        return struct.pack(f">BB{count}H", function, 2 * count, *words)

    def _words(self, unit: int, function: int, address: int, count: int) -> tuple[int, ...]:
        generation = self.generation
        return tuple(truth(unit, function, address + offset, generation) for offset in range(count))


class MisbehavingTransport:
    """The connection to such a device. A line (RTU) goes on carrying late bytes after it was closed and opened."""

    def __init__(self, device: MisbehavingDevice) -> None:
        self._device = device
        self._inbox: Inbox | None = None
        self._free_s = 0.0

    @property
    def is_open(self) -> bool:
        """Return whether the connection stands."""
        return self._inbox is not None and not self._inbox.is_broken

    async def open(self, timeout_s: float) -> None:  # noqa: ARG002  it always opens
        """Connect."""
        self.close()
        self._inbox = Inbox()

    def close(self) -> None:
        """Drop the connection."""
        if self._inbox is not None:
            self._inbox.close()
        self._inbox = None

    async def send(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002  memory takes all at once
        """Let the device answer."""
        self.answer(data)

    def answer(self, data: bytes) -> None:
        """Let the device answer a request, after whatever it still has to say."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        inbox = self._inbox
        for after_s, what in self._device.answer(data):
            if after_s <= 0.0 and self._free_s <= now_s:
                self._hear(inbox, what)
                continue
            self._free_s = max(self._free_s + TICK_S, now_s + after_s)
            loop.call_at(self._free_s, self._hear, inbox, what)

    async def receive(self, timeout_s: float) -> bytes:
        """Return what arrived."""
        if self._inbox is None:
            raise ConnectionResetError("not connected")
        return await self._inbox.take(timeout_s)

    def _hear(self, inbox: Inbox | None, what: object) -> None:
        if self._device.is_rtu:
            inbox = self._inbox
        if inbox is None:
            return
        if isinstance(what, bytes):
            inbox.put(what)
        else:
            inbox.fail(CLOSED)
