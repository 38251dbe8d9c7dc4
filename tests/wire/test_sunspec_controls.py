"""What our driver writes to a SunSpec device, as pysunspec2's own client then sees it."""

import random
from typing import Any

import pytest

from drivers.wire import PointRef
from station.errors import Rejected
from tests.sunspec_image import Data, common, filled, image_of
from tests.wire.sunspec_bench import Bench, a_bench, a_point

LIMIT = (
    a_point("setpoint_kw", "704.limit", "123.limit", sign=-1),
    a_point("lease_s", "704.limit.timer", "123.limit.timer", unit="s"),
    a_point("fallback_kw", "704.limit.reversion", "123.limit.reversion", sign=-1),
)
SET = (
    a_point("setpoint_kw", "704.set", "124.set", sign=-1),
    a_point("lease_s", "704.set.timer", "124.set.timer", unit="s"),
    a_point("fallback_kw", "704.set.reversion", "124.set.reversion", sign=-1),
)


def der_controls(**changes: Any) -> Data:
    """Return a model 704 with everything switched off, percentages in tenths and powers in tens of W."""
    off = dict.fromkeys(("WMaxLimPctEna", "WMaxLimPctEnaRvrt", "WSetEna", "WSetEnaRvrt", "WSetMod"), 0)
    values = dict.fromkeys(("WMaxLimPctRvrt", "WSet", "WSetRvrt"), 0) | {"WMaxLimPct": 1000}
    timers = dict.fromkeys(("WMaxLimPctRvrtTms", "WSetRvrtTms"), 0)
    factors = {"WMaxLimPct_SF": -1, "WSet_SF": 1}
    return filled(704, random.Random(1), gaps=0.0) | off | values | timers | factors | changes


def capacity(**changes: Any) -> Data:
    """Return a model 702 of an inverter of 50 kW."""
    return filled(702, random.Random(2), gaps=0.0) | {"WMax": 500, "WMaxRtg": 600, "W_SF": 2} | changes


def immediate_controls(**changes: Any) -> Data:
    """Return a model 123 with the limit switched off, its percentages whole."""
    values = {"WMaxLimPct": 100, "WMaxLim_Ena": 0, "WMaxLimPct_RvrtTms": 0, "WMaxLimPct_SF": 0}
    return filled(123, random.Random(3), gaps=0.0) | values | changes


def basic_settings(**changes: Any) -> Data:
    """Return a model 121 of an inverter of 10 kW."""
    return filled(121, random.Random(4), gaps=0.0) | {"WMax": 10000, "WMax_SF": 0} | changes


def storage(**changes: Any) -> Data:
    """Return a model 124 of a battery of 8 kW, its percentages in hundredths."""
    values = {"WChaMax": 8000, "WChaMax_SF": 0, "StorCtl_Mod": 0, "InWRte": 10000, "OutWRte": 10000}
    timers = {"InOutWRte_RvrtTms": 0, "InOutWRte_SF": -2}
    return filled(124, random.Random(5), gaps=0.0) | values | timers | changes


def written(bench: Bench) -> list[str]:
    """Return the names of the points that the slave was told, in order."""
    return [bench.name_of(address) for function, address, _ in bench.slave.requests if function == 16]


async def test_a_limit_is_a_percentage_of_the_set_maximum_rounded_down() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        await bench.write("setpoint_kw", -33_333.0)
        theirs = await bench.foreign()
        assert theirs["704.WMaxLimPct"] == 66.6
        assert theirs["704.WMaxLimPctEna"] == 1
        assert await bench.read("setpoint_kw") == [pytest.approx(-33_300.0)]
        assert bench.rounded("setpoint_kw", -33_333.0) == pytest.approx(-33_300.0)
        assert bench.wire.resolution(PointRef(0, "setpoint_kw")) == pytest.approx(50.0)


async def test_value_then_timer_then_enable_are_written_in_this_order() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        await bench.write("lease_s", 30.0)
        bench.slave.requests.clear()
        await bench.write("setpoint_kw", -25_000.0)
        assert written(bench) == ["704.WMaxLimPct", "704.WMaxLimPctRvrtTms", "704.WMaxLimPctEna"]
        assert (await bench.foreign())["704.WMaxLimPctRvrtTms"] == 30


async def test_a_limit_that_is_not_enabled_is_the_rating() -> None:
    models = [common(), capacity(), der_controls(WMaxLimPct=100)]
    async with a_bench(image_of(models), *LIMIT) as bench:
        assert await bench.read("setpoint_kw") == [-50_000.0]


async def test_the_rating_is_taken_where_the_device_has_no_setting_for_it() -> None:
    models = [common(), capacity(WMax=None), der_controls(WMaxLimPct=500, WMaxLimPctEna=1)]
    async with a_bench(image_of(models), *LIMIT) as bench:
        assert await bench.read("setpoint_kw") == [-30_000.0]


async def test_without_a_rating_nothing_is_written() -> None:
    async with a_bench(image_of([common(), der_controls()]), *LIMIT) as bench:
        bench.slave.requests.clear()
        with pytest.raises(Rejected, match="tells no rating"):
            await bench.write("setpoint_kw", -10_000.0)
        assert written(bench) == []


async def test_more_than_the_rating_is_the_whole_rating() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        await bench.write("setpoint_kw", -55_000.0)
        assert await bench.read("setpoint_kw") == [-50_000.0]
        assert bench.rounded("setpoint_kw", -55_000.0) == -50_000.0


async def test_a_limit_of_consumption_is_refused() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        await bench.read("setpoint_kw")
        with pytest.raises(Rejected, match="no limit of generation"):
            await bench.write("setpoint_kw", 1_000.0)
        assert written(bench) == []


async def test_the_fallback_of_model_704_is_its_reversion_once_that_is_enabled() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        assert await bench.read("fallback_kw") == [-50_000.0]
        await bench.write("fallback_kw", -10_000.0)
        assert await bench.read("fallback_kw") == [-10_000.0]
        assert written(bench) == ["704.WMaxLimPctRvrt", "704.WMaxLimPctEnaRvrt"]
        theirs = await bench.foreign()
        assert (theirs["704.WMaxLimPctRvrt"], theirs["704.WMaxLimPctEnaRvrt"]) == (20.0, 1)


async def test_the_fallback_of_model_123_is_the_rating_and_cannot_be_another() -> None:
    async with a_bench(image_of([common(), basic_settings(), immediate_controls()]), *LIMIT) as bench:
        assert await bench.read("fallback_kw") == [-10_000.0]
        with pytest.raises(Rejected, match="the fallback is the rating"):
            await bench.write("fallback_kw", -1_000.0)


async def test_model_123_limits_in_whole_percent_of_model_121() -> None:
    async with a_bench(image_of([common(), basic_settings(), immediate_controls()]), *LIMIT) as bench:
        await bench.write("lease_s", 60.0)
        bench.slave.requests.clear()
        await bench.write("setpoint_kw", -4_567.0)
        assert written(bench) == ["123.WMaxLimPct", "123.WMaxLimPct_RvrtTms", "123.WMaxLim_Ena"]
        theirs = await bench.foreign()
        assert (theirs["123.WMaxLimPct"], theirs["123.WMaxLim_Ena"]) == (45, 1)
        assert await bench.read("setpoint_kw", "lease_s") == [-4_500.0, 60.0]
        assert bench.rounded("setpoint_kw", -4_567.0) == -4_500.0


@pytest.mark.parametrize(("told_w", "held_w"), [(7_777.0, 7_770.0), (-7_777.0, -7_770.0), (0.0, 0.0)])
async def test_a_storage_power_in_watts_is_rounded_towards_zero(told_w: float, held_w: float) -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *SET) as bench:
        await bench.write("setpoint_kw", told_w)
        theirs = await bench.foreign()
        assert theirs["704.WSet"] == -held_w
        assert (theirs["704.WSetMod"], theirs["704.WSetEna"]) == (1, 1)
        assert await bench.read("setpoint_kw") == [held_w]
        assert bench.rounded("setpoint_kw", told_w) == held_w
        assert written(bench) == ["704.WSet", "704.WSetMod", "704.WSetEna"]


async def test_a_storage_setpoint_in_percent_or_not_enabled_is_none_of_ours() -> None:
    held = der_controls(WSet=100, WSetEna=1, WSetMod=0)
    async with a_bench(image_of([common(), capacity(), held]), *SET) as bench:
        assert await bench.read("setpoint_kw") == [None]
        bench.show(image_of([common(), capacity(), der_controls(WSet=100, WSetEna=0, WSetMod=1)]))
        assert await bench.read("setpoint_kw") == [None]
        bench.show(image_of([common(), capacity(), der_controls(WSet=100, WSetEna=1, WSetMod=1)]))
        assert await bench.read("setpoint_kw") == [-1_000.0]


async def test_the_fallback_of_a_storage_setpoint_is_unknown_until_its_reversion_is_enabled() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls(WSetRvrt=7)]), *SET) as bench:
        assert await bench.read("fallback_kw") == [None]
        await bench.write("fallback_kw", 0.0)
        assert await bench.read("fallback_kw") == [0.0]
        theirs = await bench.foreign()
        assert (theirs["704.WSetRvrt"], theirs["704.WSetEnaRvrt"]) == (0, 1)


@pytest.mark.parametrize(("told_w", "percent"), [(3_333.0, 41.66), (-3_333.0, -41.66), (9_999.0, 100.0)])
async def test_model_124_holds_a_power_between_two_limits(told_w: float, percent: float) -> None:
    async with a_bench(image_of([common(), storage()]), *SET) as bench:
        await bench.write("lease_s", 20.0)
        bench.slave.requests.clear()
        await bench.write("setpoint_kw", told_w)
        assert written(bench) == ["124.OutWRte", "124.InOutWRte_RvrtTms", "124.StorCtl_Mod"]
        theirs = await bench.foreign()
        assert (theirs["124.InWRte"], theirs["124.OutWRte"]) == (percent, -percent)
        assert theirs["124.StorCtl_Mod"] == 3
        assert await bench.read("setpoint_kw") == [pytest.approx(80.0 * percent)]
        assert bench.rounded("setpoint_kw", told_w) == pytest.approx(80.0 * percent)


async def test_two_limits_of_model_124_that_leave_room_are_no_setpoint() -> None:
    async with a_bench(image_of([common(), storage(StorCtl_Mod=3)]), *SET) as bench:
        assert await bench.read("setpoint_kw") == [None]
        bench.show(image_of([common(), storage(StorCtl_Mod=2, InWRte=5000, OutWRte=-5000)]))
        assert await bench.read("setpoint_kw") == [None]


async def test_model_124_has_no_fallback_in_kw() -> None:
    async with a_bench(image_of([common(), storage()]), *SET) as bench:
        assert await bench.read("fallback_kw") == [None]
        with pytest.raises(Rejected, match="default operation"):
            await bench.write("fallback_kw", 0.0)


@pytest.mark.parametrize("missing", ["WSet", "WSetEna", "WSet_SF"])
async def test_what_the_device_has_not_implemented_is_not_written(missing: str) -> None:
    async with a_bench(image_of([common(), capacity(), der_controls(**{missing: None})]), *SET) as bench:
        with pytest.raises(Rejected):
            await bench.write("setpoint_kw", 1_000.0)
        assert written(bench) == []


async def test_a_timer_that_is_not_there_cannot_be_armed() -> None:
    controls = immediate_controls(WMaxLimPct_RvrtTms=None)
    async with a_bench(image_of([common(), basic_settings(), controls]), *LIMIT) as bench:
        assert await bench.read("lease_s") == [None]
        with pytest.raises(Rejected, match="has no WMaxLimPct_RvrtTms"):
            await bench.write("lease_s", 10.0)
        await bench.write("setpoint_kw", -5_000.0)
        assert written(bench) == ["123.WMaxLimPct", "123.WMaxLim_Ena"]


async def test_part_of_a_second_is_no_timer() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        with pytest.raises(Rejected, match="whole seconds"):
            await bench.write("lease_s", 0.5)
        await bench.write("lease_s", 7.9)
        assert await bench.read("lease_s") == [7.0]


async def test_a_failed_step_ends_the_sequence_before_the_enable() -> None:
    async with a_bench(image_of([common(), capacity(), der_controls()]), *LIMIT) as bench:
        await bench.read("setpoint_kw")
        value = bench.address_of("704.WMaxLimPct")
        bench.slave.refuse = lambda function, address: 4 if (function, address) == (16, value) else None
        with pytest.raises(Exception, match="the device reports a failure"):
            await bench.write("setpoint_kw", -10_000.0)
        assert written(bench) == ["704.WMaxLimPct"]


async def test_a_point_that_the_model_does_not_let_write_is_refused() -> None:
    model = filled(103, random.Random(1), gaps=0.0)
    async with a_bench(image_of([common(), model]), a_point("power_kw", "103.W")) as bench:
        with pytest.raises(Rejected, match="cannot be written"):
            await bench.write("power_kw", 1.0)


async def test_a_heartbeat_is_a_plain_point() -> None:
    control = filled(715, random.Random(1), gaps=0.0) | {"LocRemCtl": 1, "DERHb": 41, "ControllerHb": 5}
    points = (
        a_point("heartbeat", "715.DERHb", unit=""),
        a_point("controller_heartbeat", "715.ControllerHb", unit=""),
        a_point("is_local", "715.LocRemCtl", "802.LocRemCtl", unit=""),
    )
    async with a_bench(image_of([common(), control]), *points) as bench:
        assert await bench.read("heartbeat", "controller_heartbeat", "is_local") == [41.0, 5.0, 1.0]
        await bench.write("controller_heartbeat", 6.0)
        assert (await bench.foreign())["715.ControllerHb"] == 6
