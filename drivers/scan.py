"""What answers behind a Modbus address: units, SunSpec, the profiles that fit. Reads only, one request at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from drivers.modbus import ModbusLink
from drivers.modbus_frame import EXCEPTIONS, Ask
from drivers.modbus_points import ModbusPoints
from drivers.turns import Priority
from drivers.wire import PointRef
from station.errors import DriverError, Unreachable
from station.profile import DeviceBinding, Profile

SUNSPEC_BASES = (40000, 0, 50000)
MARKER = (0x5375, 0x6E53)
"""``SunS``"""

COMMON_LENGTHS = (65, 66)
"""Registers of the common model (1), without and with the last word of padding."""

ABSENT = frozenset(EXCEPTIONS[code][1] for code in (10, 11))
"""A gateway says so of a unit that is not there."""

PRESENT = frozenset(EXCEPTIONS[code][1] for code in (4, 5, 6))
"""A unit that is there and can't answer now."""


@dataclass(frozen=True, slots=True)
class SunSpec:
    """The common block of a SunSpec device, at the register where its marker stands."""

    base: int
    maker: str
    model: str
    version: str
    serial: str


@dataclass(frozen=True, slots=True)
class Likeness:
    """A profile whose points all answer plausibly; ``telling`` of them have a range, symbols or a "none" pattern."""

    profile_id: str
    points: int
    telling: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that answers, and what it looks like, the best first."""

    unit: int
    said: str
    sunspec: SunSpec | None = None
    looks_like: tuple[Likeness, ...] = ()


class Scanner:
    """Asks the units behind one link, each with a short time-out."""

    def __init__(self, link: ModbusLink, timeout_s: float) -> None:
        self._link = link
        self._timeout_s = timeout_s

    async def find(self, unit: int) -> Unit | None:
        """Return a unit that answers anything at all, None where nobody does.

        Raises ``Unreachable`` where there is no connection.
        """
        try:
            (word,) = await self._read(unit, 3, 0, 1)
        except Unreachable as silent:
            if silent.cause.startswith("no connection"):
                raise
            return Unit(unit, silent.cause) if silent.cause in PRESENT else None
        except DriverError as refused:
            return Unit(unit, f"register 0: {refused.cause}")
        return Unit(unit, f"register 0 holds {word}")

    async def look(self, found: Unit, profiles: Iterable[Profile]) -> Unit:
        """Return a unit with its SunSpec block and the profiles that fit it."""
        sunspec = await self.sunspec(found.unit)
        likes = [like for profile in profiles if (like := await self._like(found.unit, profile)) is not None]
        likes.sort(key=lambda like: (-like.telling, -like.points, like.profile_id))
        return Unit(found.unit, found.said, sunspec, tuple(likes))

    async def sunspec(self, unit: int) -> SunSpec | None:
        """Return the common block, or None where no marker is found."""
        for base in SUNSPEC_BASES:
            try:
                if await self._read(unit, 3, base, 2) != MARKER:
                    continue
                model_id, length = await self._read(unit, 3, base + 2, 2)
                if model_id != 1 or length not in COMMON_LENGTHS:
                    return SunSpec(base, "", f"begins with model {model_id}", "", "")
                words = await self._read(unit, 3, base + 4, 64)
            except DriverError:
                continue
            maker, model, version, serial = (
                _text(words[start:end]) for start, end in ((0, 16), (16, 32), (40, 48), (48, 64))
            )
            return SunSpec(base, maker, model, version, serial)
        return None

    async def _like(self, unit: int, profile: Profile) -> Likeness | None:
        """Return how well a profile fits: its needed points all answer, in range, and not all of them are 0."""
        names = identifying(profile)
        binding = DeviceBinding("scan", profile, "", 0, unit, ("asset",), 1.0)
        wire = ModbusPoints(binding, self._link)
        refs = [PointRef(0, name) for name in names]
        try:
            if isinstance((await wire.read(refs[:1], Priority.SLOW))[refs[0]], DriverError):
                return None
            outcomes = list((await wire.read(refs, Priority.SLOW)).values())
        except DriverError:
            return None
        if any(isinstance(outcome, DriverError) for outcome in outcomes) or not any(outcomes):
            return None
        points = [profile.points[name] for name in names]
        telling = sum(1 for its in points if its.valid or its.symbols or its.not_available)
        return Likeness(profile.profile_id, len(names), telling)

    async def _read(self, unit: int, function: int, address: int, count: int) -> tuple[int, ...]:
        ask = Ask(unit, function, address, count)
        return await self._link.ask(ask, f"unit {unit}", timeout_s=self._timeout_s, priority=Priority.SLOW)


def identifying(profile: Profile) -> Sequence[str]:
    """Return the points that tell a device: those that tell most first."""
    names = [name for name, point in profile.points.items() if point.write is None]
    return sorted(names, key=lambda name: not (profile.points[name].valid or profile.points[name].symbols))


def _text(words: Sequence[int]) -> str:
    data = b"".join(word.to_bytes(2, "big") for word in words)
    return data.split(b"\0", 1)[0].decode("ascii", "replace").strip()
