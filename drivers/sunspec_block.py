"""The registers of one model of a device, read together: values with their scale factors, and words to write. Pure.

Scale factors are registers like any other and are taken from the same reading as the value, because some devices
change them while they run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drivers import codec
from drivers.sunspec_chain import Instance
from drivers.sunspec_models import ENCODINGS, Layout, Placed
from station.profile import Point, WriteRule

LARGEST_EXPONENT = 10
"""Scale factors lie in -10..10 (SunSpec Device Information Model Specification)."""
DIGITS = 12
"""What powers of ten leave behind the comma: 411 times 10⁻¹ is 41.1 and not 41.1 and a little."""


@dataclass(frozen=True, slots=True)
class Block:
    """What one model held at one instant. ``words`` begin with the model's ID.

    A ``ValueError`` raised here is a phrase for an operator; the caller adds device and point. ``known_factors`` are
    the scale factors that had a value before: one that has lost it makes its points nonsense.
    """

    instance: Instance
    layout: Layout
    words: Sequence[int]
    known_factors: frozenset[str] = frozenset()

    def value(self, path: str) -> codec.Value | None:
        """Return a scaled value in the model's unit, or None where the device has none."""
        placed = self.layout.get(path)
        if placed is None:
            return None
        raw = codec.decode(_point(placed.point.name, placed), self._words_of(placed))
        if raw is None or isinstance(raw, str) or placed.point.scale_factor is None:
            return raw
        scaled = raw * 10.0 ** self._exponent(placed)
        return round(scaled, DIGITS)

    def number(self, path: str) -> float | None:
        """Return a value that must be a number."""
        value = self.value(path)
        if isinstance(value, str):
            raise ValueError(f"{value!r} is not a number")
        return value

    def flag(self, path: str) -> bool | None:
        """Return whether an enable point is set; None where the device has none."""
        value = self.number(path)
        return None if value is None else value == 1.0

    def encoded(self, path: str, value: float) -> tuple[int, ...]:
        """Return the words for a value in the model's unit, rounded towards zero.

        A point that the device has not implemented, or whose scale factor it has not, is refused.
        """
        placed = self.writable(path)
        exponent = self._exponent(placed, to_write=True)
        point = _point(path, placed, scale=10.0**exponent, write=WriteRule())
        words = codec.encode(point, value)
        if codec.decode(point, words) is None:
            raise ValueError(f"{path} cannot hold {value:g}")
        return words

    def step(self, path: str) -> float:
        """Return the smallest step of a point in the model's unit."""
        placed = self.writable(path)
        return float(10.0 ** self._exponent(placed, to_write=True))

    def rounded(self, path: str, value: float) -> float:
        """Return what the point holds after ``value`` was written."""
        exponent = self._exponent(self.writable(path), to_write=True)
        point = _point(path, self.layout[path], scale=10.0**exponent, write=WriteRule())
        held = codec.decode(point, codec.encode(point, value))
        return round(held, DIGITS) if isinstance(held, float) else value

    def writable(self, path: str) -> Placed:
        """Return the place of a point that can be written; raise ``ValueError``."""
        placed = self.layout.get(path)
        if placed is None or self.value(path) is None:
            raise ValueError(f"{self.instance} of the device has no {path}")
        if not placed.point.is_writable:
            raise ValueError(f"{path} cannot be written")
        return placed

    def factors(self) -> frozenset[str]:
        """Return the scale factors that have a value."""
        return frozenset(
            path
            for path, placed in self.layout.items()
            if placed.point.type == "sunssf" and self._fits(placed) and self.value(path) is not None
        )

    def _exponent(self, placed: Placed, *, to_write: bool = False) -> int:
        """Return the power of ten of a point.

        Where a model leaves its scale factor optional, one that the device has not implemented counts as 0 for reading;
        writing with a guessed scale is refused.
        """
        factor = placed.point.scale_factor
        if factor is None or isinstance(factor, int):
            return factor or 0
        path = placed.scale_path or factor
        exponent = self.number(path)
        if exponent is None:
            home = self.layout.get(path)
            needed = to_write or home is None or home.point.is_mandatory or path in self.known_factors
            if needed:
                raise ValueError(f"its scale factor {path} has no value")
            return 0
        if abs(exponent) > LARGEST_EXPONENT:
            raise ValueError(f"its scale factor {path} is {exponent:g}, beyond ±{LARGEST_EXPONENT}")
        return int(exponent)

    def _words_of(self, placed: Placed) -> Sequence[int]:
        if not self._fits(placed):
            raise ValueError("lies beyond the registers that were read")
        return self.words[placed.offset : placed.offset + placed.point.size]

    def _fits(self, placed: Placed) -> bool:
        return placed.offset + placed.point.size <= len(self.words)


def _point(name: str, placed: Placed, scale: float = 1.0, write: WriteRule | None = None) -> Point:
    known = ENCODINGS.get(placed.point.type)
    if known is None:
        raise ValueError(f"{name} is of the type {placed.point.type}, which holds no quantity")
    encoding, not_available = known
    length = placed.point.size if placed.point.type == "string" else 0
    return Point(name, encoding, scale=scale, not_available=not_available, write=write, length=length)
