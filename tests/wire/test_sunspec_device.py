"""The shipped SunSpec profiles through the whole driver: leases, fallbacks and setpoints of devices of either age."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from configs.profiles import load_profile
from drivers.device import Device
from drivers.sunspec import SunspecPoints
from drivers.watchdog import Guard
from station.clock import Instant
from station.errors import Rejected
from station.measurement import BatteryReading, NoReading, PvReading
from station.profile import DeviceBinding
from tests.sunspec_image import Data, common, filled, image_of
from tests.wire.sunspec_bench import Bench, a_bench
from tests.wire.test_sunspec_controls import (
    basic_settings,
    capacity,
    der_controls,
    immediate_controls,
    storage,
)

START = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass
class HandClock:
    """Time that a test moves."""

    mono_s: float = 100.0
    speed: float = 1.0
    started: datetime = field(default=START)

    def now(self) -> Instant:
        return Instant(self.started + timedelta(seconds=self.mono_s), self.mono_s)

    async def sleep_until(self, mono_s: float) -> None:
        self.mono_s = max(self.mono_s, mono_s)


def measured(**changes: float | None) -> Data:
    """Return a model 701 that generates 4 kW."""
    return filled(701, random.Random(7), gaps=0.0) | {"W": 400, "W_SF": 1} | changes


def old_inverter(**changes: float | None) -> Data:
    """Return a model 103 that generates 4 kW."""
    return filled(103, random.Random(8), gaps=0.0) | {"W": 4000, "W_SF": 0} | changes


def control(**changes: float | None) -> Data:
    """Return a model 715 under remote control."""
    return {"ID": 715, "LocRemCtl": 0, "DERHb": 1, "ControllerHb": 0, "AlarmReset": 0, "OpCtl": 1} | changes


def state_of_charge(**changes: float | None) -> Data:
    """Return a model 713 at 55.5 %."""
    return {"ID": 713, "WHRtg": 100, "SoC": 555, "SoH": 990, "Sta": 0, "WH_SF": 2, "Pct_SF": -1} | changes


@asynccontextmanager
async def a_device(
    profile_id: str, models: list[Data], guard: Guard | None = None
) -> AsyncIterator[tuple[Device, Bench]]:
    """Give a device of a shipped profile in front of a slave with these models."""
    async with a_bench(image_of([common(), *models])) as bench:
        binding = DeviceBinding(
            "dut", load_profile(profile_id), "127.0.0.1", bench.server.port, 1, ("a",), 1.0
        )
        yield Device(binding, SunspecPoints(binding, bench.link), {"a": guard} if guard else {}), bench


@pytest.mark.parametrize(
    "models",
    [
        pytest.param([measured(), capacity(), der_controls(), control()], id="DER"),
        pytest.param([basic_settings(), old_inverter(), immediate_controls()], id="inverter"),
    ],
)
async def test_a_pv_reading_has_its_power_and_the_limit_in_force(models: list[Data]) -> None:
    async with a_device("sunspec-pv", models) as (device, _):
        reading = (await device.read(HandClock()))["a"]
        assert isinstance(reading, PvReading)
        assert reading.power_kw == -4.0
        assert reading.setpoint_kw in (-50.0, -10.0)
        assert not reading.is_local


async def test_a_battery_reading_needs_its_limits_and_its_charge() -> None:
    models = [
        measured(W=-300),
        capacity(WChaRteMax=80, WDisChaRteMax=None, WDisChaRteMaxRtg=90),
        der_controls(),
    ]
    async with a_device("sunspec-battery", [*models, state_of_charge(), control()]) as (device, _):
        reading = (await device.read(HandClock()))["a"]
        assert isinstance(reading, BatteryReading)
        assert (reading.power_kw, reading.soc) == (3.0, pytest.approx(0.555))
        assert (reading.max_charge_kw, reading.max_discharge_kw) == (8.0, 9.0)
        assert reading.setpoint_kw is None
    async with a_device("sunspec-battery", [*models, state_of_charge(SoC=None), control()]) as (device, _):
        reading = (await device.read(HandClock()))["a"]
        assert reading == NoReading("soc: the device has no value")


@pytest.mark.parametrize(("setpoint_kw", "percent"), [(-4.567, 45), (-12.0, 100), (0.0, 0)])
async def test_a_setpoint_between_two_steps_is_confirmed_at_the_lower_one(
    setpoint_kw: float, percent: int
) -> None:
    models = [basic_settings(), old_inverter(), immediate_controls()]
    async with a_device("sunspec-pv", models) as (device, bench):
        result = await device.write("a", setpoint_kw, sent_s=0.0)
        assert result.confirmed, result.cause
        assert (await bench.foreign())["123.WMaxLimPct"] == percent


async def test_a_limit_that_the_device_acknowledges_and_ignores_is_not_confirmed() -> None:
    models = [measured(), capacity(), der_controls(), control()]
    async with a_device("sunspec-pv", models) as (device, bench):
        enable = bench.address_of("704.WMaxLimPctEna")
        bench.slave.registers[3] = _Deaf(bench.slave.registers[3], enable)
        result = await device.write("a", -10.0, sent_s=0.0)
        assert not result.confirmed
        assert result.cause == "the device holds -50000.0 W instead"


class _Deaf(dict[int, int]):
    """Registers of which one takes no value."""

    def __init__(self, words: dict[int, int], address: int) -> None:
        super().__init__(words)
        self._address = address

    def __setitem__(self, address: int, word: int) -> None:
        if address != self._address:
            super().__setitem__(address, word)


async def test_a_limit_of_model_704_is_armed_with_its_own_fallback() -> None:
    models = [measured(), capacity(), der_controls(), control()]
    async with a_device("sunspec-pv", models, Guard(30.0, -10.03)) as (device, bench):
        await device.read(HandClock())
        await device.arm("a")
        assert device.armed["a"]
        theirs = await bench.foreign()
        assert (theirs["704.WMaxLimPctRvrt"], theirs["704.WMaxLimPctEnaRvrt"]) == (20.0, 1)
        assert theirs["704.WMaxLimPctRvrtTms"] == 30
        await device.read(HandClock())
        assert device.armed["a"]
        bench.slave.set(3, bench.address_of("704.WMaxLimPctEnaRvrt"), (0,))
        await device.read(HandClock())
        assert not device.armed["a"]


async def test_a_limit_of_model_123_is_armed_only_for_its_rating() -> None:
    models = [basic_settings(), old_inverter(), immediate_controls()]
    async with a_device("sunspec-pv", models, Guard(30.0, -10.0)) as (device, bench):
        await device.read(HandClock())
        await device.arm("a")
        assert device.armed["a"]
        assert (await bench.foreign())["123.WMaxLimPct_RvrtTms"] == 30
    async with a_device("sunspec-pv", models, Guard(30.0, -5.0)) as (device, _):
        await device.read(HandClock())
        with pytest.raises(Rejected, match="the fallback is the rating"):
            await device.arm("a")
        assert not device.armed["a"]


async def test_a_battery_of_model_124_is_never_armed_and_says_why() -> None:
    models = [old_inverter(), storage(ChaState=500, ChaState_SF=-1)]
    async with a_device("sunspec-battery", models, Guard(30.0, 0.0)) as (device, _):
        reading = (await device.read(HandClock()))["a"]
        assert isinstance(reading, BatteryReading)
        assert reading.soc == pytest.approx(0.5)
        with pytest.raises(Rejected, match="default operation"):
            await device.arm("a")
        assert not device.armed["a"]
        result = await device.write("a", 3.0, sent_s=0.0)
        assert result.confirmed, result.cause


async def test_a_device_in_local_mode_is_not_written() -> None:
    models = [measured(), capacity(), der_controls(), control(LocRemCtl=1)]
    async with a_device("sunspec-pv", models) as (device, _):
        reading = (await device.read(HandClock()))["a"]
        assert isinstance(reading, PvReading)
        assert reading.is_local
        result = await device.write("a", -10.0, sent_s=0.0)
        assert (result.confirmed, result.cause) == (False, "the device is in local mode")


async def test_a_heartbeat_that_stands_still_makes_the_reading_old_and_one_that_is_missing_does_not() -> None:
    clock = HandClock()
    models = [measured(), capacity(), der_controls()]
    async with a_device("sunspec-pv", [*models, control()]) as (device, bench):
        await device.read(clock)
        clock.mono_s += 5.0
        assert (await device.read(clock))["a"].measured_s == 100.0
        bench.slave.set(3, bench.address_of("715.DERHb"), (0, 2))
        assert (await device.read(clock))["a"].measured_s == 105.0
    async with a_device("sunspec-pv", models) as (device, _):
        await device.read(clock)
        clock.mono_s += 5.0
        assert (await device.read(clock))["a"].measured_s == 110.0


def ports(**watts: int) -> Data:
    """Return a model 714 with a port of each type, positive towards the inverter."""
    made = filled(714, random.Random(9), repeated=len(watts), gaps=0.0) | {"DCW_SF": 0}
    for port, (kind, value) in zip(made["Prt"], watts.items(), strict=True):
        port |= {"PrtTyp": {"pv1": 0, "pv2": 0, "ess": 1}[kind], "DCW": value}
    return made


async def test_both_sides_of_a_hybrid_inverter_share_a_link_and_only_the_battery_takes_setpoints() -> None:
    models = [
        measured(),
        capacity(),
        state_of_charge(),
        ports(pv1=3000, pv2=1500, ess=-700),
        storage(),
        control(),
    ]
    async with a_bench(image_of([common(), *models])) as bench:
        sides = [
            DeviceBinding(side, load_profile(f"sunspec-hybrid-{side}"), "127.0.0.1", 0, 1, (side,), 1.0)
            for side in ("pv", "battery")
        ]
        pv, battery = (Device(side, SunspecPoints(side, bench.link), {}) for side in sides)
        sun = (await pv.read(HandClock()))["pv"]
        stored = (await battery.read(HandClock()))["battery"]
        assert (sun.power_kw, stored.power_kw) == pytest.approx((-4.5, 0.7))
        assert isinstance(stored, BatteryReading)
        assert stored.setpoint_kw is None
        result = await battery.write("battery", -2.0, sent_s=0.0)
        assert result.confirmed, result.cause
        assert (await bench.foreign())["124.OutWRte"] == 25.0
        refused = await pv.write("pv", -1.0, sent_s=0.0)
        assert (refused.confirmed, refused.cause) == (False, "cannot be written")
        assert bench.server.connections == 2  # ours and that of pysunspec2
