"""Emulated SunSpec devices on real sockets, seen by pysunspec2's client, and by our driver where it matters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient

from configs.load import load_site
from configs.profiles import load_profile
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.watchdog import Guard
from hil.clocks import ScaledClock
from hil.serve import Rig, start_of
from hil.world import Surroundings, World
from station.errors import ConfigError
from station.measurement import BatteryReading, MeterReading, PvReading
from station.profile import Profile
from tests.wire.sunspec_bench import foreign_device, walk

DEMO = Path(__file__).parents[2] / "configs" / "stations" / "demo.yaml"
SPEED = 20.0

PV_FAMILIES = {
    "DER": (701, 702, 704, 715),
    **{f"inverter {model}": (model, 121, 123) for model in (101, 102, 103, 111, 112, 113)},
}
BATTERY_FAMILIES = {
    "DER": (701, 702, 704, 713, 715),
    "inverter and storage": (103, 124, 802),
    "float inverter and basic storage": (113, 120, 124),
}
METERS = (201, 202, 203, 204, 211, 212, 213, 214)


def only(profile: Profile, models: tuple[int, ...]) -> Profile:
    """Return a profile that knows these models only, so that the emulated device has no others."""
    kept = {
        name: replace(point, sunspec=tuple(a for a in point.sunspec if int(a.split(".")[0]) in models))
        for name, point in profile.points.items()
    }
    return replace(profile, points={name: point for name, point in kept.items() if point.sunspec})


@dataclass
class Stage:
    """One emulated device and our driver at it."""

    rig: Rig
    device: Device
    asset_id: str
    port: int

    @property
    def now_s(self) -> float:
        return self.rig.world.now.mono_s

    async def until(self, mono_s: float) -> None:
        """Wait until the world has reached an instant."""
        await self.rig.clock.sleep_until(mono_s + 1.0)

    async def foreign(self) -> dict[str, Any]:
        """Return what pysunspec2 reads."""
        return await asyncio.to_thread(self._foreign)

    async def tell(self, changes: dict[str, float]) -> None:
        """Write points one after another as pysunspec2 does."""
        await asyncio.to_thread(self._tell, changes)

    def address_of(self, path: str) -> int:
        """Return the register of a point by pysunspec2's reckoning; it blocks."""
        with foreign_device(self.port) as device:
            model_id, name = path.split(".")
            model = device.models[int(model_id)][0]
            return int(model.model_addr + model.points[name].offset)

    def _foreign(self) -> dict[str, Any]:
        with foreign_device(self.port) as device:
            return {
                f"{model.model_id}.{path}": value
                for model in device.model_list
                for path, value in walk(model)
            }

    def _tell(self, changes: dict[str, float]) -> None:
        with foreign_device(self.port) as device:
            for path, value in changes.items():
                model_id, name = path.split(".")
                point = device.models[int(model_id)][0].points[name]
                point.cvalue = value
                point.write()


@asynccontextmanager
async def stage(kind: str, models: tuple[int, ...], guard: Guard | None = None) -> AsyncIterator[Stage]:
    """Serve a device of the demonstration as a SunSpec device of these models."""
    loaded = load_site(DEMO)
    device_id = {"meter": "meter", "pv": "inverter", "battery": "storage"}[kind]
    binding = next(one for one in loaded.devices if one.device_id == device_id)
    binding = replace(binding, port=0, profile=only(load_profile(f"sunspec-{kind}"), models))
    start_at = start_of(loaded)
    world = World(
        loaded.site, Surroundings(start_at, 900.0, (20.0,), (40.0,)), (), start_at=start_at, soc=0.5
    )
    clock = ScaledClock(start_at, SPEED)
    async with Rig(replace(loaded, devices=(binding,)), clock, world).started() as rig:
        port, (asset_id,) = rig.port_of(device_id), binding.asset_ids
        guards = {asset_id: guard} if guard else {}
        (device,) = connect_devices([replace(binding, port=port)], guards)
        try:
            yield Stage(rig, device, asset_id, port)
        finally:
            await device.close()


@pytest.mark.parametrize("model_id", METERS)
async def test_an_emulated_meter_tells_both_clients_what_the_plant_draws(model_id: int) -> None:
    async with stage("meter", (model_id,)) as here:
        await here.until(12.0)
        theirs = await here.foreign()
        ours = (await here.device.read(here.rig.clock))["grid"]
        assert isinstance(ours, MeterReading)
        assert ours.power_kw == pytest.approx(-20.0, abs=0.2)
        assert theirs[f"{model_id}.W"] == pytest.approx(-20_000, abs=200)
        assert theirs[f"{model_id}.PhVphA"] == pytest.approx(230.0)


@pytest.mark.parametrize("models", PV_FAMILIES.values(), ids=PV_FAMILIES)
async def test_an_emulated_inverter_generates_for_both_clients(models: tuple[int, ...]) -> None:
    async with stage("pv", models) as here:
        await here.until(12.0)
        theirs = await here.foreign()
        ours = (await here.device.read(here.rig.clock))[here.asset_id]
        assert isinstance(ours, PvReading)
        assert ours.power_kw == pytest.approx(-40.0, abs=0.1)
        assert theirs[f"{models[0]}.W"] == pytest.approx(40_000, abs=100)
        assert ours.setpoint_kw == pytest.approx(-here.rig.world.site.pv_plants[0].rated_kw)


@pytest.mark.parametrize("models", BATTERY_FAMILIES.values(), ids=BATTERY_FAMILIES)
async def test_an_emulated_battery_follows_our_driver_and_pysunspec2_sees_it(models: tuple[int, ...]) -> None:
    async with stage("battery", models) as here:
        result = await here.device.write("battery", -12.0, sent_s=0.0)
        assert result.confirmed, result.cause
        await here.until(here.now_s + 5.0)
        theirs = await here.foreign()
        ours = (await here.device.read(here.rig.clock))["battery"]
        assert isinstance(ours, BatteryReading)
        assert ours.power_kw == pytest.approx(-12.0, abs=0.2)
        assert ours.soc == pytest.approx(0.5, abs=0.01)
        assert theirs[f"{models[0]}.W"] == pytest.approx(12_000, abs=200)


async def test_pysunspec2_charges_the_emulated_battery_until_its_timer_runs_out() -> None:
    async with stage("battery", BATTERY_FAMILIES["DER"]) as here:
        await here.tell({"704.WSetRvrt": -3000, "704.WSetEnaRvrt": 1, "704.WSet": -20_000})
        await here.tell({"704.WSetRvrtTms": 20, "704.WSetEna": 1})
        told_s = here.now_s
        await here.until(told_s + 8.0)
        assert (await here.device.read(here.rig.clock))["battery"].power_kw == pytest.approx(20.0, abs=0.2)
        assert 0 < (await here.foreign())["704.WSetRvrtRem"] < 20
        await here.until(told_s + 26.0)
        theirs = await here.foreign()
        assert (theirs["704.WSet"], theirs["704.WSetEna"], theirs["704.WSetRvrtRem"]) == (-3000, 1, 0)
        assert (await here.device.read(here.rig.clock))["battery"].power_kw == pytest.approx(3.0, abs=0.2)


@pytest.mark.parametrize("models", [(701, 702, 704, 715), (103, 121, 123)], ids=["DER", "inverter"])
async def test_a_limit_is_lifted_when_its_timer_runs_out(models: tuple[int, ...]) -> None:
    guard = Guard(lease_s=20.0, fallback_kw=-100.0)
    async with stage("pv", models, guard) as here:
        await here.device.arm(here.asset_id)
        result = await here.device.write(here.asset_id, -10.0, sent_s=0.0)
        assert result.confirmed, result.cause
        told_s = here.now_s
        await here.until(told_s + 10.0)
        assert (await here.device.read(here.rig.clock))[here.asset_id].power_kw == pytest.approx(
            -10.0, abs=0.2
        )
        await here.until(told_s + 28.0)
        ours = (await here.device.read(here.rig.clock))[here.asset_id]
        assert (ours.power_kw, ours.setpoint_kw) == pytest.approx((-40.0, -100.0), abs=0.2)


async def test_pysunspec2_limits_the_inverter_and_lifts_the_limit_again() -> None:
    async with stage("pv", (701, 702, 704, 715)) as here:
        await here.tell({"704.WMaxLimPct": 25.0, "704.WMaxLimPctEna": 1})
        await here.until(here.now_s + 10.0)
        assert (await here.device.read(here.rig.clock))[here.asset_id].power_kw == pytest.approx(
            -25.0, abs=0.2
        )
        await here.tell({"704.WMaxLimPctEna": 0})
        await here.until(here.now_s + 10.0)
        ours = (await here.device.read(here.rig.clock))[here.asset_id]
        assert (ours.power_kw, ours.setpoint_kw) == pytest.approx((-40.0, -100.0), abs=0.2)


async def test_the_heartbeat_of_an_emulated_device_counts_and_stands_still_when_it_is_frozen() -> None:
    async with stage("pv", (701, 702, 704, 715)) as here:
        first = (await here.foreign())["715.DERHb"]
        await here.until(here.now_s + 5.0)
        second = (await here.foreign())["715.DERHb"]
        assert second > first
        (emulated,) = here.rig.devices.values()
        emulated.frozen = True
        stopped = (await here.foreign())["715.DERHb"]
        await here.until(here.now_s + 5.0)
        assert (await here.foreign())["715.DERHb"] == stopped


async def test_what_a_frozen_device_acknowledges_changes_nothing() -> None:
    async with stage("battery", (701, 702, 704, 713, 715)) as here:
        (emulated,) = here.rig.devices.values()
        emulated.frozen = True
        result = await here.device.write("battery", 20.0, sent_s=0.0)
        assert not result.confirmed


async def test_a_device_that_refuses_writes_says_so() -> None:
    async with stage("battery", (701, 702, 704, 713, 715)) as here:
        (emulated,) = here.rig.devices.values()
        emulated.refuses_writes = True
        result = await here.device.write("battery", 20.0, sent_s=0.0)
        assert not result.confirmed
        assert "failure" in result.cause


@pytest.mark.parametrize(
    ("path", "function", "words", "code"),
    [
        ("701.W", 16, [1], 2),  # a measurement
        ("704.WSet", 16, [0], 2),  # half of a 32-bit value
        ("704.PFWInjEna", 16, [1], 2),  # not implemented
        ("704.WSet", 16, [0x7000, 0], 3),  # far beyond the nameplate, and enabled
        ("704.WSetEna", 6, [1], 0),
    ],
)
async def test_a_write_that_the_emulated_device_cannot_take_is_refused_and_changes_nothing(
    path: str, function: int, words: list[int], code: int
) -> None:
    async with stage("battery", (701, 702, 704, 713, 715)) as here:
        await here.tell({"704.WSetEna": 1})
        before = await here.foreign()
        client = AsyncModbusTcpClient("127.0.0.1", port=here.port, timeout=0.5, retries=0)
        assert await client.connect()
        address = await asyncio.to_thread(here.address_of, path)
        answer = await (
            client.write_register(address, words[0], device_id=1)
            if function == 6
            else client.write_registers(address, words, device_id=1)
        )
        client.close()
        assert (answer.exception_code if answer.isError() else 0) == code
        after = await here.foreign()
        assert {p: v for p, v in after.items() if p.startswith("704.")} == {
            p: v for p, v in before.items() if p.startswith("704.")
        }


async def test_two_devices_of_one_unit_are_not_emulated_as_one() -> None:
    loaded = load_site(DEMO)
    binding = next(one for one in loaded.devices if one.device_id == "storage")
    twice = replace(loaded, devices=(binding, replace(binding, device_id="other")))
    start_at = start_of(loaded)
    world = World(loaded.site, Surroundings(start_at, 900.0, (20.0,), (40.0,)), (), start_at=start_at)
    with pytest.raises(ConfigError, match="another device has the same port and unit"):
        Rig(twice, ScaledClock(start_at, SPEED), world)
