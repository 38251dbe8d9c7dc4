"""Carries out the trials of the self-test: moves one asset after the other, within its leases, and looks on."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.selftest_points import on_trial, values_of
from controller.leases import REFRESH_SHARE, lease_s
from controller.selftest_judge import judge, wants_more
from controller.selftest_order import swapped_at_rest
from controller.selftest_steps import Programme, programme_of, room_of, way_back
from controller.selftest_watch import alarm, meter_factor_of
from controller.selftest_words import Blind, Finding, Sample, Trial, Values, Verdict
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.watchdog import Guard
from station.assets import Controllable
from station.errors import DriverError
from station.measurement import ConnectorState, Measurement, NoReading

if TYPE_CHECKING:
    from configs.load import LoadedSite
    from drivers.wire import Outcome
    from station.clock import Clock
    from station.profile import DeviceBinding
    from station.topology import Site

    Connect = Callable[[Sequence[DeviceBinding], Mapping[str, Guard]], Sequence[Device]]

TICK_S = 1.0
OTHERS_TICKS = 3
"""Assets that are not on trial are looked at every so many ticks: they only must not disturb."""

REST_TRIES = 3
LOST_LOOKS = 3
"""A device that gives nothing so many times in a row ends the trial."""

Told = Callable[[str, float], None]
"""Called with the asset on trial and the share of its trial that is done."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all devices say at one moment: numbers and texts by asset."""

    values: Mapping[str, Values]
    words: Mapping[str, Mapping[str, str]]
    causes: Mapping[str, str]


class Bench:
    """The devices of a site, read for the self-test and moved by it."""

    def __init__(self, loaded: "LoadedSite", clock: "Clock", connect: "Connect" = connect_devices) -> None:
        self.site: Site = loaded.site
        self.clock = clock
        guards = {
            asset.asset_id: Guard(lease_s(asset, self.site.control), asset.fallback_kw)
            for asset in self.site.controllables
        }
        self.devices = connect([on_trial(binding) for binding in loaded.devices], guards)
        self._of_asset = {a: device for device in self.devices for a in device.binding.asset_ids}
        self._misses: dict[str, int] = {}
        self._last = Look({}, {}, {})

    def device_of(self, asset_id: str) -> Device:
        """Return the device that serves an asset."""
        return self._of_asset[asset_id]

    async def rest(self) -> tuple[dict[str, Measurement], Look]:
        """Return what everything says before anything is moved."""
        readings: dict[str, Measurement] = {}
        for device in self.devices:
            readings |= await self._reading(device)
        return readings, await self.look()

    async def _reading(self, device: Device) -> Mapping[str, Measurement]:
        """Return a device's readings; it is asked again where the connection had to be made first."""
        cause = ""
        for _ in range(REST_TRIES):
            try:
                return await device.read(self.clock)
            except DriverError as failed:
                cause = failed.cause
                await self.clock.sleep_until(self.clock.now().mono_s + TICK_S)
        return dict.fromkeys(device.binding.asset_ids, NoReading(cause))

    async def look(self, only: frozenset[str] | None = None) -> Look:
        """Return what all devices say now, or only those that serve the assets ``only``, the others as last seen.

        A device that says nothing leaves its cause.
        """
        asked = [d for d in self.devices if only is None or not only.isdisjoint(d.binding.asset_ids)]
        answers = await asyncio.gather(*(self._read(device) for device in asked))
        values, words, causes = dict(self._last.values), dict(self._last.words), dict(self._last.causes)
        for device, answer in zip(asked, answers, strict=True):
            for asset_id in device.binding.asset_ids:
                values.pop(asset_id, None)
                causes.pop(asset_id, None)
                self._misses[asset_id] = self._misses.get(asset_id, 0) + 1
                if isinstance(answer, DriverError):
                    causes[asset_id] = answer.cause
                    continue
                outcomes = answer[asset_id]
                self._misses[asset_id] = 0
                values[asset_id] = values_of(device.binding, asset_id, outcomes)
                words[asset_id] = {name: its for name, its in outcomes.items() if isinstance(its, str)}
        self._last = Look(values, words, causes)
        return self._last

    async def close(self) -> None:
        """Drop all connections."""
        for device in self.devices:
            await device.close()

    async def _read(self, device: Device) -> "Mapping[str, Mapping[str, Outcome]] | DriverError":
        try:
            return await device.read_points()
        except DriverError as failed:
            return failed

    def sample(self, look: Look, asset_id: str, step: int, asked_kw: float, trouble: str) -> Sample:
        """Return what a look says of a trial."""
        others_kw = sum(
            values.get("power_kw", 0.0)
            for other, values in look.values.items()
            if other not in (asset_id, self.site.meter.asset_id)
        )
        meter = look.values.get(self.site.meter.asset_id, {})
        moved = look.values.get(asset_id, {})
        now_s = self.clock.now().mono_s
        trouble = trouble or self._trouble(look, asset_id)
        return Sample(now_s, step, asked_kw, meter, moved, others_kw, trouble)

    def _trouble(self, look: Look, asset_id: str) -> str:
        for other, misses in self._misses.items():
            if misses >= LOST_LOOKS:
                return f"{other} is lost: {look.causes[other]}"
        if look.values.get(asset_id, {}).get("is_local", 0.0):
            return f"{asset_id} was put into local mode"
        state = look.words.get(asset_id, {}).get("state")
        if state == ConnectorState.FREE:
            return f"the car at {asset_id} has left"
        return f"{asset_id} reports a fault" if state == ConnectorState.FAULTED else ""


@dataclass(frozen=True, slots=True)
class Session:
    """What was tried, and the verdict on it."""

    trials: tuple[Trial, ...]
    verdict: Verdict


async def self_test(
    bench: Bench, asset_ids: Sequence[str], told: Told = lambda _asset, _share: None
) -> Session:
    """Move each asset in turn and judge. Whatever happens, each is brought back to its fallback."""
    trials: list[Trial] = []
    blind: list[Blind] = []
    found: list[Finding] = []
    for asset_id in asset_ids:
        known = max((meter_factor_of(trial.samples) for trial in trials), default=1.0)
        result = await try_asset(bench, bench.site.by_id[asset_id], told, known)
        told(asset_id, 1.0)
        match result:
            case Blind():
                blind.append(result)
            case Finding():
                found.append(result)
                blind.append(
                    Blind(f"{asset_id}: power, sign and scale", "not moved before its word order is mended")
                )
            case Trial():
                trials.append(result)
    return Session(tuple(trials), judge(bench.site, trials, blind, found))


async def plan(bench: Bench, asset_ids: Sequence[str]) -> list[Programme | Blind]:
    """Return how each asset would be moved now, or why it can't be. Nothing is written."""
    readings, look = await bench.rest()
    grid_kw = look.values.get(bench.site.meter.asset_id, {}).get("power_kw")
    return [programme_of(bench.site, bench.site.by_id[its], readings, grid_kw) for its in asset_ids]


async def try_asset(
    bench: Bench, asset: Controllable, told: Told, meter_factor: float
) -> Trial | Blind | Finding:
    """Move one asset, or return why it can't be moved. ``meter_factor`` is what earlier trials found of the meter."""
    readings, look = await bench.rest()
    words = swapped_at_rest(asset, look.values.get(asset.asset_id, {}))
    if words is not None:
        return words
    grid_kw = look.values.get(bench.site.meter.asset_id, {}).get("power_kw")
    programme = programme_of(bench.site, asset, readings, grid_kw)
    if isinstance(programme, Blind):
        return programme
    try:
        await bench.device_of(asset.asset_id).arm(asset.asset_id)
    except DriverError as refused:
        room = room_of(bench.site, asset, readings)
        if not (room.holds(asset.nameplate.min_kw) and room.holds(asset.nameplate.max_kw)):
            reason = (
                f"its watchdog can't be armed ({refused.cause}) and its rating does not fit under the limits"
            )
            return Blind(f"{asset.asset_id}: power, sign and scale", reason)
    return await _Move(bench, programme, told, meter_factor).run()


class _Move:
    """One trial under way."""

    def __init__(self, bench: Bench, programme: Programme, told: Told, meter_factor: float) -> None:
        self._bench = bench
        self._programme = programme
        self._told = told
        self._meter_factor = meter_factor
        self._asset_id = programme.asset.asset_id
        self._device = bench.device_of(self._asset_id)
        self._own = frozenset({self._asset_id, bench.site.meter.asset_id})
        self._refresh_s = REFRESH_SHARE * lease_s(programme.asset, bench.site.control)
        self._asked_kw = programme.rest_kw
        self._sent_s = float("-inf")
        self._samples: list[Sample] = []

    async def run(self) -> Trial:
        try:
            ended = await self._levels()
        finally:
            await self._back()
        return Trial(self._programme.asset, tuple(self._samples), ended)

    async def _levels(self) -> str:
        clock, began_s = self._bench.clock, self._bench.clock.now().mono_s
        ticks = 0
        while True:
            elapsed_s = ticks * TICK_S
            if elapsed_s >= self._programme.duration_s:
                longer = self._programme.longer()
                trial = Trial(self._programme.asset, tuple(self._samples))
                if longer is None or not wants_more(self._bench.site, trial):
                    return ""
                self._programme = longer
            step, power_kw = self._programme.at(elapsed_s)
            trouble = await self._write(power_kw)
            look = await self._bench.look(None if ticks % OTHERS_TICKS == 0 else self._own)
            self._samples.append(self._bench.sample(look, self._asset_id, step, self._asked_kw, trouble))
            if ended := alarm(self._bench.site, self._samples, self._meter_factor):
                return ended
            self._told(self._asset_id, min(elapsed_s / self._programme.duration_s, 0.99))
            ticks += 1
            await clock.sleep_until(began_s + ticks * TICK_S)

    async def _write(self, power_kw: float) -> str:
        """Write a setpoint that is new, or whose lease wants to be renewed; return why that failed twice."""
        now_s = self._bench.clock.now().mono_s
        if power_kw == self._asked_kw and now_s - self._sent_s < self._refresh_s:
            return ""
        cause = ""
        for _ in range(2):
            result = await self._device.write(self._asset_id, power_kw, sent_s=now_s)
            if result.confirmed:
                self._asked_kw, self._sent_s = power_kw, now_s
                return ""
            cause = result.cause
        return f"{self._asset_id} did not take its setpoint: {cause}"

    async def _back(self) -> None:
        """Go back to rest; where the device does not take it, its lease ends by itself."""
        clock = self._bench.clock
        for power_kw in way_back(self._programme, self._asked_kw):
            await self._write(power_kw)
            await clock.sleep_until(clock.now().mono_s + TICK_S)
