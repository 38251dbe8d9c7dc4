"""Values as raw numbers and words, "there is none" included."""

import struct
from math import nan

from drivers import codec
from hil.emulators.quantities import Quantity
from station.profile import Encoding, Point


def raw_of(point: Point, value: Quantity) -> codec.Raw:
    """Return the raw number or text for a value in the point's unit; the pattern for "none" where it has one."""
    if value is not None:
        raw = codec.encode_raw(point, value)
        return raw if point.bits is None else int(raw) << point.bits[0]
    if point.encoding is Encoding.STRING:
        return ""
    if point.encoding in codec.FLOAT_FORMATS:
        return nan
    pattern = point.not_available[0] if point.not_available else 0
    bits, signed = codec.INTEGER_BITS[point.encoding]
    return pattern - (1 << bits) if signed and pattern >= 1 << (bits - 1) else pattern


def words_of(point: Point, value: Quantity) -> tuple[int, ...]:
    """Return the registers for a value in the point's unit; the pattern for "none" where it has one."""
    if value is not None and point.bits is None:
        return codec.encode(point, value)
    raw, count = raw_of(point, value), codec.register_count(point)
    if isinstance(raw, str):
        return (0,) * count
    if isinstance(raw, float):
        data = struct.pack(codec.FLOAT_FORMATS[point.encoding], raw)
    else:
        data = int(raw).to_bytes(2 * count, "big", signed=raw < 0)
    words = struct.unpack(f">{count}H", data)
    return tuple(reversed(words)) if point.word_order == "little" else words
