"""Setpoints of several registers: which writes, in which order, and what they say when they are read back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.profiles import load_profile, profile_ids
from drivers import codec
from drivers.commands import held_kw, part_kw, steps_of
from drivers.device import Device
from drivers.turns import Priority
from drivers.watchdog import Guard
from drivers.wire import Outcome, PointRef
from station.errors import Rejected
from station.measurement import BatteryReading
from station.profile import DeviceBinding, Profile, Step, Watchdog
from tests.unit.drivers.bench import StillClock

COMMANDED = [name for name in profile_ids() if load_profile(name).commands]


class Memory:
    """A wire whose device keeps what it is told, and remembers the order."""

    def __init__(self, profile: Profile, **held: float) -> None:
        self.points = profile.points
        self.held: dict[str, codec.Value | None] = dict.fromkeys(profile.points, 0.0) | held
        self.written: list[tuple[str, codec.Value]] = []
        self.refuses = ""

    async def read(self, refs: list[PointRef], priority: Priority) -> dict[PointRef, Outcome]:
        return {ref: self.held[ref.name] for ref in refs}

    async def write(self, ref: PointRef, value: codec.Value, priority: Priority) -> None:
        if ref.name == self.refuses:
            raise Rejected("device", "exception 4", ref.name)
        self.written.append((ref.name, value))
        self.held[ref.name] = self.rounded(ref, float(value))

    def rounded(self, ref: PointRef, value: float) -> codec.Value | None:
        point = self.points[ref.name]
        return codec.decode_raw(point, codec.encode_raw(point, value))

    async def close(self) -> None:
        return


def a_device(name: str, guard: Guard | None = None, **held: float) -> tuple[Device, Memory]:
    profile = load_profile(name)
    wire = Memory(profile, **held)
    guards = {"battery": guard} if guard else {}
    return Device(DeviceBinding("device", profile, "", 0, 1, ("battery",), 1.0), wire, guards), wire


@pytest.mark.parametrize("name", COMMANDED)
@given(setpoint_kw=st.floats(-30.0, 30.0))
def test_what_the_writes_leave_in_the_device_says_the_setpoint_again(name: str, setpoint_kw: float) -> None:
    profile = load_profile(name)
    held: dict[str, float] = {}
    for step in steps_of(profile, setpoint_kw):
        point = profile.points[step.point]
        own = step.value
        if own is None:
            own = codec.from_canonical(point, part_kw(step, setpoint_kw), 0.0)
        kept = codec.decode_raw(point, codec.encode_raw(point, own))
        assert isinstance(kept, float)
        held[step.point] = kept

    def canonical(point: str) -> float | None:
        return codec.to_canonical(profile.points[point], held[point], 0.0) if point in held else None

    said_kw = held_kw(profile, canonical)
    assert said_kw is not None
    assert abs(said_kw) <= abs(setpoint_kw) + 1e-9  # never more than was told
    assert said_kw == pytest.approx(setpoint_kw, abs=0.0011)


def test_one_list_for_both_directions_carries_each_in_its_own_point() -> None:
    steps = (Step("in_w", carries="charge"), Step("out_w", carries="discharge"))
    assert [part_kw(step, 3.0) for step in steps] == [3.0, 0.0]
    assert [part_kw(step, -3.0) for step in steps] == [0.0, 3.0]
    profile = replace(
        load_profile("goodwe-et-battery"), commands={"set": (steps[0], replace(steps[1], point="ems_w"))}
    )
    profile = replace(
        profile, points={**profile.points, "in_w": replace(profile.points["ems_w"], name="in_w")}
    )
    assert held_kw(profile, {"in_w": 0.0, "ems_w": 2.0}.get) == -2.0


def test_a_device_in_another_mode_is_under_no_setpoint() -> None:
    profile = load_profile("goodwe-et-battery")
    assert held_kw(profile, {"ems_mode": 1.0, "ems_w": 4.0}.get) is None
    assert held_kw(profile, {"ems_mode": 11.0, "ems_w": None}.get) is None
    assert held_kw(profile, {"ems_mode": 11.0, "ems_w": 4.0}.get) == 4.0


async def test_the_reading_tells_the_setpoint_that_the_registers_mean_together() -> None:
    device, _ = a_device("goodwe-et-battery", ems_mode=12.0, ems_w=2500.0, soc=50.0)
    reading = (await device.read(StillClock()))["battery"]
    assert isinstance(reading, BatteryReading)
    assert reading.setpoint_kw == -2.5
    assert reading.max_charge_kw == float("inf")  # the profile has no such point


async def test_a_step_that_fails_ends_the_command_and_nothing_after_it_is_written() -> None:
    device, wire = a_device("sungrow-sh-battery", forced=0xCC)
    wire.refuses = "forced_w"
    result = await device.write("battery", 5.0, sent_s=1.0)
    assert not result.confirmed
    assert result.cause == "exception 4"
    assert wire.written == [("ems_mode", 2.0)]


async def test_control_is_given_back_at_the_end_where_it_was_taken() -> None:
    device, wire = a_device("huawei-luna-battery")
    await device.close()
    assert wire.written == []
    await device.write("battery", 5.0, sent_s=1.0)
    wire.written.clear()
    await device.close()
    assert wire.written == [("forced", 0.0)]


async def test_a_heartbeat_is_another_number_with_each_setpoint() -> None:
    profile = load_profile("goodwe-et-battery")
    device, wire = a_device("goodwe-et-battery", Guard(30.0, 0.0))
    watchdog = Watchdog(kind="heartbeat", timeout_s=25.0, fallback_kw=0.0, heartbeat_point="beat")
    beat = replace(profile.points["ems_w"], name="beat", unit="", valid=(1.0, 3.0))
    beat = replace(beat, write=replace(beat.write, storage="volatile"))  # type: ignore[type-var]
    profile = replace(profile, points={**profile.points, "beat": beat}, watchdog=watchdog)
    wire.points = profile.points
    wire.held["beat"] = 0.0
    device = Device(replace(device.binding, profile=profile), wire, {"battery": Guard(30.0, 0.0)})
    for second in range(5):
        assert (await device.write("battery", 1.0 + second, sent_s=float(second))).confirmed
    assert [value for name, value in wire.written if name == "beat"] == [1.0, 2.0, 3.0, 1.0, 2.0]
