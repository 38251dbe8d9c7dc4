"""Writes the points of one device and verifies what it then holds. Knows nothing of leases and limits."""

import asyncio
from dataclasses import dataclass

from drivers import codec
from drivers.commands import part_kw, steps_of
from drivers.turns import Priority
from drivers.wear import WearBook
from drivers.wire import Outcome, PointRef, Wire
from station.errors import DriverError, Rejected
from station.profile import DeviceBinding, Point, Step


@dataclass(frozen=True, slots=True)
class Errand:
    """For which asset something is written and how urgently; ``must``: also where the memory wears."""

    asset_id: str
    priority: Priority
    must: bool = False


class Writer:
    """The only writer of a device. ``may_write`` False (shadow operation) forbids every write."""

    def __init__(self, binding: DeviceBinding, wire: Wire, *, may_write: bool) -> None:
        self._binding = binding
        self._wire = wire
        self._may_write = may_write
        self._wear = WearBook()
        self._beats: dict[str, int] = {}
        self._commanded_kw: dict[str, float] = {}
        self.local: dict[str, bool] = {}
        """The assets that somebody at the device has in hand."""

    async def command(self, asset_id: str, setpoint_kw: float, priority: Priority) -> None:
        """Carry out a setpoint (load convention), step by step, each verified; raise ``DriverError`` at the first.

        One that asks for less power than the last is written even where the memory has worn enough for today.
        """
        lowers = setpoint_kw == 0.0 or abs(setpoint_kw) < abs(self._commanded_kw.get(asset_id, 0.0))
        for step in steps_of(self._binding.profile, setpoint_kw):
            await self._do(Errand(asset_id, priority, must=lowers), step, setpoint_kw)
        self._commanded_kw[asset_id] = setpoint_kw

    async def release(self, asset_id: str) -> None:
        """Give control back, where the device can be told so; raise ``DriverError``."""
        for step in self._binding.profile.commands.get("release", ()):
            await self._do(Errand(asset_id, Priority.SETPOINT, must=True), step, 0.0)

    async def beat(self, asset_id: str, name: str, priority: Priority) -> None:
        """Write another number to a point that must change while we live."""
        point = self._point(name)
        low, high = point.valid or (0.0, 255.0)
        number = self._beats.get(asset_id, -1) + 1
        self._beats[asset_id] = number
        await self._set(Errand(asset_id, priority), point, low + number % int(high - low + 1.0))

    async def ensure(self, asset_id: str, name: str, value: float) -> None:
        """Set a point, given in heliodock's unit, only where the device doesn't hold the value already."""
        errand = Errand(asset_id, Priority.HEARTBEAT)
        await self._ensure(errand, self._point(name), self.own_value(asset_id, name, value))

    async def set(self, asset_id: str, name: str, value: float, priority: Priority) -> None:
        """Write a value in heliodock's unit and compare with what the device then holds; raise ``DriverError``."""
        own = self.own_value(asset_id, name, value)
        await self._set(Errand(asset_id, priority), self._point(name), own)

    def holds(self, asset_id: str, name: str, value: float, held: Outcome) -> bool:
        """Return whether ``held`` is what a write of ``value`` (heliodock's unit) leaves in the device."""
        try:
            own = self.own_value(asset_id, name, value)
        except DriverError:
            return False
        return self._is_held(asset_id, self._point(name), own, held)

    def kept_of(self, asset_id: str, name: str, value: float) -> float:
        """Return what the device makes of a value, both in heliodock's unit: a whole step; raise ``DriverError``."""
        try:
            kept = self._wire.rounded(self._ref(asset_id, name), self.own_value(asset_id, name, value))
        except ValueError as misfit:
            raise Rejected(self._binding.device_id, str(misfit), name) from None
        assert isinstance(kept, float)
        return codec.to_canonical(self._point(name), kept, self._kw_per_a(asset_id))

    def own_value(self, asset_id: str, name: str, value: float) -> float:
        """Return a value of heliodock's unit in the point's own; raise ``Rejected`` where it has none."""
        point = self._point(name)
        if value == 0.0 and point.write is not None and point.write.zero_as is not None:
            return point.write.zero_as
        try:
            return codec.from_canonical(point, value, self._kw_per_a(asset_id))
        except ValueError as misfit:
            raise Rejected(self._binding.device_id, str(misfit), name) from None

    async def _do(self, errand: Errand, step: Step, setpoint_kw: float) -> None:
        value = step.value
        if value is None:
            value = self.own_value(errand.asset_id, step.point, part_kw(step, setpoint_kw))
        if step.is_kept:
            await self._ensure(errand, self._point(step.point), value)
        else:
            await self._set(errand, self._point(step.point), value)

    async def _ensure(self, errand: Errand, point: Point, value: float) -> None:
        held = await self._read_one(errand, point.name)
        if not self._is_held(errand.asset_id, point, value, held):
            await self._write(errand, point, value)

    async def _set(self, errand: Errand, point: Point, value: float) -> None:
        if point.write is not None and point.write.wears and point.readable:
            await self._ensure(errand, point, value)  # what it holds already need not wear it
        else:
            await self._write(errand, point, value)

    async def _write(self, errand: Errand, point: Point, value: float) -> None:
        """Write a value in the point's own unit and compare with what the device then holds."""
        self._check(errand, point)
        await self._wire.write(self._ref(errand.asset_id, point.name), value, errand.priority)
        if point.write is None or not point.write.readback:
            return
        held = await self._read_one(errand, point.name)
        if not self._is_held(errand.asset_id, point, value, held):
            text = f"the device holds {held} {point.unit} instead".replace("  ", " ")
            raise Rejected(self._binding.device_id, text, point.name)

    def _check(self, errand: Errand, point: Point) -> None:
        """Raise ``Rejected`` where nothing must be written now, and count what wears."""
        device_id, rule = self._binding.device_id, point.write
        if not self._may_write:
            raise Rejected(device_id, "shadow operation: nothing is written", point.name)
        if self.local.get(errand.asset_id, False):
            raise Rejected(device_id, "the device is in local mode", point.name)
        if rule is None:
            raise Rejected(device_id, "cannot be written", point.name)
        if not rule.wears:
            return
        key, now_s = (errand.asset_id, point.name), asyncio.get_running_loop().time()
        wait_s = self._wear.wait_s(key, rule.writes_per_day, now_s)
        if wait_s > 0.0 and not errand.must:
            text = f"its memory takes {rule.writes_per_day} writes a day; the next in {wait_s:.0f} s"
            raise Rejected(device_id, text, point.name)
        self._wear.note(key, rule.writes_per_day, now_s)

    async def _read_one(self, errand: Errand, name: str) -> codec.Value | None:
        ref = self._ref(errand.asset_id, name)
        found = (await self._wire.read([ref], errand.priority))[ref]
        if isinstance(found, DriverError):
            raise found
        return found

    def _is_held(self, asset_id: str, point: Point, value: float, held: Outcome) -> bool:
        if point.write is None or not isinstance(held, float):
            return False
        try:
            written = self._wire.rounded(self._ref(asset_id, point.name), value)
        except (ValueError, DriverError):
            return False
        if not isinstance(written, float):
            return False
        return abs(held - written) <= point.write.tolerance + 1e-6 * max(1.0, abs(written))

    def _point(self, name: str) -> Point:
        point = self._binding.profile.points.get(name)
        if point is None:
            raise Rejected(self._binding.device_id, "cannot be written", name)
        return point

    def _ref(self, asset_id: str, name: str) -> PointRef:
        return PointRef(self._binding.asset_ids.index(asset_id), name)

    def _kw_per_a(self, asset_id: str) -> float:
        return self._binding.kw_per_a.get(asset_id, 0.0)
