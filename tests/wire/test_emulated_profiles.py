"""A device emulated from each real profile, read and commanded by the real driver over a real socket."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from configs.load import load_site
from configs.profiles import load_profile, profile_ids
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.watchdog import Guard
from hil.serve import Rig
from station.clock import Instant
from station.errors import DriverError
from station.measurement import BatteryReading, ConnectorReading, MeterReading, NoReading, PvReading
from station.profile import DeviceBinding, Point, Profile, Protocol
from tests.wire.test_emulators import DEMO, demo, world

REAL = [
    name
    for name in profile_ids()
    if load_profile(name).protocol is Protocol.MODBUS_TCP and not name.startswith("demo-")
]
WHOLE = [name for name in REAL if not load_profile(name).is_partial]
BMS = """
profile_id: acme-bms
protocol: modbus-tcp
kind: battery
partial: true
source: an invented battery management system
verified: false
points:
  soc:              {address: 10, encoding: uint16, unit: "%", scale: 0.1, valid: [0, 100]}
  max_charge_kw:    {address: 11, encoding: uint16, unit: kW, scale: 0.1}
  max_discharge_kw: {address: 12, encoding: uint16, unit: kW, scale: 0.1}
"""
STANDS_IN_FOR = {
    "meter": ("meter", "grid"),
    "pv": ("inverter", "pv"),
    "connector": ("charger7", "ac7"),
    "battery": ("storage", "battery"),
}
"""The device of the demonstration that a profile of each kind takes the place of, and its asset."""


class HeldClock:
    """Time that moves when the test says so."""

    speed = 1.0

    def __init__(self, start: Instant) -> None:
        self._start = start
        self.mono_s = start.mono_s

    def now(self) -> Instant:
        return Instant(self._start.at + timedelta(seconds=self.mono_s - self._start.mono_s), self.mono_s)

    async def sleep_until(self, mono_s: float) -> None:
        while self.mono_s < mono_s:  # noqa: ASYNC110  the test moves it
            await asyncio.sleep(0.01)


def binding_of(profile: Profile, binding: DeviceBinding) -> DeviceBinding:
    return replace(binding, profile=profile, port=0)


def step_kw(point: Point, profile: Profile) -> float:
    """Return the coarsest step of a power, in kW."""
    parts = [profile.points[name] for name in point.sum_of] or [point]
    factor = 1.0
    for scaling in point.scaled_by:
        factor *= profile.points[scaling.point].typical or 1.0
    return sum(part.scale * (0.001 if part.unit == "W" else 1.0) for part in parts) * factor


@pytest.mark.parametrize("name", WHOLE)
async def test_what_the_plant_does_is_what_the_driver_reads_and_a_limit_arrives(name: str) -> None:
    profile = load_profile(name)
    device_id, asset_id = STANDS_IN_FOR[profile.kind]
    loaded = demo(device_id)
    loaded = replace(loaded, devices=(binding_of(profile, loaded.devices[0]),))
    here = world(loaded, "ac7")
    here.advance(30.0)
    clock = HeldClock(here.now)
    async with Rig(loaded, clock, here).started() as served:
        device = driver_of(served, loaded.devices[0], device_id)
        reading = (await device.read(clock))[asset_id]
        assert not isinstance(reading, NoReading), reading
        truth = here.readings()[asset_id]
        assert not isinstance(truth, NoReading)
        slack_kw = 1.01 * step_kw(profile.points["power_kw"], profile) + 1e-3 * abs(truth.power_kw) + 0.002
        assert reading.power_kw == pytest.approx(truth.power_kw, abs=slack_kw)
        match truth, reading:
            case ConnectorReading(), ConnectorReading():
                assert reading.is_occupied is truth.is_occupied is True
            case (MeterReading(), MeterReading()) | (PvReading(), PvReading()):
                assert truth.power_kw != 0.0
            case BatteryReading(), BatteryReading():
                assert reading.soc == pytest.approx(truth.soc, abs=0.01)
            case _:
                raise AssertionError(reading)
        if profile.commands:
            await assert_obeys(device, clock, (4.0, -5.0, 0.0))
        if "setpoint_kw" in profile.points:
            result = await device.write(asset_id, 10.0, sent_s=0.0)
            assert result.confirmed, result.cause
            held = here.readings()[asset_id]
            assert isinstance(held, ConnectorReading)
            assert held.setpoint_kw == pytest.approx(10.0, abs=0.2)
        await device.close()


async def assert_obeys(device: Device, clock: HeldClock, setpoints_kw: tuple[float, ...]) -> None:
    """Assert that each setpoint is held, done by the plant and read back with its sign."""
    for second, setpoint_kw in enumerate(setpoints_kw):
        result = await device.write("battery", setpoint_kw, sent_s=float(second))
        assert result.confirmed, result.cause
        clock.mono_s += 30.0
        reading = (await device.read(clock))["battery"]
        assert isinstance(reading, BatteryReading), reading
        assert reading.setpoint_kw == pytest.approx(setpoint_kw, abs=0.11)
        assert reading.power_kw == pytest.approx(setpoint_kw, abs=0.2)


@pytest.mark.parametrize("name", ["sinexcel-pws2", "sinexcel-pcs-2016"])
async def test_a_converter_and_its_battery_are_one_asset(name: str, tmp_path: Path) -> None:
    (tmp_path / "acme-bms.yaml").write_text(BMS)
    site = (
        DEMO.read_text()
        .replace(
            "profile: demo-battery, host: 127.0.0.1, port: 15022, unit: 1",
            (
                f"profile: {name}, host: 127.0.0.1, port: 15022, unit: 1, "
                "joined: [{id: bms, profile: acme-bms.yaml, host: 127.0.0.1, port: 15122}]"
            ),
        )
        .replace("../tariffs", str(DEMO.parents[1] / "tariffs"))
    )
    (tmp_path / "site.yaml").write_text(site)
    loaded = load_site(tmp_path / "site.yaml")
    storage = next(b for b in loaded.devices if b.device_id == "storage").moved(lambda _: ("127.0.0.1", 0))
    loaded = replace(loaded, devices=(storage,))
    here = world(loaded)
    clock = HeldClock(here.now)
    async with Rig(loaded, clock, here).started() as served:
        at = storage.moved(lambda part: (part.host, served.port_of(part.device_id)))
        (device,) = connect_devices([at], {})
        await assert_obeys(device, clock, (10.0, -20.0, 0.0))
        reading = (await device.read(clock))["battery"]
        truth = here.readings()["battery"]
        assert isinstance(reading, BatteryReading)
        assert isinstance(truth, BatteryReading)
        assert reading.soc == pytest.approx(truth.soc, abs=0.001)
        assert reading.max_charge_kw == pytest.approx(truth.max_charge_kw, abs=0.1)
        served.devices["bms"].silent = True
        with pytest.raises(DriverError):
            await device.read(clock)
        await device.close()


def driver_of(served: Rig, binding: DeviceBinding, device_id: str) -> Device:
    """Return the real driver at the emulated device's port."""
    at = replace(binding, host="127.0.0.1", port=served.port_of(device_id))
    return connect_devices([at], {"ac7": Guard(30.0, 4.14)})[0]


async def test_what_can_only_be_written_refuses_to_be_read() -> None:
    profile = load_profile("abb-terra-ac")
    loaded = demo("charger7")
    loaded = replace(loaded, devices=(binding_of(profile, loaded.devices[0]),))
    here = world(loaded, "ac7")
    clock = HeldClock(here.now)
    async with Rig(loaded, clock, here).started() as served:
        device = driver_of(served, loaded.devices[0], "charger7")
        points = (await device.read_points())["ac7"]
        assert "setpoint_kw" not in points
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port_of("charger7"))
        writer.write(bytes.fromhex("000100000006 01 03 4100 0002".replace(" ", "")))
        assert (await reader.readexactly(9))[7:] == bytes([0x83, 2])
        writer.close()
        await device.close()
