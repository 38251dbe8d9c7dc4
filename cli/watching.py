"""What a watched point did lately: its value, age, rate and a small curve. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.wire import Outcome
from station.errors import DriverError

BARS = "▁▂▃▄▅▆▇█"
KEPT = 40
"""Values of a curve."""

RATE_S = 10.0
"""A rate is taken over so many seconds, or what there is."""


@dataclass
class Course:
    """The last values of one point. ``outcome`` is the newest answer, ``good_s`` when there was a value last."""

    outcome: Outcome = None
    good_s: float | None = None
    values: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, now_s: float, outcome: Outcome) -> bool:
        """Take an answer; return whether it differs from the one before."""
        is_new = type(outcome) is not type(self.outcome) or outcome != self.outcome
        self.outcome = outcome
        if isinstance(outcome, float):
            self.values.append((now_s, outcome))
        if outcome is not None and not isinstance(outcome, DriverError):
            self.good_s = now_s
        return is_new

    def age_s(self, now_s: float) -> float | None:
        """Return how long ago there was a value, None where there never was."""
        return None if self.good_s is None else now_s - self.good_s

    def rate_per_s(self) -> float | None:
        """Return by how much the value changes in a second, None where that is not known."""
        if len(self.values) < 2:
            return None
        last_s, last = self.values[-1]
        first_s, first = next(
            ((at_s, its) for at_s, its in self.values if last_s - at_s <= RATE_S), self.values[-2]
        )
        return (last - first) / (last_s - first_s) if last_s > first_s else None

    def curve(self) -> str:
        """Return the last values as a line of bars; one that stands still is a low line."""
        values = [value for _, value in self.values]
        low, high = min(values, default=0.0), max(values, default=0.0)
        span = high - low
        steps = len(BARS) - 1
        return "".join(BARS[round((value - low) / span * steps) if span > 0.0 else 0] for value in values)


class Watched:
    """All watched points of some devices, by asset and name, in order."""

    def __init__(self) -> None:
        self.courses: dict[tuple[str, str], Course] = {}

    def add(self, now_s: float, points: Mapping[str, Mapping[str, Outcome]]) -> list[tuple[str, str]]:
        """Take the answers of a device; return which points changed."""
        changed = []
        for asset_id, outcomes in points.items():
            for name, outcome in outcomes.items():
                if self.courses.setdefault((asset_id, name), Course()).add(now_s, outcome):
                    changed.append((asset_id, name))
        return changed
