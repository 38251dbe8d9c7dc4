"""What need not be written: small raises wait, memory that wears is spared; what lowers power never waits."""

from dataclasses import replace

import pytest

from configs.profiles import load_profile
from drivers.device import Device
from drivers.thrift import Thrift
from drivers.wear import DAY_S, WearBook
from station.measurement import WriteResult
from station.profile import DeviceBinding, Profile
from tests.unit.drivers.test_commands import Memory

KEPT = WriteResult(100.0, 10.0, confirmed=True)


def a_profile(**rule: object) -> Profile:
    """Return the demo battery with another rule for its setpoint."""
    profile = load_profile("demo-battery")
    point = profile.points["setpoint_kw"]
    assert point.write is not None
    changed = replace(point, write=replace(point.write, **rule))  # type: ignore[arg-type]
    return replace(profile, points={**profile.points, "setpoint_kw": changed}, watchdog=None)


def a_binding(**rule: object) -> DeviceBinding:
    return DeviceBinding("device", a_profile(**rule), "", 0, 1, ("battery",), 1.0)


@pytest.mark.parametrize(
    ("wanted_kw", "at_s", "is_written"),
    [
        (10.4, 101.0, False),  # a little more
        (10.5, 101.0, True),  # as much as the deadband
        (9.9, 101.0, True),  # less is never held up
        (0.0, 101.0, True),
        (-0.1, 101.0, True),  # another direction
        (10.4, 109.0, False),
        (10.4, 110.0, True),  # a third of the lease: repeated in any case
    ],
)
def test_what_asks_for_little_more_waits_for_the_next_repetition(
    wanted_kw: float, at_s: float, is_written: bool
) -> None:
    spared = Thrift(a_binding(deadband=500.0)).spared(KEPT, wanted_kw, at_s, 30.0)
    assert (spared is None) is is_written
    if spared is not None:
        assert not spared.confirmed  # so that the grant of the last write stays booked
        assert "within the deadband" in spared.cause


def test_a_discharge_that_asks_for_little_more_waits_too() -> None:
    thrift, kept = Thrift(a_binding(deadband=500.0)), replace(KEPT, power_kw=-10.0)
    assert thrift.spared(kept, -10.4, 101.0, 30.0) is not None
    assert thrift.spared(kept, -9.9, 101.0, 30.0) is None
    assert thrift.spared(None, -10.4, 101.0, 30.0) is None
    assert thrift.spared(replace(kept, confirmed=False), -10.4, 101.0, 30.0) is None


def test_an_unchanged_value_is_confirmed_by_its_last_write_for_a_while() -> None:
    thrift = Thrift(a_binding(min_interval_s=5.0))
    assert thrift.spared(KEPT, 10.0, 104.0, None) is KEPT
    assert thrift.spared(KEPT, 10.0, 105.0, None) is None


def test_writes_are_earned_evenly_and_saved_up_for_a_day() -> None:
    book = WearBook()
    assert book.wait_s("point", 48, 0.0) == 0.0
    for _ in range(2):  # an hour's worth at a start
        assert book.wait_s("point", 48, 0.0) == 0.0
        book.note("point", 48, 0.0)
    assert book.wait_s("point", 48, 0.0) == pytest.approx(DAY_S / 48)
    assert book.wait_s("point", 48, DAY_S / 48) == pytest.approx(0.0)
    assert book.wait_s("other", 48, 0.0) == 0.0
    written = 0
    while book.wait_s("point", 48, 10 * DAY_S) == 0.0:
        book.note("point", 48, 10 * DAY_S)
        written += 1
    assert written == 48


async def test_memory_that_wears_is_not_written_with_what_it_holds_and_only_lower_when_it_is_used_up() -> (
    None
):
    binding = a_binding(storage="unknown", writes_per_day=48)
    wire = Memory(binding.profile)
    device = Device(binding, wire, {})

    async def write(kw: float) -> str:
        return (await device.write("battery", kw, sent_s=0.0)).cause

    assert await write(0.0) == ""
    assert wire.written == []
    assert [await write(kw) for kw in (5.0, 5.0, 6.0)] == ["", "", ""]
    assert [value for _, value in wire.written] == [5000.0, 6000.0]
    assert "its memory takes 48 writes a day; the next in 1800 s" in await write(7.0)
    assert await write(-7.0) != ""
    assert [await write(kw) for kw in (4.0, 1.0, 0.0)] == ["", "", ""]
    assert wire.held["setpoint_kw"] == 0.0
