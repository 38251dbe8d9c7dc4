"""What a run cost, from billed means alone, so that anybody can recompute it.

Rules (the design's section 9): demand is billed once per billing period (calendar month, or year) on the highest mean,
times days run / days of the period; a full one counts whole. Strategies are compared by what the planner can steer: the
tariff's linear part. What is due whatever a strategy does (fees, capacity, subscribed blocks) is left out; the whole
invoice is ``station.invoice``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from station.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Bill:
    """Money in the tariff's currency; ``peak_kw`` is the highest billed mean import of the whole run."""

    energy_cost: float
    demand_cost: float
    peak_kw: float

    @property
    def total_cost(self) -> float:
        """Return energy and demand together."""
        return self.energy_cost + self.demand_cost


def bill(tariff: Tariff, starts: Sequence[datetime], grid_kw: Sequence[float]) -> Bill:
    """Return the bill of consecutive means over the tariff's demand window.

    ``starts[i]`` is the start of the window with mean ``grid_kw[i]``; import is positive.
    """
    hours = tariff.demand.window_s / 3600.0
    energy_cost = 0.0
    peaks_kw: dict[tuple[int, int], float] = {}
    windows: dict[tuple[int, int], int] = {}
    for start_at, mean_kw in zip(starts, grid_kw, strict=True):
        price = tariff.price_per_kwh(start_at) if mean_kw > 0 else tariff.export_price_at(start_at)
        energy_cost += price * mean_kw * hours
        month = tariff.billing_month(start_at)
        peaks_kw[month] = max(peaks_kw.get(month, 0.0), mean_kw)
        windows[month] = windows.get(month, 0) + 1
    demand_cost = sum(
        max(peak_kw - tariff.free_kw, 0.0)
        * tariff.peak_price_per_kw
        * tariff.billed_share(month, windows[month] * hours / 24.0)
        for month, peak_kw in peaks_kw.items()
    )
    return Bill(energy_cost, demand_cost, max(peaks_kw.values(), default=0.0))


@dataclass(frozen=True, slots=True)
class RunCost:
    """All that a run cost, in the tariff's currency. The rules by which strategies are compared."""

    energy_cost: float
    demand_cost: float
    wear_cost: float
    shortfall_cost: float
    missing_cost: float

    @property
    def total_cost(self) -> float:
        """Return the sum of all parts."""
        return self.energy_cost + self.demand_cost + self.wear_cost + self.shortfall_cost + self.missing_cost


def mean_price_per_kwh(tariff: Tariff, starts: Sequence[datetime]) -> float:
    """Return the mean import price over these windows, each counted once."""
    return sum(tariff.price_per_kwh(start_at) for start_at in starts) / len(starts)
