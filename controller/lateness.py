"""How late the loop's ticks are, as a histogram."""

BOUNDS_MS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, float("inf"))


class Lateness:
    """Counts of wall-clock lateness by upper bound in ms, and the ticks that were missed altogether."""

    def __init__(self) -> None:
        self.counts = [0] * len(BOUNDS_MS)
        self.missed = 0
        self.worst_ms = 0.0

    def add(self, late_ms: float) -> None:
        """Count one tick."""
        self.worst_ms = max(self.worst_ms, late_ms)
        self.counts[next(index for index, bound in enumerate(BOUNDS_MS) if late_ms <= bound)] += 1

    def quantile_ms(self, share: float) -> float:
        """Return the upper bound of the bin that holds this share of all ticks; at most the worst one."""
        total = sum(self.counts)
        seen = 0
        for count, bound in zip(self.counts, BOUNDS_MS, strict=True):
            seen += count
            if total and seen >= share * total:
                return min(bound, self.worst_ms)
        return 0.0
