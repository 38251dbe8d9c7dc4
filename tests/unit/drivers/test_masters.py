"""Another master at the same setpoint: noticed, given way to, and the asset is counted at its rating meanwhile."""

from dataclasses import replace

import pytest

from configs.profiles import load_profile
from drivers.device import Device
from drivers.masters import Masters
from drivers.watchdog import Guard
from station.errors import DriverError
from station.measurement import BatteryReading
from station.profile import DeviceBinding
from tests.unit.drivers.bench import StillClock
from tests.unit.drivers.test_commands import Memory

GUARD = Guard(30.0, 0.0)


def a_device() -> tuple[Device, Memory]:
    profile = load_profile("demo-battery")
    wire = Memory(profile, soc=50.0)
    return Device(
        DeviceBinding("device", profile, "", 0, 1, ("battery",), 1.0), wire, {"battery": GUARD}
    ), wire


async def poll(device: Device, wire: Memory, at_s: float) -> None:
    wire.held["uptime_s"] = at_s
    reading = (await device.read(StillClock(at_s)))["battery"]
    assert isinstance(reading, BatteryReading)


async def controlled() -> tuple[Device, Memory]:
    """Return a device that is armed and holds 5 kW of ours since second 100."""
    device, wire = a_device()
    await poll(device, wire, 100.0)
    await device.arm("battery")
    assert (await device.write("battery", 5.0, sent_s=100.0)).confirmed
    for second in (101.0, 102.0, 103.0):
        await poll(device, wire, second)
    assert device.armed["battery"]
    return device, wire


async def test_another_value_twice_in_a_row_is_another_master() -> None:
    device, wire = await controlled()
    wire.held["setpoint_kw"] = 12_000.0
    await poll(device, wire, 104.0)
    assert device.armed["battery"]
    await poll(device, wire, 105.0)
    assert not device.armed["battery"]
    refused = await device.write("battery", 5.0, sent_s=106.0)
    assert not refused.confirmed
    assert refused.cause == "another master wrote 12 kW: nothing is written for 59 s"
    assert wire.held["setpoint_kw"] == 12_000.0
    with pytest.raises(DriverError, match="another master"):
        await device.arm("battery")
    await poll(device, wire, 166.0)
    await device.arm("battery")
    assert (await device.write("battery", 5.0, sent_s=166.0)).confirmed


async def test_our_own_next_setpoint_is_no_other_master() -> None:
    device, wire = await controlled()
    for second in range(104, 200, 2):
        assert (await device.write("battery", float(second % 7), sent_s=float(second))).confirmed
        await poll(device, wire, second + 0.5)
        await poll(device, wire, second + 1.5)
    assert device.armed["battery"]


async def test_a_device_that_fell_back_at_the_end_of_its_lease_has_no_other_master() -> None:
    device, wire = await controlled()
    await poll(device, wire, 129.0)
    wire.held["setpoint_kw"] = 0.0
    for second in (130.5, 131.0, 132.0, 133.0):
        await poll(device, wire, second)
    assert device.armed["battery"]


async def test_one_other_value_between_two_of_ours_is_forgiven() -> None:
    device, wire = await controlled()
    wire.held["setpoint_kw"] = 12_000.0
    await poll(device, wire, 104.0)
    wire.held["setpoint_kw"] = 5_000.0
    for second in (105.0, 106.0):
        await poll(device, wire, second)
    wire.held["setpoint_kw"] = 12_000.0
    await poll(device, wire, 107.0)
    assert device.armed["battery"]


async def test_somebody_at_the_device_is_no_other_master() -> None:
    device, wire = await controlled()
    wire.held["is_local"] = 1.0
    wire.held["setpoint_kw"] = 12_000.0
    for second in (104.0, 105.0, 106.0):
        await poll(device, wire, second)
    assert (await device.write("battery", 5.0, sent_s=107.0)).cause == "the device is in local mode"


def test_the_pause_doubles_up_to_a_quarter_of_an_hour_and_is_forgiven() -> None:
    masters, now_s, pauses = Masters(), 0.0, []
    for _ in range(6):
        masters.wrote(now_s)
        masters.says(1.0, now_s + 1.0, None)
        assert not masters.says(2.0, now_s + 2.0, None)
        assert masters.says(2.0, now_s + 3.0, None)
        pauses.append(masters.until_s - now_s - 3.0)
        now_s = masters.until_s
    assert pauses == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0]
    masters.wrote(now_s + 4000.0)
    masters.says(1.0, now_s + 4001.0, None)
    masters.says(2.0, now_s + 4002.0, None)
    assert masters.says(2.0, now_s + 4003.0, None)
    assert masters.until_s == now_s + 4063.0
    assert replace(masters).problem(now_s + 4063.0) == ""
