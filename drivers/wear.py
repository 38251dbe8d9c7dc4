"""Memory that wears: how often a point may be written. Pure."""

from dataclasses import dataclass, field

DAY_S = 86_400.0
FIRST_SHARE = 1.0 / 24.0
"""At a start the writes of an hour may be made: whoever restarts again and again must not get a new day each time."""


@dataclass
class WearBook:
    """Counts the writes of points that wear. Each earns its writes evenly over the day and may save up one day's."""

    _left: dict[object, tuple[float, float]] = field(default_factory=dict)
    """For each point the writes that are left, and when (monotonic s) that was so."""

    def wait_s(self, key: object, per_day: int, now_s: float) -> float:
        """Return how long the next write must wait; 0 where it may be made now."""
        return max(0.0, 1.0 - self._now_left(key, per_day, now_s)) * DAY_S / per_day

    def note(self, key: object, per_day: int, now_s: float) -> None:
        """Count a write. More may be made than are left, where it must be."""
        self._left[key] = self._now_left(key, per_day, now_s) - 1.0, now_s

    def _now_left(self, key: object, per_day: int, now_s: float) -> float:
        left, at_s = self._left.get(key, (max(1.0, per_day * FIRST_SHARE), now_s))
        return min(float(per_day), left + (now_s - at_s) * per_day / DAY_S)
