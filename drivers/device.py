"""One device of the site: its assets read, its watchdog armed, its setpoints written and verified."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

import structlog

from drivers.commands import held_kw
from drivers.masters import Masters
from drivers.readings import READ_NAMES, Values, reading_of
from drivers.thrift import Thrift
from drivers.turns import Priority
from drivers.watchdog import SLACK, Guard, is_left_alone, misfit, told
from drivers.wire import Aged, Outcome, PointRef, Wire
from drivers.writer import Writer
from station.clock import Clock
from station.errors import DriverError, Rejected, Unreachable
from station.measurement import (
    AssetReading,
    MeterReading,
    NoReading,
    WriteResult,
)
from station.profile import DeviceBinding

FAREWELL_S = 1.0

log = structlog.get_logger(__name__)


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
        self._aged = wire if isinstance(wire, Aged) else None  # asked once: it is slow
        self._guards = guards
        self._writer = Writer(binding, wire, may_write=may_write)
        self._thrift = Thrift(binding)
        self._masters = {asset_id: Masters() for asset_id in binding.asset_ids}
        self._now_s = -math.inf
        self._writes = dict.fromkeys(binding.asset_ids, 0)
        """Odd while a setpoint is being written."""
        self._armed: dict[str, bool] = dict.fromkeys(binding.asset_ids, False)
        self._signs_of_life: dict[str, tuple[tuple[Outcome, ...], float]] = {}
        self._written: dict[str, WriteResult] = {}
        self._guarding: dict[str, list[Outcome]] = {}
        self._refs = self._polled()

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
        self._now_s = measured_s
        writes = dict(self._writes)
        try:
            outcomes = await self._wire.read(self._refs, Priority.FAST)
        except DriverError:
            for masters in self._masters.values():
                masters.forget()  # it may come back restarted
            raise
        if self._aged is not None:
            measured_s -= self._aged.age_s
        readings: dict[str, AssetReading | NoReading] = {}
        own: list[dict[str, Outcome]] = [{} for _ in self.binding.asset_ids]
        for (connector, name), outcome in outcomes.items():
            own[connector][name] = outcome
        for connector, asset_id in enumerate(self.binding.asset_ids):
            readings[asset_id] = reading = self._reading(asset_id, own[connector], measured_s)
            if writes[asset_id] == self._writes[asset_id] and not writes[asset_id] % 2:
                # else it may tell of the time before a write
                self._watch_masters(asset_id, reading, measured_s)
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
        self._guarding.pop(asset_id, None)
        problem = misfit(watchdog, guard)
        if problem:
            raise Rejected(self.device_id, f"{asset_id}: {problem}")
        yields = self._masters[asset_id].problem(self._now_s)
        if yields:
            raise Rejected(self.device_id, f"{asset_id}: {yields}")
        for name, value in told(watchdog, guard):
            self._check_kept(asset_id, name, value, guard)
            await self._writer.ensure(asset_id, name, value)
        self._armed[asset_id] = True

    async def write(
        self, asset_id: str, setpoint_kw: float, *, sent_s: float, priority: Priority = Priority.SETPOINT
    ) -> WriteResult:
        """Write a setpoint, check that the device confirms and holds it, and return what became of it. Never raises.

        ``sent_s`` is the monotonic instant of the decision.
        """
        last, guard = self._written.get(asset_id), self._guards.get(asset_id)
        spared = self._thrift.spared(last, setpoint_kw, sent_s, None if guard is None else guard.lease_s)
        if spared is not None:
            return spared
        self._writes[asset_id] += 1
        try:
            await self._carry_out(asset_id, setpoint_kw, sent_s, priority)
            result = WriteResult(sent_s, setpoint_kw, confirmed=True)
        except DriverError as failed:
            self._masters[asset_id].forget()
            result = WriteResult(sent_s, setpoint_kw, confirmed=False, cause=failed.cause)
        finally:
            self._writes[asset_id] += 1
        last = self._written.get(asset_id)
        if last is None or last.sent_s <= result.sent_s:
            self._written[asset_id] = result
        return result

    async def write_point(self, asset_id: str, name: str, value: float, priority: Priority) -> None:
        """Write any point, given in heliodock's unit, with the checks of a setpoint; raise ``DriverError``."""
        await self._writer.set(asset_id, name, value, priority)

    async def close(self) -> None:
        """Give control back where the device can be told so, and drop the connection."""
        for asset_id, last in self._written.items():
            if last.confirmed:
                with suppress(DriverError, TimeoutError):
                    async with asyncio.timeout(FAREWELL_S):
                        await self._writer.release(asset_id)
        await self._wire.close()

    async def _carry_out(self, asset_id: str, setpoint_kw: float, sent_s: float, priority: Priority) -> None:
        """Write a setpoint and whatever else makes it last for a lease."""
        masters = self._masters[asset_id]
        yields = masters.problem(sent_s)
        if yields:
            raise Rejected(self.device_id, yields)
        if not self.binding.profile.carriers:
            raise Rejected(self.device_id, "cannot be written", "setpoint_kw")
        await self._writer.command(asset_id, setpoint_kw, priority)
        watchdog, guard = self.binding.profile.watchdog, self._guards.get(asset_id)
        if watchdog is not None and guard is not None and watchdog.kind == "countdown":
            await self._writer.set(asset_id, watchdog.timeout_point, guard.lease_s, priority)
        if watchdog is not None and watchdog.kind == "heartbeat":
            await self._writer.beat(asset_id, watchdog.heartbeat_point, priority)
        masters.wrote(sent_s)

    def _check_kept(self, asset_id: str, name: str, value: float, guard: Guard) -> None:
        """Raise where the device rounds the lease up, as one does that counts whole minutes."""
        if name == "lease_s" and self._writer.kept_of(asset_id, name, value) > guard.lease_s + SLACK:
            raise Rejected(
                self.device_id, f"{asset_id}: the device can't hold a lease_s of {guard.lease_s:g}", name
            )

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

    def _polled(self) -> tuple[PointRef, ...]:
        """Return the points that every poll reads."""
        profile = self.binding.profile
        watchdog = profile.watchdog.points if profile.watchdog else ()
        names = dict.fromkeys((*READ_NAMES[profile.kind], *profile.alive, *watchdog, *profile.commanded))
        return tuple(
            PointRef(connector, name)
            for connector, _ in enumerate(self.binding.asset_ids)
            for name in names
            if name in profile.points and profile.points[name].readable
        )

    def _reading(
        self, asset_id: str, outcomes: Mapping[str, Outcome], measured_s: float
    ) -> AssetReading | NoReading:
        profile = self.binding.profile
        values = Values(self.device_id, profile, outcomes, self._kw_per_a(asset_id))
        try:
            reading = reading_of(profile.kind, values, measured_s)
            if profile.commands and not isinstance(reading, MeterReading):
                reading = replace(reading, setpoint_kw=held_kw(profile, values.optional))
            alive_s = self._alive_s(asset_id, values, measured_s)
        except (DriverError, ValueError) as failed:
            return NoReading(_in_words(failed))
        self._watch_guard(asset_id, outcomes)
        if not isinstance(reading, MeterReading):
            self._writer.local[asset_id] = reading.is_local
        return reading if alive_s == measured_s else replace(reading, measured_s=alive_s)

    def _watch_masters(self, asset_id: str, reading: AssetReading | NoReading, now_s: float) -> None:
        """Notice a setpoint that is not ours, and count the asset at its rating while another master has it."""
        masters, guard = self._masters[asset_id], self._guards.get(asset_id)
        lease_s = None if guard is None else guard.lease_s
        watchdog = self.binding.profile.watchdog
        if lease_s is not None and watchdog is not None:
            lease_s = min(lease_s, watchdog.timeout_s or lease_s)
        if isinstance(reading, MeterReading | NoReading) or reading.is_local or reading.setpoint_kw is None:
            masters.forget()
        elif masters.says(reading.setpoint_kw, now_s, lease_s):
            log.warning("another master", device=self.device_id, asset=asset_id, cause=masters.problem(now_s))
        if masters.problem(now_s):
            self._armed[asset_id] = False

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
        held = [outcomes.get(name) for name in watchdog.points]
        if watchdog.kind != "countdown" and self._guarding.get(asset_id) == held:
            return
        self._guarding[asset_id] = held
        self._armed[asset_id] = all(
            self._runs(outcomes.get(name))
            if watchdog.kind == "countdown" and name == watchdog.timeout_point
            else self._writer.holds(asset_id, name, value, outcomes.get(name))
            for name, value in told(watchdog, guard)
        )

    @staticmethod
    def _runs(held: Outcome) -> bool:
        """Return whether a timer that counts down has not run out."""
        return isinstance(held, float) and held > 0.0

    def _kw_per_a(self, asset_id: str) -> float:
        return self.binding.kw_per_a.get(asset_id, 0.0)


def _in_words(failed: DriverError | ValueError) -> str:
    if isinstance(failed, DriverError) and failed.point:
        return f"{failed.point}: {failed.cause}"
    return failed.cause if isinstance(failed, DriverError) else str(failed)
