"""Points whose value another point takes part in: scaled by it, or the sum of some. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from drivers.codec import Value
from station.errors import DriverError
from station.profile import Point, Scaling

Known = Mapping[str, Value | DriverError | None]
"""What is known of the other points of a device, in their own units."""


def needs(point: Point) -> tuple[str, ...]:
    """Return the names of the points that this one cannot do without."""
    return (*point.sum_of, *(scaling.point for scaling in point.scaled_by))


def in_order(points: Mapping[str, Point], names: Iterable[str]) -> list[str]:
    """Return ``names`` and all that they need, each after what it needs. Profiles have no circles."""
    found: dict[str, None] = {}

    def add(name: str) -> None:
        for other in needs(points[name]):
            if other not in found:
                add(other)
        found.setdefault(name)

    for name in names:
        add(name)
    return list(found)


def scaled(point: Point, known: Known) -> Point:
    """Return the point with the scale that the others tell; raise ``ValueError`` where one of them has no value."""
    factor = 1.0
    for scaling in point.scaled_by:
        factor *= _factor(scaling, _number(scaling.point, known))
    if not point.scaled_by:
        return point
    return replace(point, scale=point.scale * abs(factor), sign=point.sign * (-1 if factor < 0.0 else 1))


def total(point: Point, known: Known) -> float:
    """Return the sum of a point's parts; raise ``ValueError`` where one of them has no value."""
    return sum(_number(name, known) for name in point.sum_of)


def _factor(scaling: Scaling, value: float) -> float:
    match scaling.how:
        case "exponent":
            return float(10.0**value)
        case "cases":
            return _case(scaling, value)
        case "bit":
            return scaling.scale if int(value) & scaling.mask else 1.0
    if not value > 0.0:
        raise ValueError(f"{scaling.point} is {value:g}, which scales nothing")
    return value


def _case(scaling: Scaling, value: float) -> float:
    fitting = [scale for first, scale in scaling.cases if first <= value]
    if not fitting:
        raise ValueError(f"{scaling.point} is {value:g}, for which no scale is known")
    return fitting[-1]


def _number(name: str, known: Known) -> float:
    value = known.get(name)
    if isinstance(value, DriverError):
        raise ValueError(f"needs {name}: {value.cause}")
    if not isinstance(value, int | float):
        raise ValueError(f"needs {name}, which has no value")
    return float(value)
