"""A device's points become readings in load convention; its watchdog is armed and its setpoints are verified."""

import pytest

from drivers.watchdog import Guard
from station.errors import DriverError, Rejected
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    MeterReading,
    NoReading,
    PvReading,
)
from tests.unit.drivers.bench import START, Bench, StillClock, bench


async def reading(b: Bench, clock: StillClock | None = None) -> object:
    return (await b.device.read(clock or StillClock()))["asset"]


async def test_the_meter_reads_import_as_positive() -> None:
    async with bench("demo-meter") as b:
        assert await reading(b) == MeterReading(100.0, 120.0)


async def test_pv_generation_is_negative_and_so_is_its_setpoint() -> None:
    async with bench("demo-pv") as b:
        assert b.slave.registers[4][101] == 40_000
        assert await reading(b) == PvReading(100.0, -40.0, setpoint_kw=-100.0)


async def test_a_discharging_battery_is_negative_and_its_limits_are_positive() -> None:
    async with bench("demo-battery") as b:
        b.slave.requests.clear()
        result = await reading(b)
        assert result == BatteryReading(100.0, -25.0, pytest.approx(0.555), 50.0, 60.0, setpoint_kw=0.0)
        assert len(b.slave.requests) == 2  # measurements in one block, settings in another


async def test_a_charger_speaks_in_ampere_and_its_session_in_words() -> None:
    async with bench("demo-ac-charger") as b:
        result = await reading(b)
        assert isinstance(result, ConnectorReading)
        assert result.state is ConnectorState.CHARGING
        assert result.session_id == "17"
        assert result.session_kwh == 3.5
        assert result.requested_kwh == 20.0
        assert result.estimated_unplug_at == START
        assert result.known_kwh == 0.0
        assert result.max_kw == pytest.approx(22.08)
        assert result.setpoint_kw == pytest.approx(11.04)


async def test_what_nobody_said_is_none() -> None:
    async with bench("demo-ac-charger") as b:
        b.hold("session_id", 0.0)
        b.hold("estimated_unplug_at", 0.0)
        for name in ("requested_kwh", "known_kwh"):
            b.hold(name, float(0xFFFFFFFF))
        result = await reading(b)
        assert isinstance(result, ConnectorReading)
        said = (result.session_id, result.requested_kwh, result.estimated_unplug_at, result.known_kwh)
        assert said == (None, None, None, None)


async def test_an_unknown_state_and_a_value_out_of_range_are_no_reading_and_name_the_point() -> None:
    async with bench("demo-ac-charger") as b:
        b.slave.registers[3][200] = 9
        assert await reading(b) == NoReading("state: 9 is none of the known values [0, 1, 2, 3]")
    async with bench("demo-battery") as b:
        b.slave.registers[3][1002] = 1001
        assert await reading(b) == NoReading("soc: 100.1 % lies outside 0 to 100")
        b.slave.registers[3][1002] = 0xFFFF
        assert await reading(b) == NoReading("soc: the device has no value")


async def test_frozen_values_are_no_sign_of_life() -> None:
    clock = StillClock()
    async with bench("demo-meter") as b:
        await reading(b, clock)
        clock.mono_s = 101.0
        assert await reading(b, clock) == MeterReading(100.0, 120.0)
        b.hold("uptime_s", 6.0)
        clock.mono_s = 102.0
        assert await reading(b, clock) == MeterReading(102.0, 120.0)


async def test_arming_writes_what_differs_and_verifies_it() -> None:
    async with bench("demo-battery", guard=Guard(30.0, 0.0)) as b:
        assert b.device.armed == {"asset": False}
        await b.device.arm("asset")
        assert b.device.armed == {"asset": True}
        assert b.held("lease_s") == 30.0
        assert [r for r in b.slave.requests if r[0] == 16] == [
            (16, 1102, 1)
        ]  # the fallback was right already
        b.slave.requests.clear()
        await b.device.arm("asset")
        assert all(r[0] == 3 for r in b.slave.requests)


async def test_a_device_that_does_not_take_the_lease_is_not_armed() -> None:
    async with bench("demo-battery", guard=Guard(30.0, -5.0)) as b:
        b.slave.refuse = lambda function, address: 3 if function == 16 else None
        with pytest.raises(Rejected, match="refuses the value"):
            await b.device.arm("asset")
        assert b.device.armed == {"asset": False}


async def test_a_device_that_forgot_its_lease_is_no_longer_armed() -> None:
    async with bench("demo-battery", guard=Guard(30.0, -5.0)) as b:
        await b.device.arm("asset")
        assert b.held("fallback_kw") == -5000.0
        await reading(b)
        assert b.device.armed == {"asset": True}
        b.hold("lease_s", 600.0)
        await reading(b)
        assert b.device.armed == {"asset": False}


async def test_a_setpoint_is_written_in_the_devices_sign_and_confirmed() -> None:
    async with bench("demo-battery") as b:
        result = await b.device.write("asset", -12.5, sent_s=7.0)
        assert (result.confirmed, result.sent_s, result.power_kw, result.cause) == (True, 7.0, -12.5, "")
        assert (b.slave.registers[3][1100], b.slave.registers[3][1101]) == (0, 12_500)


async def test_a_current_setpoint_is_never_rounded_up() -> None:
    async with bench("demo-ac-charger") as b:
        assert (await b.device.write("asset", 11.0, sent_s=0.0)).confirmed
        assert b.slave.registers[3][240] == 1594  # 15.942 A
        assert (await b.device.write("asset", 6 * 0.69, sent_s=1.0)).confirmed
        assert b.slave.registers[3][240] == 600


async def test_a_device_that_ignores_a_write_is_not_confirmed() -> None:
    async with bench("demo-pv") as b:
        ignoring = b.slave.pdu
        b.slave.pdu = lambda pdu: pdu if pdu[0] == 6 else ignoring(pdu)  # type: ignore[method-assign]
        result = await b.device.write("asset", -20.0, sent_s=0.0)
        assert not result.confirmed
        assert result.cause == "the device holds -100000.0 W instead"


@pytest.mark.parametrize("power_kw", [float("nan"), float("inf"), 1e9])
async def test_a_setpoint_that_is_no_power_is_refused_and_not_written(power_kw: float) -> None:
    async with bench("demo-battery") as b:
        result = await b.device.write("asset", power_kw, sent_s=0.0)
        assert not result.confirmed
        assert result.cause
        assert not [r for r in b.slave.requests if r[0] in (6, 16)]


async def test_nothing_is_written_to_a_device_in_local_mode_or_in_shadow_operation() -> None:
    async with bench("demo-battery", guard=Guard(30.0, -5.0)) as b:
        b.hold("is_local", 1.0)
        assert (await b.device.read(StillClock()))["asset"].is_local  # type: ignore[union-attr]
        assert (await b.device.write("asset", 1.0, sent_s=0.0)).cause == "the device is in local mode"
        with pytest.raises(DriverError, match="local mode"):
            await b.device.arm("asset")
    async with bench("demo-battery", guard=Guard(30.0, -5.0), may_write=False) as b:
        assert "shadow" in (await b.device.write("asset", 1.0, sent_s=0.0)).cause
        with pytest.raises(DriverError, match="shadow"):
            await b.device.arm("asset")
        assert not [r for r in b.slave.requests if r[0] in (6, 16)]


async def test_a_block_with_a_hole_is_split_once_and_remembered() -> None:
    async with bench("demo-meter") as b:
        for address in (9, 10, 11, 16, 17, 18, 19):
            del b.slave.registers[4][address]
        points = (await b.device.read_points())["asset"]
        assert points["power_kw"] == 120_000.0
        assert points["import_kwh"] == 1230.0
        b.slave.requests.clear()
        await b.device.read_points()
        assert [(address, count) for _, address, count in b.slave.requests] == [(0, 9), (12, 4), (20, 2)]


async def test_a_register_that_is_not_there_fails_alone() -> None:
    async with bench("demo-meter") as b:
        del b.slave.registers[4][8]
        points = (await b.device.read_points())["asset"]
        assert str(points["frequency_hz"]) == "device.frequency_hz: the device has no such register"
        assert points["power_kw"] == 120_000.0
        del b.slave.registers[4][0]
        assert await reading(b) == NoReading("power_kw: the device has no such register")
