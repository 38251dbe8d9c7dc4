"""Single registers by hand: what each encoding means, and what is refused."""

import pytest

from drivers import codec
from station.profile import Encoding, Point, WriteRule


def point(encoding: Encoding, **fields: object) -> Point:
    return Point(**{"name": "power_kw", "encoding": encoding, "unit": "W", **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "words", "value"),
    [
        (point(Encoding.INT16), (0xFFFE,), -2.0),
        (point(Encoding.UINT16, scale=0.1), (555,), pytest.approx(55.5)),
        (point(Encoding.INT32), (0xFFFF, 0xFFFE), -2.0),
        (point(Encoding.INT32, word_order="little"), (0xFFFE, 0xFFFF), -2.0),
        (point(Encoding.UINT32, sign=-1), (0, 7), -7.0),
        (point(Encoding.UINT16, bias=-1200.0, scale=0.1), (12_500,), 50.0),
        (point(Encoding.UINT64, word_order="little"), (1, 0, 0, 0), 1.0),
        (point(Encoding.FLOAT32), (0x42F6, 0xE979), pytest.approx(123.456)),
        (point(Encoding.BOOL), (1,), 1.0),
        (point(Encoding.STRING, length=3), (0x4142, 0x4300, 0), "ABC"),
        (point(Encoding.STRING, length=2), (0, 0), None),
        (point(Encoding.UINT16, not_available=(0xFFFF,)), (0xFFFF,), None),
        (point(Encoding.INT32, not_available=(0x80000000,)), (0x8000, 0), None),
        (point(Encoding.INT16, not_available=(-1,)), (0xFFFF,), None),
        (point(Encoding.FLOAT32), (0x7FC0, 0), None),
        (point(Encoding.UINT16, symbols={3: "free"}), (3,), "free"),
    ],
)
def test_words_mean(made: Point, words: tuple[int, ...], value: codec.Value | None) -> None:
    assert codec.decode(made, words) == value


@pytest.mark.parametrize(
    ("made", "words", "problem"),
    [
        (point(Encoding.INT32), (1,), "1 registers instead of 2"),
        (point(Encoding.UINT16, valid=(0.0, 10.0)), (11,), "11 W lies outside 0 to 10"),
        (point(Encoding.FLOAT32), (0x7F80, 0), "inf is not a number"),
        (point(Encoding.BOOL), (2,), "2 does not fit into bool"),
        (point(Encoding.UINT16, symbols={3: "free"}), (4,), "4 is none of the known values"),
    ],
)
def test_nonsense_is_refused(made: Point, words: tuple[int, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        codec.decode(made, words)


@pytest.mark.parametrize(
    ("made", "value", "problem"),
    [
        (point(Encoding.UINT16), -1.0, "-1 does not fit into uint16"),
        (point(Encoding.INT16, scale=0.1), 4000.0, "40000 does not fit into int16"),
        (point(Encoding.INT32), float("nan"), "nan is not a number"),
        (point(Encoding.FLOAT32), 1e300, "does not fit into float32"),
        (point(Encoding.UINT16, valid=(0.0, 10.0)), 11.0, "outside 0 to 10"),
        (point(Encoding.UINT16, symbols={3: "free"}), "busy", "none of"),
        (point(Encoding.STRING, length=1), "ABC", "longer than 2"),
    ],
)
def test_what_does_not_fit_is_refused(made: Point, value: codec.Value, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        codec.encode(made, value)


def test_readings_are_rounded_to_the_nearest_step_and_commands_towards_zero() -> None:
    read = point(Encoding.INT16, scale=10.0, sign=-1)
    written = point(Encoding.INT16, scale=10.0, sign=-1, write=WriteRule())
    assert codec.encode(read, 18.0) == (0xFFFE,)
    assert codec.encode(written, 18.0) == (0xFFFF,)
    assert codec.encode(written, -18.0) == (1,)
    assert codec.encode(written, 19.999999999) == (0xFFFE,)


def test_a_current_becomes_power_only_where_the_name_says_so() -> None:
    setpoint = Point("setpoint_kw", Encoding.UINT16, unit="A")
    current = Point("current_l1_a", Encoding.UINT16, unit="A")
    assert codec.to_canonical(setpoint, 16.0, 0.69) == pytest.approx(11.04)
    assert codec.from_canonical(setpoint, 11.04, 0.69) == pytest.approx(16.0)
    assert codec.to_canonical(current, 16.0, 0.69) == 16.0
    with pytest.raises(ValueError, match="phases and voltage"):
        codec.to_canonical(setpoint, 16.0, 0.0)
