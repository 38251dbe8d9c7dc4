"""How the models of a SunSpec device are found: odd chains, lying ones, other devices at the same place."""

import random
import struct

import pytest

from drivers.modbus_frame import NoSuchRegister
from drivers.sunspec_scan import scan
from drivers.turns import Priority
from station.errors import Nonsense, Rejected, Unreachable
from tests.sunspec_image import Data, common, filled, image_of, sample, words_of
from tests.wire.sunspec_bench import a_bench, a_point

VENDOR = [64999, 3, 1, 2, 3]
"""A model that SunSpec has not published."""


def inverter(watts: int, factor: int = 0) -> Data:
    """Return a three-phase inverter that feeds in."""
    return filled(103, random.Random(1)) | {"W": watts, "W_SF": factor}


def meter(watts: int, factor: int = 0) -> Data:
    """Return a three-phase meter."""
    return filled(203, random.Random(2)) | {"W": watts, "W_SF": factor}


@pytest.mark.parametrize("base", [40000, 0, 50000])
async def test_the_map_is_found_at_each_base(base: int) -> None:
    async with a_bench(image_of([common(), inverter(4200)], base), a_point("power", "103.W")) as bench:
        assert await bench.read("power") == [4200.0]


async def test_the_first_model_that_is_there_gives_the_value_whatever_the_order_in_the_chain() -> None:
    models = [meter(7), VENDOR, inverter(4200), common()]
    points = a_point("first", "701.W", "103.W", "203.W"), a_point("second", "203.W", "103.W")
    async with a_bench(image_of(models), *points) as bench:
        assert await bench.read("first", "second") == [4200.0, 7.0]
        assert [one.model_id for one in await bench.wire.models()] == [203, 64999, 103, 1]


async def test_the_second_model_of_the_same_kind_has_a_number() -> None:
    models = [common(), inverter(1), common(SN="m1"), meter(11), common(SN="m2"), meter(22, factor=1)]
    points = a_point("first", "203.W"), a_point("second", "203#2.W"), a_point("third", "203#3.W")
    async with a_bench(image_of(models), *points) as bench:
        assert await bench.read("first", "second", "third") == [11.0, 220.0, None]


async def test_two_points_of_one_model_are_alternatives_by_what_the_device_has() -> None:
    ratings = filled(702, random.Random(1), gaps=0.0) | {"WMax": None, "WMaxRtg": 90, "W_SF": 2}
    async with a_bench(image_of([common(), ratings]), a_point("rated", "702.WMax", "702.WMaxRtg")) as bench:
        assert await bench.read("rated") == [9000.0]


async def test_a_point_of_no_model_of_the_device_has_no_value() -> None:
    async with a_bench(image_of([common(), inverter(1)]), a_point("soc", "713.SoC", "802.SoC")) as bench:
        assert await bench.read("soc") == [None]
        with pytest.raises(Rejected, match="none of its models"):
            await bench.write("soc", 50.0)


async def test_values_and_scale_factors_come_from_the_same_request() -> None:
    async with a_bench(image_of([common(), inverter(4200)]), a_point("power", "103.W")) as bench:
        await bench.read("power")
        bench.slave.requests.clear()
        for factor in (1, -1, 0):
            bench.show(image_of([common(), inverter(4200, factor)]))
            assert await bench.read("power") == [pytest.approx(4200.0 * 10**factor)]
        assert len(bench.slave.requests) == 3


async def test_a_scale_factor_that_is_lost_makes_the_value_nonsense_though_the_model_leaves_it_optional() -> (
    None
):
    def measured(factor: int | None) -> list[Data]:
        return [common(), filled(701, random.Random(3), gaps=0.0) | {"W": 50, "W_SF": factor}]

    async with a_bench(image_of(measured(None)), a_point("power", "701.W")) as bench:
        assert await bench.read("power") == [50.0]
        bench.show(image_of(measured(2)))
        assert await bench.read("power") == [5000.0]
        bench.show(image_of(measured(None)))
        (outcome,) = await bench.read("power")
        assert isinstance(outcome, Nonsense)
        assert "W_SF has no value" in outcome.cause


@pytest.mark.parametrize("factor", [11, -11, 300])
async def test_a_scale_factor_beyond_the_standard_makes_the_value_nonsense(factor: int) -> None:
    async with a_bench(image_of([common(), inverter(1, factor)]), a_point("power", "103.W")) as bench:
        (outcome,) = await bench.read("power")
        assert isinstance(outcome, Nonsense)


async def test_without_a_map_the_device_says_where_was_looked() -> None:
    async with a_bench({0: 1, 1: 2}, a_point("power", "103.W")) as bench:
        with pytest.raises(Rejected, match="no SunSpec map at the registers 40000, 0, 50000"):
            await bench.read("power")


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param([103, 60000], id="a length beyond the last register"),
        pytest.param([0, 0], id="model 0"),
        pytest.param([7, 0] * 400, id="a chain that does not end"),
    ],
)
async def test_a_lying_chain_is_refused_and_does_not_loop(lie: list[int]) -> None:
    async with a_bench(image_of([common(), lie]), a_point("power", "103.W")) as bench:
        with pytest.raises(Nonsense, match="the chain of models is broken"):
            await bench.read("power")
        assert len(bench.slave.requests) < 100


async def test_a_chain_without_an_end_marker_ends_where_the_registers_end() -> None:
    image = image_of([common(), inverter(4200)])
    for address in sorted(image)[-2:]:
        del image[address]
    async with a_bench(image, a_point("power", "103.W")) as bench:
        assert await bench.read("power") == [4200.0]


async def test_a_device_that_shows_fewer_registers_than_its_length_gives_what_it_shows() -> None:
    image = image_of([common(), inverter(4200)])
    start = 40002 + len(words_of(common()))
    for address in [address for address in image if address >= start + 20]:
        del image[address]
    points = a_point("power", "103.W"), a_point("energy", "103.WH")
    async with a_bench(image, *points) as bench:
        power, energy = await bench.read("power", "energy")
        assert power == 4200.0
        assert isinstance(energy, Nonsense)
        bench.slave.requests.clear()
        await bench.read("power", "energy")
        assert len(bench.slave.requests) == 1


async def test_a_model_shorter_than_its_definition_has_only_the_points_within() -> None:
    words = words_of(inverter(4200))
    short = [103, 20, *words[2:22]]
    points = a_point("power", "103.W"), a_point("energy", "103.WH")
    async with a_bench(image_of([common(), short]), *points) as bench:
        assert await bench.read("power", "energy") == [4200.0, None]


async def test_a_model_that_the_device_refuses_fails_alone() -> None:
    points = a_point("power", "103.W"), a_point("grid", "203.W")
    async with a_bench(image_of([common(), inverter(5), meter(6)]), *points) as bench:
        assert await bench.read("power", "grid") == [5.0, 6.0]
        start = 40002 + len(words_of(common()))
        bench.slave.refuse = lambda function, address: 3 if address == start else None
        power, grid = await bench.read("power", "grid")
        assert isinstance(power, Rejected)
        assert not isinstance(power, NoSuchRegister)
        assert grid == 6.0


async def test_after_a_reconnect_another_device_is_discovered_anew() -> None:
    async with a_bench(image_of([common(SN="1"), VENDOR, inverter(5)]), a_point("power", "103.W")) as bench:
        assert await bench.read("power") == [5.0]
        bench.show(image_of([common(SN="2"), inverter(7), VENDOR]))
        await bench.server.hang_up()
        bench.link.close()
        assert await bench.read("power") == [7.0]


async def test_after_a_reconnect_the_same_device_is_only_asked_who_it_is() -> None:
    async with a_bench(image_of([common(), VENDOR, inverter(5)]), a_point("power", "103.W")) as bench:
        assert await bench.read("power") == [5.0]
        bench.slave.requests.clear()
        bench.link.close()
        assert await bench.read("power") == [5.0]
        power, identity = (3, 40075, 16), (3, 40002, 66)
        assert bench.slave.requests == [power, identity, power]


@pytest.mark.parametrize("version", ["1", "2"])
async def test_a_device_that_moves_its_models_is_noticed_without_a_reconnect(version: str) -> None:
    async with a_bench(image_of([common(Vr="1"), inverter(5)]), a_point("power", "103.W")) as bench:
        assert await bench.read("power") == [5.0]
        bench.show(image_of([common(Vr=version), VENDOR, inverter(7)]))
        with pytest.raises(Nonsense, match="model 103 is no longer at register"):
            await bench.read("power")
        assert await bench.read("power") == [7.0]


async def test_a_base_at_which_nothing_answers_is_tried_last_the_next_time() -> None:
    async with a_bench(image_of([common(), inverter(5)], base=0), a_point("power", "103.W")) as bench:
        silent = iter(["silence"])
        bench.server.misdeed = lambda: next(silent, None)
        with pytest.raises(Unreachable):
            await bench.read("power")
        bench.slave.requests.clear()
        assert await bench.read("power") == [5.0]
        assert bench.slave.requests[0][1] == 0


async def test_a_model_longer_than_a_request_is_not_torn() -> None:
    """The scale factors of model 701 lie behind its values; with 60 registers a request, they are read around them."""
    models = [common(), filled(701, random.Random(3), gaps=0.0) | {"W": 50, "W_SF": 0}]
    async with a_bench(image_of(models), a_point("power", "701.W"), max_registers=60) as bench:
        assert await bench.read("power") == [50.0]
        start = 40002 + len(words_of(common()))
        read = 0

        def changing(function: int, address: int) -> int | None:
            nonlocal read
            read += address == start
            if read == 2 and address > start:
                bench.slave.set(3, start + 116, (1,))
            return None

        bench.slave.refuse = changing
        read = 1
        with pytest.raises(Nonsense, match="changed its scale factors while it was read"):
            await bench.read("power")


async def test_the_ports_of_a_type_are_summed() -> None:
    ports = filled(714, random.Random(4), gaps=0.0)
    for port, (kind, watts) in zip(ports["Prt"], [(0, 300), (1, -200), (0, 45)], strict=True):
        port |= {"PrtTyp": kind, "DCW": watts}
    ports["DCW_SF"] = 1
    points = (
        a_point("pv", "714.Prt[PrtTyp=PV].DCW"),
        a_point("battery", "714.Prt[PrtTyp=ESS].DCW"),
        a_point("car", "714.Prt[PrtTyp=EV].DCW"),
        a_point("third", "714.Prt[3].DCW"),
    )
    async with a_bench(image_of([common(), ports]), *points) as bench:
        assert await bench.read("pv", "battery", "car", "third") == [3450.0, -2000.0, None, 450.0]
        ports["Prt"][2]["DCW"] = None
        bench.show(image_of([common(), ports]))
        assert await bench.read("pv") == [None]


async def test_the_sample_device_is_found_with_all_its_models() -> None:
    async with a_bench(image_of(sample("device_1547.json")), a_point("power", "701.W")) as bench:
        assert [one.model_id for one in await bench.wire.models(Priority.SLOW)] == [1, *range(701, 714)]
        assert await bench.read("power") == [9800.0]


async def test_a_float_model_holds_what_the_words_say() -> None:
    model = filled(113, random.Random(5)) | {"W": struct.unpack(">f", struct.pack(">f", 1234.56))[0]}
    async with a_bench(image_of([common(), model]), a_point("power", "113.W", sign=-1)) as bench:
        assert await bench.read("power") == [pytest.approx(-1234.56, rel=1e-6)]


async def test_a_scan_of_a_line_tells_which_units_are_sunspec_devices() -> None:
    models = [common(Mn="Maker", Md="M1", Vr="2", SN="77"), inverter(5)]
    async with a_bench(image_of(models, base=0)) as bench:
        found = [one async for one in scan(bench.link, [1], timeout_s=0.5)]
        assert [(one.unit, one.base, one.identity) for one in found] == [(1, 0, ("Maker", "M1", "2", "77"))]
        assert [model.model_id for model in found[0].chain] == [1, 103]
        bench.show({0: 1, 1: 2})
        assert [one async for one in scan(bench.link, [1, 2], timeout_s=0.5)] == []
