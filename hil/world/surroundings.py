"""What the station can't influence: the building's load and the sun."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp, floor, sqrt
from random import Random


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Rows of ``row_s`` seconds from ``starts_at``, held constant within a row; outside, the nearest row holds.

    ``load_kw`` (consumption) and ``pv_kw`` (what the sun would give all plants together) are both positive. Holding
    keeps each row's mean, which is what was measured; a line between rows would not.
    """

    starts_at: datetime
    row_s: float
    load_kw: Sequence[float]
    pv_kw: Sequence[float]

    def means_kw(self, from_s: float, to_s: float) -> tuple[float, float]:
        """Return the means of load and sun from ``from_s`` to ``to_s``, seconds after ``starts_at``."""
        first, last = self._row(from_s), self._row(to_s - 1e-6)
        if first == last:
            return self.load_kw[first], self.pv_kw[first]
        load_kw_s = pv_kw_s = 0.0
        start_s = from_s
        for row in range(first, last + 1):
            end_s = to_s if row == last else (row + 1) * self.row_s
            load_kw_s += self.load_kw[row] * (end_s - start_s)
            pv_kw_s += self.pv_kw[row] * (end_s - start_s)
            start_s = end_s
        return load_kw_s / (to_s - from_s), pv_kw_s / (to_s - from_s)

    def _row(self, after_s: float) -> int:
        return min(max(floor(after_s / self.row_s), 0), len(self.load_kw) - 1)


@dataclass(frozen=True, slots=True)
class LoadNoise:
    """Seeded noise on the base load, a first-order autoregressive process: what 15-minute rows don't show.

    ``sigma_kw`` is its standard deviation, ``tau_s`` how long it remembers.
    """

    sigma_kw: float
    tau_s: float = 20.0
    seed: int = 0


class LoadNoiseSource:
    """Draws ``LoadNoise`` step by step; the same seed and steps give the same values."""

    def __init__(self, noise: LoadNoise) -> None:
        self._noise = noise
        self._random = Random(noise.seed)
        self._value_kw = 0.0

    def next_kw(self, dt_s: float) -> float:
        """Return the deviation for the next ``dt_s`` seconds."""
        kept = exp(-dt_s / self._noise.tau_s)
        fresh_kw = self._random.gauss(0.0, self._noise.sigma_kw)
        self._value_kw = kept * self._value_kw + sqrt(1.0 - kept * kept) * fresh_kw
        return self._value_kw
