"""What a device does by itself: fixed timers must fit, counting ones are set anew, polled ones are left alone."""

from dataclasses import replace

import pytest

from drivers.device import Device
from drivers.watchdog import Guard, is_left_alone, misfit, told
from station.errors import DriverError, Unreachable
from station.measurement import NoReading
from station.profile import Profile, Watchdog
from tests.unit.drivers.bench import StillClock, bench

GUARD = Guard(30.0, 0.0)


@pytest.mark.parametrize(
    ("watchdog", "problem"),
    [
        (Watchdog(timeout_s=30.0, fallback_kw=0.0), ""),
        (Watchdog(timeout_s=20.0, fallback_kw=0.0), ""),
        (Watchdog(timeout_s=31.0, fallback_kw=0.0), "waits 31 s by itself, longer than its lease_s 30"),
        (Watchdog(timeout_s=30.0, fallback_kw=4.0), "falls back to 4 kW by itself, not to its fallback_kw 0"),
        (Watchdog("lease_s", "fallback_kw"), ""),
    ],
)
def test_what_is_fixed_must_fit(watchdog: Watchdog, problem: str) -> None:
    found = misfit(watchdog, GUARD)
    assert problem in found
    assert bool(problem) is bool(found)


def test_only_what_can_be_told_is_told_the_fallback_first() -> None:
    assert told(Watchdog("lease_s", "fallback_kw"), GUARD) == (("fallback_kw", 0.0), ("lease_s", 30.0))
    assert told(Watchdog(timeout_s=30.0, fallback_point="fallback_kw"), GUARD) == (("fallback_kw", 0.0),)
    assert told(Watchdog(timeout_s=30.0, fallback_kw=0.0), GUARD) == ()


@pytest.mark.parametrize(
    ("kind", "age_s", "is_alone"),
    [
        ("poll", 29.0, False),
        ("poll", 30.5, True),
        ("poll", 55.0, True),
        ("poll", 57.0, False),
        ("timer", 40.0, False),
    ],
)
def test_a_device_is_left_alone_from_the_end_of_its_lease_until_it_fell_back(
    kind: str, age_s: float, is_alone: bool
) -> None:
    watchdog = Watchdog(kind=kind, timeout_s=25.0, fallback_kw=0.0)
    assert is_left_alone(watchdog, GUARD, 1000.0, 1000.0 + age_s) is is_alone


def with_watchdog(device: Device, watchdog: Watchdog) -> Profile:
    profile = replace(device.binding.profile, watchdog=watchdog)
    device.binding = replace(device.binding, profile=profile)
    return profile


async def test_a_fixed_timer_counts_as_armed_without_a_write_where_it_fits() -> None:
    async with bench("demo-battery", guard=GUARD) as made:
        with_watchdog(made.device, Watchdog(kind="rewrite", timeout_s=25.0, fallback_kw=0.0))
        await made.device.arm("asset")
        assert made.device.armed["asset"]
        assert not any(function in (6, 16) for function, _, _ in made.slave.requests)
        with_watchdog(made.device, Watchdog(kind="rewrite", timeout_s=60.0, fallback_kw=0.0))
        with pytest.raises(DriverError, match="longer than its lease_s"):
            await made.device.arm("asset")
        assert not made.device.armed["asset"]


async def test_a_timer_that_counts_down_is_set_with_each_setpoint_and_lost_when_it_ran_out() -> None:
    async with bench("demo-battery", guard=GUARD) as made:
        watchdog = Watchdog("lease_s", "fallback_kw", kind="countdown")
        with_watchdog(made.device, watchdog)
        await made.device.arm("asset")
        made.hold("lease_s", 3.0)
        assert (await made.device.read(StillClock()))["asset"] is not None
        assert made.device.armed["asset"]  # it runs
        result = await made.device.write("asset", 5.0, sent_s=100.0)
        assert result.confirmed
        assert made.held("lease_s") == 30.0
        made.hold("lease_s", 0.0)
        await made.device.read(StillClock())
        assert not made.device.armed["asset"]


async def test_a_polled_device_hears_nothing_after_its_lease_and_is_heard_again_later() -> None:
    async with bench("demo-battery", guard=GUARD) as made:
        with_watchdog(made.device, Watchdog(kind="poll", timeout_s=20.0, fallback_kw=0.0))
        clock = StillClock()
        assert not isinstance((await made.device.read(clock))["asset"], NoReading)
        await made.device.write("asset", 5.0, sent_s=clock.mono_s)
        clock.mono_s += 31.0
        asked = len(made.slave.requests)
        with pytest.raises(Unreachable, match="left alone until it has fallen back"):
            await made.device.read(clock)
        assert len(made.slave.requests) == asked
        clock.mono_s += 21.0
        assert not isinstance((await made.device.read(clock))["asset"], NoReading)


async def test_a_device_that_ends_a_session_at_zero_is_told_its_least_step() -> None:
    async with bench("demo-ac-charger", guard=GUARD) as made:
        profile = made.device.binding.profile
        point = profile.points["setpoint_kw"]
        assert point.write is not None
        gentle = replace(point, write=replace(point.write, zero_as=1.0))
        profile = replace(profile, points={**profile.points, "setpoint_kw": gentle})
        device = Device(replace(made.device.binding, profile=profile), made.device._wire, {"asset": GUARD})
        result = await device.write("asset", 0.0, sent_s=100.0)
        assert result.confirmed, result.cause
        assert made.held("setpoint_kw") == 1.0
