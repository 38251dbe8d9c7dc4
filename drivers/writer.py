"""Writes the points of one device and verifies what it then holds. Knows nothing of leases and limits."""

import asyncio
from collections.abc import Mapping

from drivers import codec
from drivers.commands import part_kw, steps_of
from drivers.turns import Priority
from drivers.wear import WearBook
from drivers.wire import Outcome, PointRef, Wire
from station.errors import DriverError, Rejected
from station.profile import DeviceBinding, Point, Step


class Writer:
    """The only writer of a device. ``may_write`` False (shadow operation) forbids every write."""

    def __init__(self, binding: DeviceBinding, wire: Wire, *, may_write: bool) -> None:
        self._binding = binding
        self._wire = wire
        self._may_write = may_write
        self._wear = WearBook()
        self._beats: dict[str, int] = {}
        self.local: dict[str, bool] = {}
        """The assets that somebody at the device has in hand."""

    async def command(self, asset_id: str, setpoint_kw: float, priority: Priority) -> None:
        """Carry out a setpoint (load convention), step by step, each verified; raise ``DriverError`` at the first."""
        for step in steps_of(self._binding.profile, setpoint_kw):
            await self._do(asset_id, step, setpoint_kw, priority)

    async def release(self, asset_id: str) -> None:
        """Give control back, where the device can be told so; raise ``DriverError``."""
        for step in self._binding.profile.commands.get("release", ()):
            await self._do(asset_id, step, 0.0, Priority.SETPOINT)

    async def beat(self, asset_id: str, name: str, priority: Priority) -> None:
        """Write another number to a point that must change while we live."""
        point = self._point(name)
        low, high = point.valid or (0.0, 255.0)
        number = self._beats.get(asset_id, -1) + 1
        self._beats[asset_id] = number
        await self._set(asset_id, point, low + number % int(high - low + 1.0), priority)

    async def ensure(self, asset_id: str, name: str, value: float) -> None:
        """Set a point, given in heliodock's unit, only where the device doesn't hold the value already."""
        await self._ensure(
            asset_id, self._point(name), self.own_value(asset_id, name, value), Priority.HEARTBEAT
        )

    async def set(self, asset_id: str, name: str, value: float, priority: Priority) -> None:
        """Write a value in heliodock's unit and compare with what the device then holds; raise ``DriverError``."""
        await self._set(asset_id, self._point(name), self.own_value(asset_id, name, value), priority)

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

    async def _do(self, asset_id: str, step: Step, setpoint_kw: float, priority: Priority) -> None:
        value = step.value
        if value is None:
            value = self.own_value(asset_id, step.point, part_kw(step, setpoint_kw))
        if step.is_kept:
            await self._ensure(asset_id, self._point(step.point), value, priority)
        else:
            await self._set(asset_id, self._point(step.point), value, priority)

    async def _ensure(self, asset_id: str, point: Point, value: float, priority: Priority) -> None:
        held = await self._read_one(asset_id, point.name, priority)
        if not self._is_held(asset_id, point, value, held):
            await self._write(asset_id, point, value, held, priority)

    async def _set(self, asset_id: str, point: Point, value: float, priority: Priority) -> None:
        if point.write is not None and point.write.wears and point.readable:
            await self._ensure(asset_id, point, value, priority)  # what it holds already need not wear it
        else:
            await self._write(asset_id, point, value, None, priority)

    async def _write(
        self, asset_id: str, point: Point, value: float, before: Outcome, priority: Priority
    ) -> None:
        """Write a value in the point's own unit and compare with what the device then holds."""
        self._check(asset_id, point, value, before)
        await self._wire.write(self._ref(asset_id, point.name), value, priority)
        if point.write is None or not point.write.readback:
            return
        held = await self._read_one(asset_id, point.name, priority)
        if not self._is_held(asset_id, point, value, held):
            text = f"the device holds {held} {point.unit} instead".replace("  ", " ")
            raise Rejected(self._binding.device_id, text, point.name)

    def _check(self, asset_id: str, point: Point, value: float, before: Outcome) -> None:
        """Raise ``Rejected`` where nothing must be written now, and count what wears."""
        device_id, rule = self._binding.device_id, point.write
        if not self._may_write:
            raise Rejected(device_id, "shadow operation: nothing is written", point.name)
        if self.local.get(asset_id, False):
            raise Rejected(device_id, "the device is in local mode", point.name)
        if rule is None:
            raise Rejected(device_id, "cannot be written", point.name)
        if not rule.wears:
            return
        now_s = asyncio.get_running_loop().time()
        wait_s = self._wear.wait_s((asset_id, point.name), rule.writes_per_day, now_s)
        lowers = isinstance(before, float) and abs(value) < abs(before)
        if wait_s > 0.0 and not lowers:
            text = f"its memory takes {rule.writes_per_day} writes a day; the next in {wait_s:.0f} s"
            raise Rejected(device_id, text, point.name)
        self._wear.note((asset_id, point.name), rule.writes_per_day, now_s)

    async def _read_one(self, asset_id: str, name: str, priority: Priority) -> codec.Value | None:
        ref = self._ref(asset_id, name)
        outcome: Mapping[PointRef, Outcome] = await self._wire.read([ref], priority)
        found = outcome[ref]
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
