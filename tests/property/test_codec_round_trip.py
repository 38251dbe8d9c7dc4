"""What the codec writes it reads back: every encoding, word order, scale, bias and sign."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import codec
from station.profile import Encoding, Point, WriteRule

INTEGERS = [Encoding.UINT16, Encoding.INT16, Encoding.UINT32, Encoding.INT32, Encoding.UINT64, Encoding.INT64]
WORD = st.integers(0, 0xFFFF)


@st.composite
def integer_points(draw: st.DrawFn) -> Point:
    return Point(
        name="power_kw",
        encoding=draw(st.sampled_from(INTEGERS)),
        unit="W",
        word_order=draw(st.sampled_from(["big", "little"])),
        scale=draw(st.sampled_from([0.01, 0.1, 0.5, 1.0, 10.0, 100.0])),
        bias=draw(st.sampled_from([0.0, -40.0, 1200.0])),
        sign=draw(st.sampled_from([-1, 1])),
    )


@st.composite
def any_points(draw: st.DrawFn) -> Point:
    return Point(
        name="power_kw",
        encoding=draw(st.sampled_from(list(Encoding))),
        unit="W",
        word_order=draw(st.sampled_from(["big", "little"])),
        scale=draw(st.sampled_from([0.1, 1.0, 100.0])),
        bias=draw(st.sampled_from([0.0, -40.0])),
        sign=draw(st.sampled_from([-1, 1])),
        not_available=draw(st.sampled_from([(), (0xFFFF,), (0x8000, 0), (-1,)])),
        valid=draw(st.sampled_from([None, (-1000.0, 1000.0), (0.0, 1e9)])),
        symbols=draw(st.sampled_from([{}, {}, {0: "off", 1: "on"}])),
        length=2,
    )


@given(point=integer_points(), data=st.data())
def test_words_survive_decoding_and_encoding(point: Point, data: st.DataObject) -> None:
    words = tuple(data.draw(WORD) for _ in range(min(codec.register_count(point), 2)))
    words = words + (0,) * (codec.register_count(point) - len(words))
    if len(words) == 4 and point.word_order == "big":
        words = tuple(reversed(words))  # small numbers: a float holds 53 bits
    value = codec.decode(point, words)
    assert isinstance(value, float)
    assert codec.encode(point, value) == words


@given(point=integer_points(), value=st.floats(-300.0, 300.0))
def test_a_value_survives_to_half_a_step_or_is_refused(point: Point, value: float) -> None:
    try:
        words = codec.encode(point, value)
    except ValueError:
        return
    back = codec.decode(point, words)
    assert isinstance(back, float)
    assert abs(back - value) <= point.scale / 2 + 1e-6


@given(
    encoding=st.sampled_from([Encoding.INT16, Encoding.INT32, Encoding.INT64]),
    scale=st.sampled_from([0.01, 0.1, 1.0, 10.0]),
    sign=st.sampled_from([-1, 1]),
    value=st.floats(-320.0, 320.0),
)
def test_a_written_value_is_never_further_from_zero_than_decided(
    encoding: Encoding, scale: float, sign: int, value: float
) -> None:
    point = Point("setpoint_kw", encoding, unit="W", scale=scale, sign=sign, write=WriteRule())
    back = codec.decode(point, codec.encode(point, value))
    assert isinstance(back, float)
    assert abs(back) <= abs(value) + 2e-6 * scale
    assert abs(back - value) < scale * (1.0 + 1e-6)
    assert back == 0.0 or math.copysign(1.0, back) == math.copysign(1.0, value)


@given(value=st.floats(-1e9, 1e9), order=st.sampled_from(["big", "little"]), sign=st.sampled_from([-1, 1]))
def test_floats_survive(value: float, order: str, sign: int) -> None:
    wide = Point("power_kw", Encoding.FLOAT64, unit="W", word_order=order, sign=sign)
    narrow = Point("power_kw", Encoding.FLOAT32, unit="W", word_order=order, sign=sign)
    assert codec.decode(wide, codec.encode(wide, value)) == value
    near = codec.decode(narrow, codec.encode(narrow, value))
    assert near == pytest.approx(value, rel=1e-6, abs=1e-30)


@given(words=st.tuples(WORD, WORD), order=st.sampled_from(["big", "little"]))
def test_no_float_that_is_not_a_number_ever_passes(words: tuple[int, int], order: str) -> None:
    point = Point("power_kw", Encoding.FLOAT32, unit="W", word_order=order)
    try:
        value = codec.decode(point, words)
    except ValueError:
        return
    assert value is None or math.isfinite(float(value))


@given(
    unit=st.sampled_from(["W", "kW", "Wh", "kWh", "%", "1", "A", "s", "min", "degC"]),
    name=st.sampled_from(["setpoint_kw", "soc", "lease_s", "current_l1_a"]),
    value=st.floats(-1e6, 1e6),
    kw_per_a=st.floats(0.1, 1.0),
)
def test_canonical_units_survive(unit: str, name: str, value: float, kw_per_a: float) -> None:
    point = Point(name, Encoding.FLOAT64, unit=unit)
    there = codec.to_canonical(point, value, kw_per_a)
    assert codec.from_canonical(point, there, kw_per_a) == pytest.approx(value)


@given(point=any_points(), data=st.data())
def test_a_prepared_decoder_says_what_decode_says(point: Point, data: st.DataObject) -> None:
    size = codec.register_count(point) + data.draw(st.sampled_from([0, 0, 0, 1]))
    words = tuple(data.draw(st.lists(WORD, min_size=size, max_size=size)))

    def outcome(decode: Callable[[Sequence[int]], codec.Value | None]) -> object:
        try:
            return decode(words)
        except ValueError as refused:
            return str(refused)

    assert outcome(codec.decoder(point)) == outcome(partial(codec.decode, point))
