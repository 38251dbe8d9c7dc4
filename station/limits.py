"""Intervals of power, and the limits of a node of the limit tree."""

from dataclasses import dataclass
from enum import StrEnum
from math import isnan


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval of power in kW, load convention. ``min_kw <= max_kw`` always holds."""

    min_kw: float
    max_kw: float

    def __post_init__(self) -> None:
        if not self.min_kw <= self.max_kw:
            raise ValueError(f"empty interval [{self.min_kw}, {self.max_kw}]")

    def clamp(self, power_kw: float) -> float:
        """Return the point of the interval nearest to ``power_kw``; NaN gives the point nearest to zero."""
        if isnan(power_kw):
            power_kw = 0.0
        return min(max(power_kw, self.min_kw), self.max_kw)

    def narrow(self, harder: "Interval") -> "Interval":
        """Return the intersection with ``harder``; where it is empty, the point of ``harder`` nearest to this one.

        The result is always a subset of ``harder``, so that an authority that comes first is never overruled.
        """
        low, high = harder.clamp(self.min_kw), harder.clamp(self.max_kw)
        return Interval(low, high)

    def hull(self, other: "Interval") -> "Interval":
        """Return the smallest interval that holds both."""
        return Interval(min(self.min_kw, other.min_kw), max(self.max_kw, other.max_kw))

    def holds(self, power_kw: float, tolerance_kw: float = 1e-9) -> bool:
        """Return whether ``power_kw`` lies inside, up to ``tolerance_kw``."""
        return self.min_kw - tolerance_kw <= power_kw <= self.max_kw + tolerance_kw


ZERO = Interval(0.0, 0.0)


class Direction(StrEnum):
    """The way of power through a node. Import flows from the grid to the assets."""

    IMPORT = "import"
    EXPORT = "export"


class LimitClass(StrEnum):
    """What a limit protects, and so how it is kept.

    ``hard``: equipment; leases book it. ``operator``: the grid operator's, by contract or command; leases book it.
    ``window``: a billed or contracted mean; it steers measured means and is never booked.
    """

    HARD = "hard"
    OPERATOR = "operator"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class PowerLimit:
    """A limit in kW on what flows through a node in one direction; all numbers are positive.

    ``short_time_kw`` may flow for ``short_time_s`` seconds (what the protection device permits); equal to
    ``continuous_kw`` where no overload is permitted.
    """

    limit_class: LimitClass
    direction: Direction
    continuous_kw: float
    short_time_kw: float
    short_time_s: float
    source: str


@dataclass(frozen=True, slots=True)
class CurrentLimit:
    """A limit in A per phase on what flows through a node, in either direction. Always of class hard."""

    continuous_a: float
    source: str


Limit = PowerLimit | CurrentLimit
