"""SunSpec values: what is not implemented is never a number, and what is written never exceeds what was asked."""

import math
import struct

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sunspec2.device import Point as ForeignPoint

from drivers.sunspec_address import address_of, rounded_at, value_at
from drivers.sunspec_block import Block
from drivers.sunspec_chain import Instance
from drivers.sunspec_controls import CONTROLS, Step
from drivers.sunspec_models import ENCODINGS, ModelPoint, Placed, layout_of, model_of

SIZES = {"16": 1, "32": 2, "64": 4, "sunssf": 1, "count": 1, "ipaddr": 2}
NUMBERS = sorted(set(ENCODINGS) - {"string"})
WORD = st.integers(0, 0xFFFF)
EDGE = st.sampled_from([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF])


def size_of(kind: str) -> int:
    """Return how many registers a type takes."""
    return next(size for end, size in SIZES.items() if kind.endswith(end))


def a_block(kind: str, words: list[int], factor: int | None = None) -> Block:
    """Return a model of one point, with a scale factor where one is given."""
    sf = None if factor is None else "X_SF"
    point = ModelPoint("X", kind, len(words), sf, "", True, True, {})
    scale = ModelPoint("X_SF", "sunssf", 1, None, "", False, True, {})
    layout = {"X": Placed(2, point, sf), "X_SF": Placed(2 + len(words), scale, None)}
    return Block(Instance(1, 1, 0, 9), layout, [1, 9, *words, (factor or 0) & 0xFFFF])


@given(st.data(), st.sampled_from(NUMBERS))
def test_a_pattern_is_not_implemented_for_us_where_it_is_for_pysunspec2(
    data: st.DataObject, kind: str
) -> None:
    size = size_of(kind)
    words = data.draw(st.lists(st.one_of(WORD, EDGE), min_size=size, max_size=size))
    foreign = ForeignPoint({"name": "X", "type": kind, "size": size})
    foreign.set_mb(struct.pack(f">{size}H", *words))
    theirs = foreign.value
    if isinstance(theirs, float) and not math.isfinite(theirs):
        with pytest.raises(ValueError, match="is not a number"):
            a_block(kind, words).value("X")
        return
    assert a_block(kind, words).value("X") == (None if theirs is None else float(theirs))


@given(st.lists(st.integers(32, 126), max_size=16))
def test_a_text_of_no_letters_is_not_implemented(letters: list[int]) -> None:
    data = bytes(letters).ljust(16, b"\0")
    held = a_block("string", list(struct.unpack(">8H", data))).value("X")
    assert held == (bytes(letters).decode().strip() or None)


@given(
    st.sampled_from(["int16", "uint16", "int32", "uint32"]),
    st.integers(-6, 6),
    st.floats(-1e9, 1e9, allow_nan=False),
)
def test_a_written_value_lies_within_a_step_of_what_was_asked_on_the_side_of_zero(
    kind: str, factor: int, value: float
) -> None:
    block = a_block(kind, [0] * size_of(kind), factor)
    try:
        words = block.encoded("X", value)
    except ValueError:
        assume(False)
        return
    held = a_block(kind, list(words), factor).number("X")
    assert held is not None
    slack = 1e-5 * block.step("X") + 1e-9 * abs(value)
    assert abs(held) <= abs(value) + slack
    assert abs(value) - abs(held) <= block.step("X") + slack
    assert held * value >= 0.0
    assert block.rounded("X", value) == held


@given(st.integers(-10, 10), st.integers(0, 0xFFFF))
def test_a_value_is_never_encoded_as_the_pattern_for_none(factor: int, raw: int) -> None:
    block = a_block("uint16", [0], factor)
    if raw == 0xFFFF:
        with pytest.raises(ValueError, match="cannot hold"):
            block.encoded("X", raw * 10.0**factor)
    else:
        assert block.encoded("X", raw * 10.0**factor) == (raw,)


def the_models(share: int, percent_sf: int, rating: int, watts_sf: int) -> dict[int, Block]:
    """Return the registers of the four control models and the ratings, all of one device."""
    values = {
        704: {"WMaxLimPct": share, "WMaxLimPctEna": 1, "WMaxLimPct_SF": percent_sf, "WSet": 0, "WSetEna": 1}
        | {"WSetMod": 1, "WSet_SF": watts_sf},
        702: {"WMax": rating, "W_SF": watts_sf},
        123: {"WMaxLimPct": share, "WMaxLim_Ena": 1, "WMaxLimPct_SF": percent_sf},
        121: {"WMax": rating, "WMax_SF": watts_sf},
        124: {"WChaMax": rating, "WChaMax_SF": watts_sf, "InWRte": 0, "OutWRte": 0, "StorCtl_Mod": 3}
        | {"InOutWRte_SF": percent_sf},
    }
    return {model_id: _model(model_id, held) for model_id, held in values.items()}


def _model(model_id: int, held: dict[str, int]) -> Block:
    model = model_of(model_id)
    assert model is not None
    layout = layout_of(model, 200, {})
    words = [0xFFFF] * 202
    block = Block(Instance(model_id, 1, 0, 200), layout, words)
    for name, value in held.items():
        _put(block, name, value)
    return block


def _put(block: Block, name: str, value: int) -> None:
    placed = block.layout[name]
    words = block.words
    assert isinstance(words, list)
    for index in range(placed.point.size):
        words[placed.offset + index] = (value >> (16 * (placed.point.size - 1 - index))) & 0xFFFF


def _done(blocks: dict[int, Block], model_id: int, steps: list[Step]) -> None:
    block = blocks[model_id]
    assert isinstance(block.words, list)
    for step in steps:
        start = block.layout[step.path].offset
        block.words[start : start + len(step.words)] = step.words


@given(
    st.sampled_from(sorted(CONTROLS)),
    st.integers(-3, 0),
    st.integers(1, 30_000),
    st.integers(-1, 2),
    st.floats(-1.3, 1.3),
)
def test_a_setpoint_reads_back_as_it_was_told_that_it_would_and_never_beyond_what_was_asked(
    key: tuple[int, str], percent_sf: int, rating: int, watts_sf: int, share: float
) -> None:
    model_id, name = key
    blocks = the_models(10, percent_sf, rating, watts_sf)
    power_w = share * rating * 10.0**watts_sf
    control, address = CONTROLS[key], address_of(f"{model_id}.{name}")
    try:
        steps = control.setpoint_steps(blocks.get, power_w)
    except ValueError:
        assert (name == "limit" and power_w < 0.0) or abs(power_w) > 3e6 or percent_sf == -3
        return
    _done(blocks, model_id, steps)
    held_w = value_at(address, blocks)
    assert isinstance(held_w, float)
    assert abs(held_w) <= abs(power_w) * (1.0 + 1e-6) + 1e-6 * rating * 10.0**watts_sf
    assert rounded_at(address, blocks, power_w) == pytest.approx(held_w, rel=1e-9, abs=1e-9)
