"""Every point of every shipped Modbus profile: what it decodes it encodes again, and no other words mean the same."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.profiles import load_profile, profile_ids
from drivers import codec, derived
from station.profile import Point, Protocol


def points_of(name: str) -> list[Point]:
    """Return the points that have a place, with the scales that an emulated device tells."""
    profile = load_profile(name)
    typical = {point.name: point.typical for point in profile.points.values()}
    own = (point for point in profile.points.values() if not point.sum_of)
    return [derived.scaled(point, typical) for point in own]


POINTS = [
    pytest.param(point, id=f"{name}-{point.name}")
    for name in profile_ids()
    if load_profile(name).protocol is Protocol.MODBUS_TCP
    for point in points_of(name)
]


def words_of(point: Point, data: st.DataObject) -> tuple[int, ...]:
    """Draw words: mostly numbers of a size that the device may give, else anything."""
    count = codec.register_count(point)
    if point.encoding == "string":
        text = data.draw(
            st.text(st.characters(min_codepoint=48, max_codepoint=122), min_size=1, max_size=2 * count)
        )
        return codec.encode(point, text)
    if point.encoding == "bool":
        return (data.draw(st.integers(0, 1)),)
    if point.encoding not in codec.FLOAT_FORMATS and data.draw(st.booleans()):
        small = data.draw(st.integers(0, min(1 << 40, (1 << (16 * count - 1)) - 1)))
        big = tuple((small >> (16 * i)) & 0xFFFF for i in reversed(range(count)))
        return tuple(reversed(big)) if point.word_order == "little" else big
    return tuple(data.draw(st.integers(0, 0xFFFF)) for _ in range(count))


@pytest.mark.parametrize("point", POINTS)
@settings(max_examples=40)
@given(data=st.data())
def test_what_it_decodes_it_encodes_again(point: Point, data: st.DataObject) -> None:
    words = words_of(point, data)
    try:
        value = codec.decode(point, words)
    except ValueError:
        return  # it is not believed
    if value is None:
        return
    if isinstance(value, str) and point.bits is None:  # bit fields are only read
        assert codec.decode(point, codec.encode(point, value)) == value
    if isinstance(value, str):
        return
    assert math.isfinite(value)
    assert point.valid is None or point.valid[0] <= value <= point.valid[1]
    if point.encoding in codec.FLOAT_FORMATS:
        assert codec.decode(point, codec.encode(point, value)) == pytest.approx(value, rel=1e-6)
    elif point.bits is None and abs(value) < 2.0**52 * point.scale:  # a float holds no more digits
        assert codec.encode(point, value) == words
