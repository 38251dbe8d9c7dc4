"""A captured link once more, without the device: the same bytes through the same checks and the same decoding.

Each captured request is asked again through the real link, which hears what the device answered then. What the answers
hold is kept by register, and the device's points are read from that by the real driver, with any profile.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from drivers.capture import Capture, Event, What
from drivers.modbus import ModbusLink, Pace
from drivers.modbus_frame import HEADER, Ask, NoSuchRegister
from drivers.modbus_points import ModbusPoints
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import DriverError
from station.profile import DeviceBinding, Profile

Register = tuple[int, int, int]
"""Unit, function and address."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came of it; ``ask`` is None where the request itself can't be read."""

    at_s: float
    ask: Ask | None
    fault: DriverError | None = None

    def __str__(self) -> str:
        if self.ask is None:
            return "connection"
        count = self.ask.count or len(self.ask.words)
        what = "write" if self.ask.words else "read"
        return f"{what} unit {self.ask.unit} function {self.ask.function} address {self.ask.address} count {count}"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of reading gave: the exchanges, and each asset's points by the profile."""

    at_s: float
    exchanges: tuple[Exchange, ...]
    points: Mapping[str, Mapping[str, Outcome]]


@dataclass
class _Image:
    """The newest words and refusals by register."""

    words: dict[Register, int] = field(default_factory=dict)
    faults: dict[Register, DriverError] = field(default_factory=dict)

    def keep(self, ask: Ask, answer: Sequence[int] | DriverError) -> None:
        function = 3 if ask.words else ask.function
        for offset in range(ask.count or len(ask.words)):
            key = ask.unit, function, ask.address + offset
            if isinstance(answer, DriverError):
                self.faults[key] = answer
                self.words.pop(key, None)
            else:
                self.words[key] = answer[offset]
                self.faults.pop(key, None)

    def answer(self, ask: Ask, device_id: str) -> tuple[int, ...]:
        keys = [(ask.unit, ask.function, ask.address + offset) for offset in range(ask.count)]
        for key in keys:
            fault = self.faults.get(key)
            if fault is not None:
                raise NoSuchRegister(device_id, fault.cause)
            if key not in self.words:
                raise NoSuchRegister(device_id, "this register is not in the capture")
        return tuple(self.words[key] for key in keys)


class _Heard:
    """A transport that gives what was heard after a request, then nothing."""

    is_open = True

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def open(self, timeout_s: float) -> None:
        pass

    def close(self) -> None:
        pass

    async def send(self, data: bytes, timeout_s: float) -> None:
        pass

    async def receive(self, timeout_s: float) -> bytes:
        while self.events and timeout_s > 0.0:
            event = self.events.pop(0)
            if event.what is What.GOT:
                return event.data
            if event.what is What.CLOSED or event.cause:
                raise ConnectionResetError(event.cause or "the connection was closed")
        raise TimeoutError


class _ImageLink(ModbusLink):
    """Answers requests from what was captured. What is not there fails alone, as a register that a device lacks."""

    def __init__(self, image: _Image) -> None:
        super().__init__(_Heard())
        self._image = image

    async def ask(self, ask: Ask, device_id: str, **_how: object) -> tuple[int, ...]:
        """Return the captured registers."""
        return self._image.answer(ask, device_id)


async def replay(capture: Capture, profile: Profile) -> list[Round]:
    """Return every round of a capture, decoded with a profile. Nothing is opened and nothing waits."""
    header = capture.header
    binding = DeviceBinding(
        header.device, profile, "capture", 0, header.unit, header.assets, 1.0, dict(header.kw_per_a)
    )
    heard, image = _Heard(), _Image()
    link = ModbusLink(heard, Pace(back_off_s=0.0))
    is_rtu = header.framing == "rtu"
    rounds = []
    for events in _rounds(capture.events):
        exchanges = []
        for part in _parts(events):
            if is_rtu:  # what a link does after a fault is in the capture; it must not do it again
                link = ModbusLink(heard, Pace(back_off_s=0.0), is_rtu=True)
            exchanges.append(await _again(link, heard, image, part, profile))
        points = await _points(binding, image)
        rounds.append(Round(events[0].at_s, tuple(exchanges), points))
    return rounds


async def _again(
    link: ModbusLink, heard: _Heard, image: _Image, events: Sequence[Event], profile: Profile
) -> Exchange:
    """Ask one captured request again, of what was heard then."""
    first = events[0]
    if first.what is not What.SENT:
        return Exchange(first.at_s, None, DriverError("", first.cause))
    ask = ask_of(first.data, is_rtu=link.is_rtu)
    if ask is None:
        return Exchange(
            first.at_s, None, DriverError("", f"a request that can't be read: {first.data.hex()}")
        )
    heard.events = list(events[1:])
    try:
        words = await link.ask(ask, "", timeout_s=profile.timeout_s, priority=Priority.FAST)
    except DriverError as fault:
        image.keep(ask, fault)
        return Exchange(first.at_s, ask, fault)
    image.keep(ask, words)
    return Exchange(first.at_s, ask)


async def _points(binding: DeviceBinding, image: _Image) -> dict[str, dict[str, Outcome]]:
    wire = ModbusPoints(binding, _ImageLink(image))
    names = binding.profile.points
    refs = [PointRef(number, name) for number, _ in enumerate(binding.asset_ids) for name in names]
    outcomes = await wire.read(refs, Priority.FAST)
    return {
        asset_id: {name: outcomes[PointRef(number, name)] for name in names}
        for number, asset_id in enumerate(binding.asset_ids)
    }


def ask_of(frame: bytes, *, is_rtu: bool = False) -> Ask | None:
    """Return what a frame asks for, None where it is none that heliodock sends."""
    start, end = (1, len(frame) - 2) if is_rtu else (HEADER.size, len(frame))
    if end < start + 5:
        return None
    unit, pdu = frame[start - 1], frame[start:end]
    function, address, number = struct.unpack_from(">BHH", pdu)
    if function in (3, 4):
        return Ask(unit, function, address, count=number)
    if function == 6:
        return Ask(unit, function, address, words=(number,))
    if function == 16 and len(pdu) == 6 + 2 * number:
        return Ask(unit, function, address, words=struct.unpack_from(f">{number}H", pdu, 6))
    return None


def _rounds(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield the events of each round; without any mark all are one."""
    current: list[Event] = []
    for event in events:
        if event.what is What.POLL and current:
            yield current
            current = []
        current.append(event)
    if current:
        yield current


def _parts(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Yield each request with what was heard after it, and each connection that failed by itself."""
    current: list[Event] = []
    for event in events:
        if event.what is What.SENT:
            if current:
                yield current
            current = [event]
        elif current:
            current.append(event)
        elif event.what is What.FAILED:
            yield [event]
    if current:
        yield current
