"""What the self-test reads of a device: every number, also the impossible ones, and each with its words swapped."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING

from controller.selftest_words import SWAPPED, Values
from drivers import codec
from drivers.wire import Outcome
from station.errors import DriverError
from station.profile import DeviceBinding, Encoding, Point

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDE = frozenset(Encoding) - {
    Encoding.BOOL,
    Encoding.UINT16,
    Encoding.INT16,
    Encoding.STRING,
}
"""Encodings of more than one word."""


def on_trial(binding: DeviceBinding) -> DeviceBinding:
    """Return a device whose quantities have no valid range, and a second reading with the words in the other order.

    A range would hide the very values by which a wrong profile is known. What is written keeps its range.
    """
    profile = binding.profile
    points = {name: point for point in profile.points.values() for name, point in _both(point)}
    return replace(binding, profile=replace(profile, points=points))


def values_of(binding: DeviceBinding, asset_id: str, outcomes: Mapping[str, Outcome]) -> Values:
    """Return the numbers that a device gave, in heliodock's units."""
    kw_per_a = binding.kw_per_a.get(asset_id, 0.0)
    values: dict[str, float] = {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, DriverError) or not isinstance(outcome, float | int):
            continue
        value = codec.to_canonical(binding.profile.points[name], float(outcome), kw_per_a)
        if isfinite(value):
            values[name] = value
    return values


def _both(point: Point) -> "Iterator[tuple[str, Point]]":
    if point.symbols:
        yield point.name, point
        return
    yield point.name, point if point.write is not None else replace(point, valid=None)
    if point.encoding in WIDE and not point.node:
        other = "big" if point.word_order == "little" else "little"
        name = f"{SWAPPED}{point.name}"
        yield name, replace(point, name=name, word_order=other, valid=None, write=None)
