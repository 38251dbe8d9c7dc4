"""What the planner is asked, and the same as arrays on a grid of steps.

Powers are on the AC side. ``PlanningInput`` speaks load convention like the rest of heliodock; inside ``Problem``
generation is a positive number (``pv_kw`` is what the sun offers), because there it is a bound and not a flow.

The grid is fine near the present and coarse far from it: slots of ``slot_s`` for the first hours, then steps of four
slots that begin on a multiple of four. Step 0 is what remains of the running slot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from station.clock import slot_start
from station.forecast import Forecast, History
from station.plan import Plan
from station.session import Session
from station.topology import Site

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FINE_S = 6 * 3600.0
"""How far from now every slot is a step of its own."""
COARSE_SLOTS = 4
SHORTEST_STEP_S = 1.0
"""Step 0 never gets shorter: a plan that is made at the very end of a slot still says something about it."""


@dataclass(frozen=True, slots=True)
class PlanningInput:
    """Everything that one plan is made from; can be pickled.

    ``sessions`` are plugged in now, ``soc`` is by battery id (0..1). ``month_peak_kw`` is the highest billed mean of
    this month so far, ``demand_share`` the share of the month's demand charge that counts (1 live, days run / days of
    the month in a twin). ``unavailable`` assets can't be controlled now. ``window_energy_kwh`` was imported in the
    running demand window since ``window_starts_at``. ``expected_peak_kw`` is the peak that the month will have anyway
    (``optimizer.demand.expected_peak_kw``; ask once a day). ``known_forecast`` replaces the planner's own, in studies.
    """

    site: Site
    now: datetime
    history: History
    sessions: tuple[Session, ...] = ()
    soc: Mapping[str, float] = field(default_factory=dict)
    month_peak_kw: float = 0.0
    demand_share: float = 1.0
    unavailable: frozenset[str] = frozenset()
    last_plan: Plan | None = None
    window_energy_kwh: float = 0.0
    window_starts_at: datetime | None = None
    expected_peak_kw: float | None = None
    known_forecast: Forecast | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """The time grid: ``slots`` slots from ``starts_at``, gathered into steps.

    ``step_of_slot[slot]`` is the step of a slot, ``hours[step]`` its length (of step 0: what remains of it), and
    ``middle_h[step]`` the hours from ``now`` to its middle.
    """

    now: datetime
    starts_at: datetime
    slot_s: float
    step_of_slot: Ints
    hours: Floats
    middle_h: Floats

    @property
    def slots(self) -> int:
        """Return the number of slots."""
        return len(self.step_of_slot)

    @property
    def steps(self) -> int:
        """Return the number of steps."""
        return len(self.hours)

    @property
    def slot_starts(self) -> tuple[datetime, ...]:
        """Return the start of each slot."""
        return tuple(self.starts_at + timedelta(seconds=self.slot_s * slot) for slot in range(self.slots))

    def mean_per_step(self, per_slot: Floats) -> Floats:
        """Return the mean of a series of slots for each step."""
        count = np.bincount(self.step_of_slot, minlength=self.steps)
        return np.bincount(self.step_of_slot, weights=per_slot, minlength=self.steps) / count

    def step_at(self, at: datetime) -> int:
        """Return the step that holds ``at``; may be negative or beyond the last one."""
        slot = int((at - self.starts_at).total_seconds() // self.slot_s)
        if slot < 0:
            return -1
        return int(self.step_of_slot[slot]) if slot < self.slots else self.steps


@dataclass(frozen=True, slots=True)
class Car:
    """A plugged car as the model sees it.

    It needs block ``k`` of ``block_kwh`` (car's side) with probability ``block_p[k]`` (falling). ``stay_p[step]`` is
    the probability that it is still there in that step.
    """

    session_id: str
    connector_id: str
    max_kw: float
    min_kw: float
    efficiency: float
    block_kwh: tuple[float, ...]
    block_p: tuple[float, ...]
    stay_p: Floats


@dataclass(frozen=True, slots=True)
class ArrivalGroup:
    """Cars that are expected and not there yet: AC energy that can be drawn in steps ``first`` to ``last``."""

    first: int
    last: int
    energy_kwh: float
    max_kw: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One future: base load and available PV power per step (both >= 0) and arrivals. Weights of a problem sum to 1."""

    weight: float
    load_kw: Floats
    pv_kw: Floats
    arrivals: tuple[ArrivalGroup, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """The planning problem as arrays per step.

    ``month_of_step`` counts billing months from 0. ``paid_kw[month]`` is the peak that is paid already and
    ``prior_kw`` the peak that each month will have anyway. ``demand_price`` is per kW, share included. ``start_kwh`` is
    by battery id. ``last_kw`` has the powers of the last plan for the first steps, by asset id.
    """

    site: Site
    grid: Grid
    import_price: Floats
    export_price: Floats
    month_of_step: Ints
    paid_kw: Floats
    prior_kw: float
    demand_price: float
    window_energy_kwh: float | None
    scenarios: tuple[Scenario, ...]
    cars: tuple[Car, ...]
    start_kwh: Mapping[str, float]
    unavailable: frozenset[str]
    last_kw: Mapping[str, tuple[float, ...]]


def make_grid(site: Site, now: datetime) -> Grid:
    """Return the grid of a plan that is made at ``now``."""
    slot_s = site.planning.slot_s
    starts_at = slot_start(now, slot_s)
    slots = max(1, round(site.planning.horizon_s / slot_s))
    fine = min(slots, int(FINE_S // slot_s))
    while fine < slots and int(starts_at.timestamp() / slot_s + fine) % COARSE_SLOTS:
        fine += 1
    number = np.arange(slots)
    step_of_slot = np.where(number < fine, number, fine + (number - fine) // COARSE_SLOTS)
    seconds: Floats = np.bincount(step_of_slot) * np.float64(slot_s)
    passed_s = (now - starts_at).total_seconds()
    ends_s = np.cumsum(seconds) - passed_s
    seconds[0] = max(SHORTEST_STEP_S, seconds[0] - passed_s)
    return Grid(now, starts_at, slot_s, step_of_slot, seconds / 3600.0, (ends_s - seconds / 2.0) / 3600.0)


def prices(site: Site, grid: Grid) -> tuple[Floats, Floats, Ints, tuple[tuple[int, int], ...]]:
    """Return import and export price per step, the billing month of each step and the months.

    The export price is held at or below the import price: a model that earns by importing and exporting at once has
    no bounded answer.
    """
    starts = grid.slot_starts
    cost = grid.mean_per_step(np.array([site.tariff.price_per_kwh(start) for start in starts]))
    first_slot = np.searchsorted(grid.step_of_slot, np.arange(grid.steps))
    month_keys = [site.tariff.billing_month(starts[slot]) for slot in first_slot]
    months = tuple(dict.fromkeys(month_keys))
    income = np.minimum(_export_price(site, grid), cost)
    return cost, income, np.array([months.index(key) for key in month_keys]), months


def _export_price(site: Site, grid: Grid) -> Floats | float:
    """Return the export price per step; one number where it is flat."""
    if site.tariff.export_series is None:
        return site.tariff.export_price_per_kwh
    return grid.mean_per_step(np.array([site.tariff.export_price_at(start) for start in grid.slot_starts]))


def last_powers(plan: Plan | None, grid: Grid, steps: int) -> dict[str, tuple[float, ...]]:
    """Return what the last plan said for the first ``steps`` slots, as far as it reaches, by asset id."""
    if plan is None:
        return {}
    shift = round((grid.starts_at - plan.starts_at).total_seconds() / plan.slot_s)
    if shift < 0 or plan.slot_s != grid.slot_s:
        return {}
    return {name: tuple(values[shift : shift + steps]) for name, values in plan.targets_kw.items()}


def window_means(problem: Problem) -> tuple[Floats, Floats]:
    """Return what makes an import the mean of its demand window, per step: ``mean = share * import_kw + used_kw``.

    Only the running window differs from (1, 0): part of it is over, and what that part imported counts.
    """
    share, used_kw = np.ones(problem.grid.steps), np.zeros(problem.grid.steps)
    slot_h = problem.grid.slot_s / 3600.0
    if problem.window_energy_kwh is not None:
        share[0] = min(1.0, problem.grid.hours[0] / slot_h)
        used_kw[0] = problem.window_energy_kwh / slot_h
    return share, used_kw
