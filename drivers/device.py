"""One device of the site: its assets read, its watchdog armed, its setpoints written and verified."""

from collections.abc import Mapping
from dataclasses import replace

from drivers import codec
from drivers.readings import READ_NAMES, Values, reading_of
from drivers.turns import Priority
from drivers.watchdog import Guard, is_left_alone, misfit, told
from drivers.wire import Aged, Outcome, PointRef, Wire
from station.clock import Clock
from station.errors import DriverError, Rejected, Unreachable
from station.measurement import AssetReading, MeterReading, NoReading, WriteResult
from station.profile import DeviceBinding, Point


class Device:
    """The assets behind one address. Failures of the device as a whole raise ``DriverError``.

    ``may_write`` False (shadow operation) forbids every write; a watchdog that is already set as wanted still counts
    as armed.
    """

    def __init__(
        self, binding: DeviceBinding, wire: Wire, guards: Mapping[str, Guard], *, may_write: bool = True
    ) -> None:
        self.binding = binding
        self._wire = wire
        self._guards = guards
        self._may_write = may_write
        self._armed: dict[str, bool] = dict.fromkeys(binding.asset_ids, False)
        self._local: dict[str, bool] = {}
        self._signs_of_life: dict[str, tuple[tuple[Outcome, ...], float]] = {}
        self._written: dict[str, WriteResult] = {}

    @property
    def device_id(self) -> str:
        """Return the id of the device."""
        return self.binding.device_id

    @property
    def armed(self) -> Mapping[str, bool]:
        """Return for each asset whether its watchdog was verified to hold the wanted lease and fallback.

        An asset that isn't armed must be booked at its rating.
        """
        return dict(self._armed)

    @property
    def can_arm(self) -> frozenset[str]:
        """Return the assets that have a watchdog and a guard to arm it with."""
        has_watchdog = self.binding.profile.watchdog is not None
        return frozenset(a for a in self.binding.asset_ids if has_watchdog and a in self._guards)

    async def read(self, clock: Clock) -> dict[str, AssetReading | NoReading]:
        """Return a reading, or why there is none, for each asset. ``measured_s`` errs towards too old."""
        measured_s = clock.now().mono_s
        self._leave_alone(measured_s)
        outcomes = await self._wire.read(self._polled(), Priority.FAST)
        if isinstance(self._wire, Aged):
            measured_s -= self._wire.age_s
        readings: dict[str, AssetReading | NoReading] = {}
        for connector, asset_id in enumerate(self.binding.asset_ids):
            own = {ref.name: outcome for ref, outcome in outcomes.items() if ref.connector == connector}
            readings[asset_id] = self._reading(asset_id, own, measured_s)
        return readings

    async def read_points(self) -> dict[str, dict[str, Outcome]]:
        """Return every point of every asset in its own unit, for commissioning."""
        names = [name for name, point in self.binding.profile.points.items() if point.readable]
        refs = [
            PointRef(connector, name) for connector, _ in enumerate(self.binding.asset_ids) for name in names
        ]
        outcomes = await self._wire.read(refs, Priority.SLOW)
        return {
            asset_id: {ref.name: outcome for ref, outcome in outcomes.items() if ref.connector == connector}
            for connector, asset_id in enumerate(self.binding.asset_ids)
        }

    async def arm(self, asset_id: str) -> None:
        """Make the device hold the guard's lease and fallback, verified by read-back; raise ``DriverError``.

        What is already held is not written again: such registers may wear.
        """
        watchdog, guard = self.binding.profile.watchdog, self._guards.get(asset_id)
        if watchdog is None or guard is None:
            raise Rejected(self.device_id, f"{asset_id} has no watchdog")
        self._armed[asset_id] = False
        problem = misfit(watchdog, guard)
        if problem:
            raise Rejected(self.device_id, f"{asset_id}: {problem}")
        for name, value in told(watchdog, guard):
            await self._ensure(asset_id, name, value)
        self._armed[asset_id] = True

    async def write(
        self, asset_id: str, setpoint_kw: float, *, sent_s: float, priority: Priority = Priority.SETPOINT
    ) -> WriteResult:
        """Write a setpoint, check that the device confirms and holds it, and return what became of it. Never raises.

        ``sent_s`` is the monotonic instant of the decision.
        """
        result = self._unchanged(asset_id, setpoint_kw, sent_s)
        if result is None:
            try:
                await self._set(asset_id, "setpoint_kw", setpoint_kw, priority)
                await self._count_anew(asset_id, priority)
                result = WriteResult(sent_s, setpoint_kw, confirmed=True)
            except DriverError as failed:
                result = WriteResult(sent_s, setpoint_kw, confirmed=False, cause=failed.cause)
        last = self._written.get(asset_id)
        if last is None or last.sent_s <= result.sent_s:
            self._written[asset_id] = result
        return result

    async def close(self) -> None:
        """Drop the connection."""
        await self._wire.close()

    async def _count_anew(self, asset_id: str, priority: Priority) -> None:
        """Write the length of a timer that counts down where it is written."""
        watchdog, guard = self.binding.profile.watchdog, self._guards.get(asset_id)
        if watchdog is not None and guard is not None and watchdog.kind == "countdown":
            await self._set(asset_id, watchdog.timeout_point, guard.lease_s, priority)

    def _leave_alone(self, now_s: float) -> None:
        """Raise where a request would keep a setpoint going whose lease is over."""
        watchdog = self.binding.profile.watchdog
        for asset_id, last in self._written.items():
            guard = self._guards.get(asset_id)
            if (
                watchdog is not None
                and guard is not None
                and is_left_alone(watchdog, guard, last.sent_s, now_s)
            ):
                raise Unreachable(self.device_id, "left alone until it has fallen back")

    def _polled(self) -> list[PointRef]:
        profile = self.binding.profile
        watchdog = profile.watchdog.points if profile.watchdog else ()
        names = dict.fromkeys((*READ_NAMES[profile.kind], *profile.alive, *watchdog))
        return [
            PointRef(connector, name)
            for connector, _ in enumerate(self.binding.asset_ids)
            for name in names
            if name in profile.points and profile.points[name].readable
        ]

    def _reading(
        self, asset_id: str, outcomes: Mapping[str, Outcome], measured_s: float
    ) -> AssetReading | NoReading:
        profile = self.binding.profile
        values = Values(self.device_id, profile, outcomes, self._kw_per_a(asset_id))
        try:
            reading = reading_of(profile.kind, values, measured_s)
            alive_s = self._alive_s(asset_id, values, measured_s)
        except (DriverError, ValueError) as failed:
            return NoReading(_in_words(failed))
        self._local[asset_id] = not isinstance(reading, MeterReading) and reading.is_local
        self._watch_guard(asset_id, outcomes)
        return replace(reading, measured_s=alive_s)

    def _alive_s(self, asset_id: str, values: Values, measured_s: float) -> float:
        """Return when the device last showed that it lives: now, unless every ``alive`` point stood still.

        A point that the device does not have is no sign; a device with none of them lives while it answers.
        """
        signs: tuple[Outcome, ...] = tuple(
            sign for name in self.binding.profile.alive if (sign := values.raw(name)) is not None
        )
        known = self._signs_of_life.get(asset_id)
        if signs and known is not None and known[0] == signs:
            return known[1]
        self._signs_of_life[asset_id] = signs, measured_s
        return measured_s

    def _watch_guard(self, asset_id: str, outcomes: Mapping[str, Outcome]) -> None:
        """Notice a device that lost its lease or fallback, as after a restart of its own."""
        watchdog, guard = self.binding.profile.watchdog, self._guards.get(asset_id)
        if not self._armed[asset_id] or watchdog is None or guard is None:
            return
        self._armed[asset_id] = all(
            self._runs(outcomes.get(name))
            if watchdog.kind == "countdown" and name == watchdog.timeout_point
            else self._holds(asset_id, name, value, outcomes.get(name))
            for name, value in told(watchdog, guard)
        )

    @staticmethod
    def _runs(held: Outcome) -> bool:
        """Return whether a timer that counts down has not run out."""
        return isinstance(held, float) and held > 0.0

    async def _ensure(self, asset_id: str, name: str, value: float) -> None:
        """Set a point only where the device doesn't hold the value already."""
        if not self._holds(asset_id, name, value, await self._read_one(asset_id, name)):
            await self._set(asset_id, name, value, Priority.HEARTBEAT)

    async def _set(self, asset_id: str, name: str, value: float, priority: Priority) -> None:
        """Write a canonical value and compare with what the device then holds."""
        if not self._may_write:
            raise Rejected(self.device_id, "shadow operation: nothing is written", name)
        if self._local.get(asset_id, False):
            raise Rejected(self.device_id, "the device is in local mode", name)
        point = self.binding.profile.points.get(name)
        if point is None or point.write is None:
            raise Rejected(self.device_id, "cannot be written", name)
        await self._wire.write(self._ref(asset_id, name), self._own_value(asset_id, point, value), priority)
        if not point.write.readback:
            return
        held = await self._read_one(asset_id, name, priority)
        if not self._holds(asset_id, name, value, held):
            raise Rejected(
                self.device_id, f"the device holds {held} {point.unit} instead".replace("  ", " "), name
            )

    async def _read_one(
        self, asset_id: str, name: str, priority: Priority = Priority.HEARTBEAT
    ) -> codec.Value | None:
        ref = self._ref(asset_id, name)
        outcome = (await self._wire.read([ref], priority))[ref]
        if isinstance(outcome, DriverError):
            raise outcome
        return outcome

    def _holds(self, asset_id: str, name: str, value: float, held: Outcome) -> bool:
        """Return whether ``held`` is what a write of the canonical ``value`` leaves in the device."""
        point = self.binding.profile.points[name]
        if point.write is None or not isinstance(held, float):
            return False
        try:
            wanted = self._own_value(asset_id, point, value)
            written = self._wire.rounded(self._ref(asset_id, name), wanted)
        except (ValueError, DriverError):
            return False
        if not isinstance(written, float):
            return False
        return abs(held - written) <= point.write.tolerance + 1e-6 * max(1.0, abs(written))

    def _own_value(self, asset_id: str, point: Point, value: float) -> float:
        if value == 0.0 and point.write is not None and point.write.zero_as is not None:
            return point.write.zero_as
        try:
            return codec.from_canonical(point, value, self._kw_per_a(asset_id))
        except ValueError as misfit:
            raise Rejected(self.device_id, str(misfit), point.name) from None

    def _unchanged(self, asset_id: str, setpoint_kw: float, sent_s: float) -> WriteResult | None:
        """Return the last write where the device wants to be spared a repetition of the same value so soon."""
        point, last = self.binding.profile.points.get("setpoint_kw"), self._written.get(asset_id)
        if point is None or point.write is None or last is None:
            return None
        is_soon = sent_s - last.sent_s < point.write.min_interval_s
        return last if last.confirmed and last.power_kw == setpoint_kw and is_soon else None

    def _ref(self, asset_id: str, name: str) -> PointRef:
        return PointRef(self.binding.asset_ids.index(asset_id), name)

    def _kw_per_a(self, asset_id: str) -> float:
        return self.binding.kw_per_a.get(asset_id, 0.0)


def _in_words(failed: DriverError | ValueError) -> str:
    if isinstance(failed, DriverError) and failed.point:
        return f"{failed.point}: {failed.cause}"
    return failed.cause if isinstance(failed, DriverError) else str(failed)
