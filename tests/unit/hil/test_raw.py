"""What an emulated device puts on the wire where it has no value."""

import pytest

from drivers import codec
from hil.emulators.raw import raw_of, words_of
from station.profile import Encoding, Point


@pytest.mark.parametrize(
    "point",
    [
        Point("p", Encoding.UINT16, not_available=(0xFFFF,)),
        Point("p", Encoding.INT16, not_available=(0x8000,)),
        Point("p", Encoding.UINT32, not_available=(0xFFFFFFFF,), word_order="little"),
        Point("p", Encoding.INT32, not_available=(0x80000000,), word_order="little"),
        Point("p", Encoding.INT64, not_available=(0x8000000000000000,)),
        Point("p", Encoding.FLOAT32, word_order="little"),
        Point("p", Encoding.FLOAT64),
        Point("p", Encoding.STRING, length=4),
    ],
    ids=lambda point: point.encoding.value,
)
def test_none_is_decoded_as_none(point: Point) -> None:
    assert codec.decode(point, words_of(point, None)) is None
    assert codec.decode_raw(point, raw_of(point, None)) is None


def test_a_number_without_a_pattern_for_none_shows_zero() -> None:
    assert words_of(Point("p", Encoding.UINT32), None) == (0, 0)


def test_a_value_goes_through_the_codec_of_the_drivers() -> None:
    point = Point("p", Encoding.INT32, scale=0.1, sign=-1, word_order="little")
    assert codec.decode(point, words_of(point, 12.3)) == pytest.approx(12.3)
    assert codec.decode_raw(point, raw_of(point, 12.3)) == pytest.approx(12.3)
