"""What a plot shows: the station's powers over time, from a run or from a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hil.account import Account
from hil.run import TwinRun
from station.clock import slot_starts
from station.limits import Direction
from station.plan import Plan
from station.topology import Site


@dataclass(frozen=True, slots=True)
class Course:
    """Means per slot, load convention (PV <= 0), ``soc`` at the end of each slot; ``peak_kw`` is the billed peak."""

    name: str
    starts: tuple[datetime, ...]
    slot_s: float
    grid_kw: tuple[float, ...]
    load_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    battery_kw: tuple[float, ...]
    charging_kw: tuple[float, ...]
    soc: tuple[float, ...]
    price_per_kwh: tuple[float, ...]
    peak_kw: float
    limit_kw: float
    timezone: str
    currency: str

    @property
    def edges(self) -> list[datetime]:
        """Return the start of each slot, and the end of the last."""
        return [*self.starts, self.starts[-1] + timedelta(seconds=self.slot_s)]

    @property
    def days(self) -> float:
        """Return how long the course is."""
        return len(self.starts) * self.slot_s / 86_400.0

    def between(self, from_at: datetime, until_at: datetime) -> "Course":
        """Return the part of the course that lies between two times."""
        kept = [index for index, at in enumerate(self.starts) if from_at <= at < until_at]
        part = slice(kept[0], kept[-1] + 1)
        return Course(
            self.name,
            self.starts[part],
            self.slot_s,
            self.grid_kw[part],
            self.load_kw[part],
            self.pv_kw[part],
            self.battery_kw[part],
            self.charging_kw[part],
            self.soc[part],
            self.price_per_kwh[part],
            self.peak_kw,
            self.limit_kw,
            self.timezone,
            self.currency,
        )


def course_of_run(run: TwinRun, account: Account) -> Course:
    """Return what a strategy did."""
    means, site = account.world.means, run.site
    return Course(
        account.strategy,
        means.starts,
        means.slot_s,
        means.grid_kw,
        means.load_kw,
        means.pv_kw,
        means.battery_kw,
        means.charging_kw,
        means.soc,
        tuple(site.tariff.price_per_kwh(at) for at in means.starts),
        account.peak_kw,
        site.continuous_kw(Direction.IMPORT),
        site.timezone,
        site.tariff.currency,
    )


def course_of_plan(site: Site, plan: Plan) -> Course:
    """Return what a plan expects; ``charging_kw`` is all that cars draw, those too that are not there yet."""
    slots = len(plan.grid_kw)
    starts = slot_starts(plan.starts_at, slots, plan.slot_s)
    battery_kw = _sums([plan.targets_kw[battery.asset_id] for battery in site.batteries], slots)
    known_kw = _sums([plan.load_kw, plan.pv_kw, battery_kw], slots)
    return Course(
        "plan",
        starts,
        plan.slot_s,
        plan.grid_kw,
        plan.load_kw,
        plan.pv_kw,
        battery_kw,
        tuple(max(grid_kw - rest_kw, 0.0) for grid_kw, rest_kw in zip(plan.grid_kw, known_kw, strict=True)),
        _common_soc(site, plan, slots),
        tuple(site.tariff.price_per_kwh(at) for at in starts),
        plan.peak_kw,
        site.continuous_kw(Direction.IMPORT),
        site.timezone,
        site.tariff.currency,
    )


def _sums(series: Sequence[Sequence[float]], slots: int) -> tuple[float, ...]:
    return tuple(sum(values[slot] for values in series if slot < len(values)) for slot in range(slots))


def _common_soc(site: Site, plan: Plan, slots: int) -> tuple[float, ...]:
    """Return the share of all batteries' capacity that is full."""
    batteries = [battery for battery in site.batteries if battery.asset_id in plan.soc]
    capacity_kwh = sum(battery.capacity_kwh for battery in batteries)
    if not capacity_kwh:
        return (0.0,) * slots
    return tuple(
        sum(plan.soc[battery.asset_id][slot] * battery.capacity_kwh for battery in batteries) / capacity_kwh
        for slot in range(slots)
    )
