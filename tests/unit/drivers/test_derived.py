"""Points that others take part in, counters that doubt, values that are kept, numbers whose halves lie apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.profiles import load_profile
from drivers import codec, derived
from drivers.counters import Counters
from drivers.modbus import ModbusLink
from drivers.modbus_points import SLOW_S, ModbusPoints
from drivers.transport import memory_pair
from drivers.turns import Priority
from drivers.wire import Outcome, PointRef
from station.errors import DriverError
from station.profile import DeviceBinding, Encoding, Point, Scaling
from tests.wire.slave import Slave, serve_in_memory


def a_point(name: str = "x", **changes: object) -> Point:
    return replace(Point(name, Encoding.INT16, "W"), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scaling", "value", "scale", "sign"),
    [
        (Scaling("o"), 40.0, 40.0, 1),
        (Scaling("o", "exponent"), -2.0, 0.01, 1),
        (Scaling("o", "exponent"), 3.0, 1000.0, 1),
        (Scaling("o", "cases", ((0.0, 1.0), (100.0, 0.1))), 99.0, 1.0, 1),
        (Scaling("o", "cases", ((0.0, 1.0), (100.0, 0.1))), 100.0, 0.1, 1),
        (Scaling("o", "bit", mask=4, scale=-1.0), 6.0, 1.0, -1),
        (Scaling("o", "bit", mask=4, scale=-1.0), 2.0, 1.0, 1),
    ],
)
def test_another_point_scales(scaling: Scaling, value: float, scale: float, sign: int) -> None:
    found = derived.scaled(a_point(scaled_by=(scaling,)), {"o": value})
    assert (found.scale, found.sign) == (pytest.approx(scale), sign)


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({}, "needs o, which has no value"),
        ({"o": None}, "needs o, which has no value"),
        ({"o": "text"}, "needs o, which has no value"),
        ({"o": DriverError("d", "no answer")}, "needs o: no answer"),
        ({"o": 0.0}, "o is 0, which scales nothing"),
        ({"o": -5.0}, "o is -5, which scales nothing"),
    ],
)
def test_without_its_scale_a_point_has_no_value(known: derived.Known, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        derived.scaled(a_point(scaled_by=(Scaling("o"),)), known)


def test_a_version_before_all_cases_scales_nothing() -> None:
    point = a_point(scaled_by=(Scaling("o", "cases", ((100.0, 0.1),)),))
    with pytest.raises(ValueError, match="for which no scale is known"):
        derived.scaled(point, {"o": 99.0})


def test_a_sum_lacks_what_one_of_its_parts_lacks() -> None:
    point = a_point(sum_of=("a", "b"))
    assert derived.total(point, {"a": 1.5, "b": -2.0}) == -0.5
    with pytest.raises(ValueError, match="needs b, which has no value"):
        derived.total(point, {"a": 1.5, "b": None})


def test_what_a_point_needs_comes_before_it() -> None:
    points = {"s": a_point("s", sum_of=("a", "b")), "a": a_point("a", scaled_by=(Scaling("r"),))}
    points |= {"b": a_point("b"), "r": a_point("r")}
    order = derived.in_order(points, ["s", "a"])
    assert sorted(order) == ["a", "b", "r", "s"]
    assert order.index("r") < order.index("a") < order.index("s")


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(1, 16))
def test_a_bit_field_is_what_remains_of_the_register(raw: int, low: int, count: int) -> None:
    point = Point("x", Encoding.UINT16, bits=(low, count))
    assert codec.decode(point, [raw]) == float((raw >> low) % (1 << count))


def test_a_counter_that_runs_back_is_believed_the_third_time() -> None:
    counters = Counters()
    for value in (100.0, 101.0):
        counters.check("c", value)
    for value in (5.0, 6.0):
        with pytest.raises(ValueError, match="ran back from 101 to"):
            counters.check("c", value)
    counters.check("c", 7.0)
    counters.check("c", 8.0)


def test_a_single_wrong_reading_of_a_counter_does_not_move_it() -> None:
    counters = Counters()
    counters.check("c", 100.0)
    with pytest.raises(ValueError, match="ran back"):
        counters.check("c", 1.0)
    counters.check("c", 100.5)
    for _ in range(2):
        with pytest.raises(ValueError, match="ran back"):
            counters.check("c", 3.0)


@asynccontextmanager
async def a_device(**points: Point) -> AsyncIterator[tuple[ModbusPoints, Slave]]:
    profile = replace(load_profile("demo-meter"), points=points, max_gap=0)
    client, server = memory_pair()
    slave = Slave()
    binding = DeviceBinding("dut", profile, "", 0, 1, ("asset",), 1.0)
    serving = asyncio.create_task(serve_in_memory(slave, server))
    try:
        yield ModbusPoints(binding, ModbusLink(client)), slave
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def read(points: ModbusPoints, name: str, priority: Priority = Priority.FAST) -> Outcome:
    ref = PointRef(0, name)
    return (await points.read([ref], priority))[ref]


async def test_halves_that_lie_apart_make_one_number_and_a_torn_one_is_refused() -> None:
    point = Point("x", Encoding.UINT32, "W", words=(80, 78))
    async with a_device(x=point) as (points, slave):
        slave.set(3, 80, (1,))
        slave.set(3, 78, (2,))
        assert await read(points, "x") == 65538.0
        asked = 0

        def carry(function: int, address: int) -> None:
            nonlocal asked
            asked += 1
            if asked == 2:
                slave.set(3, 80, (2,))
                slave.set(3, 78, (0,))

        slave.refuse = carry
        torn = await read(points, "x")
    assert isinstance(torn, DriverError)
    assert torn.cause == "moved while its parts were read"


async def test_a_slow_value_is_asked_for_seldom_and_a_constant_once_per_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fast, slow = a_point("f", address=1), a_point("s", address=10, group="slow")
    once = a_point("o", address=20, group="once")
    async with a_device(f=fast, s=slow, o=once) as (points, slave):
        for address in (1, 10, 20):
            slave.set(3, address, (5,))
        refs = [PointRef(0, name) for name in "fso"]
        for _ in range(3):
            await points.read(refs, Priority.FAST)
        assert [address for _, address, _ in slave.requests] == [1, 10, 20, 1, 1]
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        monkeypatch.setattr(loop, "time", lambda: now_s + SLOW_S + 1.0)
        slave.set(3, 10, (6,))
        slave.requests.clear()
        found = await points.read(refs, Priority.FAST)
        assert found[PointRef(0, "s")] == 6.0
        assert [address for _, address, _ in slave.requests] == [1, 10]
        monkeypatch.undo()
        await points.close()
        slave.requests.clear()
        slave.set(3, 20, (7,))
        assert await read(points, "o", Priority.SLOW) == 7.0
        await points.close()
        slave.set(3, 20, (8,))
        await read(points, "f")
        assert await read(points, "o") == 8.0


async def test_a_scale_is_read_with_the_value_and_written_with_it() -> None:
    ratio = a_point("r", address=5, encoding=Encoding.UINT16, unit="")
    from station.profile import WriteRule

    point = a_point("x", address=6, scaled_by=(Scaling("r"),), write=WriteRule(function=6))
    async with a_device(x=point, r=ratio) as (points, slave):
        slave.set(3, 5, (10,))
        slave.set(3, 6, (7,))
        with pytest.raises(ValueError, match="scale is not known yet"):
            points.rounded(PointRef(0, "x"), 100.0)
        await points.write(PointRef(0, "x"), 129.0, Priority.SETPOINT)
        assert slave.registers[3][6] == 12
        assert points.rounded(PointRef(0, "x"), 129.0) == 120.0
        slave.set(3, 5, (100,))
        assert await read(points, "x") == 1200.0
