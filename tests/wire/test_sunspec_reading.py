"""SunSpec devices read by our driver and by pysunspec2's own client: the same values."""

import random
from collections.abc import Mapping

import pytest

from station.errors import DriverError, Nonsense
from tests.sunspec_image import common, filled, image_of, sample
from tests.wire.sunspec_bench import Bench, a_bench, a_point, a_profile

EVERY_MODEL = (
    *(101, 102, 103, 111, 112, 113, 120, 121, 122, 123, 124, 160),
    *(201, 202, 203, 204, 211, 212, 213, 214, 701, 702, 703, 704, 713, 714, 715, 802),
)


async def read_all(bench: Bench, paths: Mapping[str, object]) -> dict[str, object]:
    """Read points by their addresses with our driver."""
    points = [a_point(path, path, unit="") for path in paths]
    bench.wire = bench.wire_for(a_profile(*points))
    return dict(zip(paths, await bench.read(*paths), strict=True))


def agrees(ours: object, theirs: object) -> bool:
    """Return whether both read the same; an empty text is none, and a float has an end."""
    if isinstance(theirs, int | float) and isinstance(ours, float):
        return ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    return (ours or None) == (theirs or None)


@pytest.mark.parametrize("model_id", EVERY_MODEL)
async def test_every_point_of_a_model_reads_as_pysunspec2_reads_it(model_id: int) -> None:
    models = [common(), filled(model_id, random.Random(model_id))]
    async with a_bench(image_of(models)) as bench:
        theirs = await bench.foreign()
        ours = await read_all(bench, theirs)
    assert len(theirs) > 10
    assert {p: v for p, v in ours.items() if not agrees(v, theirs[p])} == {}
    assert not any(isinstance(value, DriverError) for value in ours.values())


@pytest.mark.parametrize(
    ("name", "unscaled"),
    [
        (
            "device_1547.json",
            {f"705.Crv[{n}].RspTms" for n in (1, 2, 3)} | {f"706.Crv[{n}].RspTms" for n in (1, 2)},
        ),
        ("inverter_123.json", set()),
    ],
)
async def test_a_sample_device_reads_the_same_save_where_a_mandatory_scale_factor_is_missing(
    name: str, unscaled: set[str]
) -> None:
    async with a_bench(image_of(sample(name))) as bench:
        theirs = await bench.foreign()
        ours = await read_all(bench, theirs)
    assert len(theirs) > 100
    refused = {path for path, value in ours.items() if isinstance(value, Nonsense)}
    assert {
        path: value for path, value in ours.items() if path not in refused and not agrees(value, theirs[path])
    } == {}
    assert refused == unscaled
    assert all("its scale factor" in str(ours[path]) for path in refused)
