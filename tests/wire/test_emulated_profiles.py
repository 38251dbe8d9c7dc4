"""A device emulated from each real profile, read and commanded by the real driver over a real socket."""

import asyncio
from dataclasses import replace

import pytest

from configs.profiles import load_profile, profile_ids
from drivers.connect import connect_devices
from drivers.device import Device
from drivers.watchdog import Guard
from hil.clocks import WallClock
from hil.serve import Rig
from station.measurement import ConnectorReading, MeterReading, NoReading, PvReading
from station.profile import DeviceBinding, Point, Profile, Protocol
from tests.wire.test_emulators import demo, world

REAL = [
    name
    for name in profile_ids()
    if load_profile(name).protocol is Protocol.MODBUS_TCP and not name.startswith("demo-")
]
STANDS_IN_FOR = {"meter": ("meter", "grid"), "pv": ("inverter", "pv"), "connector": ("charger7", "ac7")}
"""The device of the demonstration that a profile of each kind takes the place of, and its asset."""


def binding_of(profile: Profile, binding: DeviceBinding) -> DeviceBinding:
    return replace(binding, profile=profile, port=0)


def step_kw(point: Point, profile: Profile) -> float:
    """Return the coarsest step of a power, in kW."""
    parts = [profile.points[name] for name in point.sum_of] or [point]
    factor = 1.0
    for scaling in point.scaled_by:
        factor *= profile.points[scaling.point].typical or 1.0
    return sum(part.scale * (0.001 if part.unit == "W" else 1.0) for part in parts) * factor


@pytest.mark.parametrize("name", REAL)
async def test_what_the_plant_does_is_what_the_driver_reads_and_a_limit_arrives(name: str) -> None:
    profile = load_profile(name)
    device_id, asset_id = STANDS_IN_FOR[profile.kind]
    loaded = demo(device_id)
    loaded = replace(loaded, devices=(binding_of(profile, loaded.devices[0]),))
    here = world(loaded, "ac7")
    here.advance(30.0)
    async with Rig(loaded, WallClock(here.now.at), here).started() as served:
        device = driver_of(served, loaded.devices[0], device_id)
        reading = (await device.read(WallClock(here.now.at)))[asset_id]
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
            case _:
                raise AssertionError(reading)
        if "setpoint_kw" in profile.points:
            result = await device.write(asset_id, 10.0, sent_s=0.0)
            assert result.confirmed, result.cause
            held = here.readings()[asset_id]
            assert isinstance(held, ConnectorReading)
            assert held.setpoint_kw == pytest.approx(10.0, abs=0.2)
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
    async with Rig(loaded, WallClock(here.now.at), here).started() as served:
        device = driver_of(served, loaded.devices[0], "charger7")
        points = (await device.read_points())["ac7"]
        assert "setpoint_kw" not in points
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port_of("charger7"))
        writer.write(bytes.fromhex("000100000006 01 03 4100 0002".replace(" ", "")))
        assert (await reader.readexactly(9))[7:] == bytes([0x83, 2])
        writer.close()
        await device.close()
