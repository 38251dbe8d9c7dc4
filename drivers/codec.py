"""Raw words to values and back. Pure. The only place where word order, scale, bias and sign are applied.

Three steps, each with its inverse: words <-> raw number (Modbus only), raw number <-> value in the point's unit, value
in the point's unit <-> the unit that heliodock uses inside (kW, kWh, fractions). Every ``ValueError`` raised here is a
phrase that an operator understands; the caller adds the device and the point.
"""

import math
import struct
import sys
from collections.abc import Callable, Sequence
from functools import partial

from station.profile import CANONICAL_FACTORS, Encoding, Point

Raw = int | float | bool | str
Value = float | str

INTEGER_BITS = {
    Encoding.BOOL: (1, False),
    Encoding.UINT16: (16, False),
    Encoding.INT16: (16, True),
    Encoding.UINT32: (32, False),
    Encoding.INT32: (32, True),
    Encoding.UINT64: (64, False),
    Encoding.INT64: (64, True),
}
FLOAT_FORMATS = {Encoding.FLOAT32: ">f", Encoding.FLOAT64: ">d"}
_PLAIN_FORMATS = {
    **FLOAT_FORMATS,
    Encoding.UINT16: ">H",
    Encoding.INT16: ">h",
    Encoding.UINT32: ">I",
    Encoding.INT32: ">i",
    Encoding.UINT64: ">Q",
    Encoding.INT64: ">q",
}
REGISTERS = {
    **{encoding: max(16, bits) // 16 for encoding, (bits, _) in INTEGER_BITS.items()},
    **{encoding: struct.calcsize(form) // 2 for encoding, form in FLOAT_FORMATS.items()},
}
ROUNDING_SLACK = 1e-6
"""How much of a step may be missing: 15.9999999 steps become 16 and are not cut to 15."""


def register_count(point: Point) -> int:
    """Return how many 16-bit registers the point takes."""
    return point.length if point.encoding is Encoding.STRING else REGISTERS[point.encoding]


def decode(point: Point, words: Sequence[int]) -> Value | None:
    """Return the value in the point's unit, or None where the device says that it has none."""
    if len(words) != register_count(point):
        raise ValueError(f"{len(words)} registers instead of {register_count(point)}")
    return decode_raw(point, _raw_of_words(point, words))


def decoder(point: Point) -> Callable[[Sequence[int]], Value | None]:
    """Return ``decode`` for one point: usual numbers at once, and whatever is special by ``decode`` itself."""
    form = _PLAIN_FORMATS.get(point.encoding)
    if form is None or point.symbols or point.bits is not None:
        return partial(decode, point)
    count, scale, bias, sign = register_count(point), point.scale, point.bias, point.sign
    low, high = point.valid or (-sys.float_info.max, sys.float_info.max)
    pack, unpack = struct.Struct(f">{count}H").pack, struct.Struct(form).unpack
    is_little, has_none = point.word_order == "little", bool(point.not_available)

    def plain(words: Sequence[int]) -> Value | None:
        if len(words) == count:
            (raw,) = unpack(pack(*(reversed(words) if is_little else words)))
            value = float(sign * (raw * scale + bias) + 0.0)
            if low <= value <= high and not (has_none and _is_not_available(point, raw)):
                return value
        return decode(point, words)

    return plain


def encode(point: Point, value: Value) -> tuple[int, ...]:
    """Return the words for a value in the point's unit; see ``encode_raw`` for rounding."""
    return _words_of_raw(point, encode_raw(point, value))


def decode_raw(point: Point, raw: Raw) -> Value | None:
    """Return the value in the point's unit of a raw number or text, or None where the device has none."""
    if point.encoding is Encoding.STRING:
        if not isinstance(raw, str):
            raise ValueError(f"{raw!r} is not a text")
        return raw or None
    if isinstance(raw, str) or (isinstance(raw, float) and point.encoding not in FLOAT_FORMATS):
        raise ValueError(f"{raw!r} is not of type {point.encoding}")
    if _is_not_available(point, raw):
        return None
    if not isinstance(raw, float):
        _check_range(point, int(raw))
    if point.bits is not None:
        raw = (int(raw) >> point.bits[0]) & ((1 << point.bits[1]) - 1)
    if point.symbols:
        return _symbol(point, raw)
    value = point.sign * (raw * point.scale + point.bias) + 0.0  # + 0.0 turns -0.0 into 0.0
    _check_valid(point, value)
    return value


def encode_raw(point: Point, value: Value) -> Raw:
    """Return the raw number of a value in the point's unit.

    What is only read is rounded to the nearest step (emulated devices do that). What is written is rounded towards
    zero, so that a device is never told to move more power than was decided.
    """
    if point.encoding is Encoding.STRING:
        return str(value)
    if isinstance(value, str):
        return _raw_of_symbol(point, value)
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number")
    _check_valid(point, value)
    exact = (point.sign * value - point.bias) / point.scale
    if point.encoding in FLOAT_FORMATS:
        return _checked_float(point, exact)
    raw = _towards_zero(point, exact) if point.write else round(exact)
    _check_range(point, raw)
    return bool(raw) if point.encoding is Encoding.BOOL else raw


def to_canonical(point: Point, value: float, kw_per_a: float) -> float:
    """Return a value in the point's unit as heliodock counts it: kW, kWh, fractions, seconds, degrees Celsius.

    A current stands for power where the point's name says so (``setpoint_kw`` in A).
    """
    return value * _canonical_factor(point, kw_per_a)


def from_canonical(point: Point, value: float, kw_per_a: float) -> float:
    """Return a value as heliodock counts it in the point's unit."""
    return value / _canonical_factor(point, kw_per_a)


def _canonical_factor(point: Point, kw_per_a: float) -> float:
    if point.unit == "A" and point.name.endswith("_kw"):
        if not kw_per_a > 0.0:
            raise ValueError("a current needs the asset's phases and voltage to become a power")
        return kw_per_a
    return CANONICAL_FACTORS[point.unit]


def _raw_of_words(point: Point, words: Sequence[int]) -> Raw:
    data = struct.pack(f">{len(words)}H", *_ordered(point, words))
    if point.encoding is Encoding.STRING:
        return data.split(b"\0", 1)[0].decode("ascii", "replace").strip()
    if point.encoding in FLOAT_FORMATS:
        return float(struct.unpack(FLOAT_FORMATS[point.encoding], data)[0])
    return int.from_bytes(data, "big", signed=INTEGER_BITS[point.encoding][1])


def _words_of_raw(point: Point, raw: Raw) -> tuple[int, ...]:
    count = register_count(point)
    if isinstance(raw, str):
        data = raw.encode("ascii", "replace")
        if len(data) > 2 * count:
            raise ValueError(f"{raw!r} is longer than {2 * count} characters")
        data = data.ljust(2 * count, b"\0")
    elif point.encoding in FLOAT_FORMATS:
        data = struct.pack(FLOAT_FORMATS[point.encoding], raw)
    else:
        data = int(raw).to_bytes(2 * count, "big", signed=INTEGER_BITS[point.encoding][1])
    return tuple(_ordered(point, struct.unpack(f">{count}H", data)))


def _ordered(point: Point, words: Sequence[int]) -> Sequence[int]:
    """Return the words with the high word first, or back again."""
    little = point.word_order == "little" and point.encoding is not Encoding.STRING
    return tuple(reversed(words)) if little else words


def _is_not_available(point: Point, raw: int | float) -> bool:
    """Return whether a raw number is one of the patterns that mean "none"; for a float NaN always does."""
    if not point.not_available:
        return raw != raw  # noqa: PLR0124  only NaN differs from itself
    if isinstance(raw, float):
        return math.isnan(raw) or any(raw == pattern for pattern in point.not_available)
    mask = (1 << max(16, INTEGER_BITS[point.encoding][0])) - 1
    return any((raw ^ pattern) & mask == 0 for pattern in point.not_available)


def _check_range(point: Point, raw: int) -> None:
    bits, signed = INTEGER_BITS[point.encoding]
    low = -(1 << (bits - 1)) if signed else 0
    if not low <= raw < low + (1 << bits):
        raise ValueError(f"{raw} does not fit into {point.encoding}")


def _check_valid(point: Point, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a number")
    if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
        low, high = point.valid
        raise ValueError(f"{value:g} {point.unit} lies outside {low:g} to {high:g}".replace("  ", " "))


def _checked_float(point: Point, exact: float) -> float:
    if point.encoding is Encoding.FLOAT64:
        return exact
    try:
        near = float(struct.unpack(">f", struct.pack(">f", exact))[0])
    except OverflowError:
        raise ValueError(f"{exact:g} does not fit into {point.encoding}") from None
    return near


def _towards_zero(point: Point, exact: float) -> int:
    """Return the step whose value lies nearest to ``exact`` on the side of zero power."""
    zero = -point.bias / point.scale
    if exact > zero:
        return math.floor(exact + ROUNDING_SLACK)
    return math.ceil(exact - ROUNDING_SLACK)


def _symbol(point: Point, raw: int | float) -> str:
    symbol = point.symbols.get(int(raw))
    if symbol is None or int(raw) != raw:
        raise ValueError(f"{raw:g} is none of the known values {sorted(point.symbols)}")
    return symbol


def _raw_of_symbol(point: Point, symbol: str) -> int:
    for raw, name in point.symbols.items():
        if name == symbol:
            return raw
    raise ValueError(f"{symbol!r} is none of {sorted(set(point.symbols.values()))}")
