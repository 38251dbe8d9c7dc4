"""What a run cost and how well it served, by the rules that the project publishes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hil.world import WorldResult
from station.bill import RunCost, bill, mean_price_per_kwh
from station.topology import Site

MET_KWH = 0.05
"""A session is met when less than this is missing (a car's meter resolves no more)."""

SHORTFALL_PRICE_PER_KWH = 1.0
"""Each kWh of shortfall counts 1 in the tariff's currency."""


@dataclass(frozen=True, slots=True)
class Account:
    """One strategy's run. Energies in kWh, powers in kW, money in the tariff's currency.

    ``peak_kw`` is the highest billed mean; ``self_consumption`` the share of PV that was used on site,
    ``self_sufficiency`` the share of consumption that was not imported (``None`` without PV or consumption).
    """

    strategy: str
    cost: RunCost
    peak_kw: float
    delivered_kwh: float
    deliverable_kwh: float
    sessions: int
    sessions_met: int
    sessions_unserved: int
    violation_count: int
    violation_kw_s: float
    self_consumption: float | None
    self_sufficiency: float | None
    battery_efc: float
    end_soc: float
    world: WorldResult
    plan_ms: tuple[float, ...] = field(default=())
    sim_days_per_s: float = 0.0

    @property
    def delivered_fraction(self) -> float:
        """Return what was delivered of what could have been; 1 where nobody came."""
        return self.delivered_kwh / self.deliverable_kwh if self.deliverable_kwh else 1.0


def account(
    site: Site,
    strategy: str,
    world: WorldResult,
    *,
    plan_ms: Sequence[float] = (),
    sim_days_per_s: float = 0.0,
) -> Account:
    """Return the account of a finished run."""
    means = world.means
    outcomes = world.outcomes
    shortfalls_kwh = [max(o.deliverable_kwh - o.delivered_kwh, 0.0) for o in outcomes]
    return Account(
        strategy=strategy,
        cost=run_cost(site, world, sum(shortfalls_kwh)),
        peak_kw=bill(site.tariff, means.starts, means.grid_kw).peak_kw,
        delivered_kwh=sum(o.delivered_kwh for o in outcomes),
        deliverable_kwh=sum(o.deliverable_kwh for o in outcomes),
        sessions=len(outcomes),
        sessions_met=sum(1 for missing_kwh in shortfalls_kwh if missing_kwh < MET_KWH),
        sessions_unserved=sum(1 for o in outcomes if not o.connector_id),
        violation_count=world.violation_count,
        violation_kw_s=world.violation_kw_s,
        self_consumption=_self_consumption(world),
        self_sufficiency=_self_sufficiency(world),
        battery_efc=_cycles(site, world),
        end_soc=world.end_soc,
        world=world,
        plan_ms=tuple(plan_ms),
        sim_days_per_s=sim_days_per_s,
    )


def run_cost(site: Site, world: WorldResult, shortfall_kwh: float) -> RunCost:
    """Return all cost parts: bill, declared wear, shortfall, and the energy that the batteries end short of."""
    means = world.means
    charged = bill(site.tariff, means.starts, means.grid_kw)
    missing_kwh = max(world.start_energy_kwh - world.end_energy_kwh, 0.0)
    price_per_kwh = mean_price_per_kwh(site.tariff, means.starts)
    return RunCost(
        energy_cost=charged.energy_cost,
        demand_cost=charged.demand_cost,
        wear_cost=_wear_price(site) * world.discharged_kwh,
        shortfall_cost=SHORTFALL_PRICE_PER_KWH * shortfall_kwh,
        missing_cost=price_per_kwh * missing_kwh,
    )


def captured(own: float, uncontrolled: float, oracle: float) -> float | None:
    """Return the share of the possible saving that was reached; None where nothing could be saved."""
    return (uncontrolled - own) / (uncontrolled - oracle) if uncontrolled > oracle else None


def days_of(starts: Sequence[datetime], slot_s: float) -> float:
    """Return how many days a series of slots covers."""
    return len(starts) * slot_s / 86_400.0


def _wear_price(site: Site) -> float:
    """Return the declared wear price of the batteries together, weighted by capacity."""
    capacity_kwh = sum(battery.capacity_kwh for battery in site.batteries)
    if not capacity_kwh:
        return 0.0
    return sum(battery.wear_price_per_kwh * battery.capacity_kwh for battery in site.batteries) / capacity_kwh


def _cycles(site: Site, world: WorldResult) -> float:
    """Return equivalent full cycles: discharged energy over usable capacity."""
    usable_kwh = sum(battery.capacity_kwh * (battery.soc_max - battery.soc_min) for battery in site.batteries)
    return world.discharged_kwh / usable_kwh if usable_kwh else 0.0


def _self_consumption(world: WorldResult) -> float | None:
    hours = world.means.slot_s / 3600.0
    produced_kwh = -sum(world.means.pv_kw) * hours
    exported_kwh = -sum(min(power_kw, 0.0) for power_kw in world.means.grid_kw) * hours
    return max(0.0, 1.0 - exported_kwh / produced_kwh) if produced_kwh > 0 else None


def _self_sufficiency(world: WorldResult) -> float | None:
    hours = world.means.slot_s / 3600.0
    used_kwh = (sum(world.means.load_kw) + sum(world.means.charging_kw)) * hours
    imported_kwh = sum(max(power_kw, 0.0) for power_kw in world.means.grid_kw) * hours
    return max(0.0, 1.0 - imported_kwh / used_kwh) if used_kwh > 0 else None
