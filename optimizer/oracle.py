"""What perfect foresight would have cost: one linear program over a whole stretch of time. A bound, not a controller.

It keeps the limits of the tree and the SoC window, may curtail PV, and knows no minimum power, ramp or delay, so no
controller that keeps the limits can cost less. Costs are those of the design's section 9.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from optimizer.bounds import SUN, Known, Part, add_limits
from optimizer.matrix import Builder, Floats, Ints, Matrix
from station.bill import bill
from station.session import PastSession
from station.topology import Site

NEVER = 1e4
"""Price per kWh of what can't be helped (a base load beyond its limit); not part of the cost."""


@dataclass(frozen=True, slots=True)
class OracleResult:
    """Means per slot in load convention; ``charging_kwh`` and ``deliverable_kwh`` (car's side) are by session id.

    ``soc`` is at the end of each slot, by battery id like ``battery_kw``.
    """

    grid_kw: tuple[float, ...]
    pv_kw: tuple[float, ...]
    charging_kw: tuple[float, ...]
    battery_kw: Mapping[str, tuple[float, ...]]
    soc: Mapping[str, tuple[float, ...]]
    charging_kwh: Mapping[str, float]
    deliverable_kwh: Mapping[str, float]
    peak_kw: float
    energy_cost: float
    demand_cost: float
    wear_cost: float
    shortfall_cost: float
    missing_energy_cost: float

    @property
    def total_cost(self) -> float:
        """Return the sum of all parts."""
        return (
            self.energy_cost
            + self.demand_cost
            + self.wear_cost
            + self.shortfall_cost
            + self.missing_energy_cost
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened: consecutive slots from ``starts_at``; ``load_kw`` >= 0, ``pv_kw`` <= 0 as available.

    With ``one_month`` demand is charged once over the whole stretch, else once per billing month.
    """

    starts_at: datetime
    slot_s: float
    load_kw: Floats
    pv_kw: Floats
    sessions: Sequence[PastSession]
    soc: Mapping[str, float]
    one_month: bool = False

    @property
    def starts(self) -> tuple[datetime, ...]:
        """Return the start of each slot."""
        return tuple(
            self.starts_at + timedelta(seconds=self.slot_s * slot) for slot in range(len(self.load_kw))
        )

    @property
    def hours(self) -> float:
        """Return the length of a slot."""
        return self.slot_s / 3600.0


@dataclass(frozen=True)
class _Columns:
    charge: dict[str, Ints]
    discharge: dict[str, Ints]
    stored: dict[str, Ints]
    curtailed: Ints
    imported: Ints
    exported: Ints
    cars: dict[str, tuple[Ints, Ints]]


def oracle(
    site: Site,
    starts: Sequence[datetime],
    load_kw: Sequence[float],
    pv_kw: Sequence[float],
    sessions: Sequence[PastSession],
    *,
    soc: Mapping[str, float],
) -> OracleResult | None:
    """Return the cheapest way through slots of the tariff's demand window, or None where the solver found none.

    ``load_kw`` >= 0 and ``pv_kw`` <= 0 are what the building drew and the sun offered; ``soc`` is at the start.
    """
    stretch = Stretch(
        starts[0],
        site.tariff.demand.window_s,
        np.asarray(load_kw, dtype=np.float64),
        np.asarray(pv_kw, dtype=np.float64),
        sessions,
        soc,
    )
    return best_course(site, stretch)


def best_course(site: Site, stretch: Stretch) -> OracleResult | None:
    """Return the cheapest way through a stretch, or None where the solver found none."""
    prices = np.array([site.tariff.price_per_kwh(start) for start in stretch.starts])
    builder = Builder()
    columns = _flows(builder, site, stretch, prices)
    _demand(builder, site, stretch, columns.imported)
    known = Known(stretch.load_kw, np.maximum(0.0, -stretch.pv_kw), NEVER)
    add_limits(builder, site, known, _parts(site, stretch, columns))
    x = _solved(builder.finish())
    return None if x is None else _result(site, stretch, columns, x, float(prices.mean()))


def _solved(matrix: Matrix) -> Floats | None:
    """Return the solution by SciPy's HiGHS, if it is one."""
    found = milp(
        matrix.cost,
        constraints=LinearConstraint(matrix.rows, matrix.row_lower, matrix.row_upper),
        bounds=Bounds(matrix.lower, matrix.upper),
    )
    if found.x is None or matrix.worst_violation(found.x) > 1e-4:
        return None
    x: Floats = np.clip(found.x, matrix.lower, matrix.upper)
    return x


def _names(what: str, slots: int) -> list[str]:
    return [f"{what}_{slot}" for slot in range(slots)]


def _flows(builder: Builder, site: Site, stretch: Stretch, prices: Floats) -> _Columns:
    """Add the power balance and all that takes part in it."""
    slots, hours = len(stretch.load_kw), stretch.hours
    sun = np.maximum(0.0, -stretch.pv_kw)
    balance = builder.rows(_names("balance", slots), lower=stretch.load_kw - sun, upper=stretch.load_kw - sun)
    imported = builder.columns(_names("import", slots), cost=prices * hours)
    income = np.minimum([site.tariff.export_price_at(start) for start in stretch.starts], prices)
    exported = builder.columns(_names("export", slots), cost=-income * hours)
    curtailed = builder.columns(_names("curtail", slots), upper=sun)
    for part, sign in ((imported, 1.0), (exported, -1.0), (curtailed, -1.0)):
        builder.put(balance, part, sign)
    charge, discharge, stored = _batteries(builder, site, stretch, balance, float(prices.mean()))
    cars = {
        session.session_id: placed
        for session in stretch.sessions
        if (placed := _car(builder, site, stretch, session, balance)) is not None
    }
    return _Columns(charge, discharge, stored, curtailed, imported, exported, cars)


def _batteries(
    builder: Builder, site: Site, stretch: Stretch, balance: Ints, price: float
) -> tuple[dict[str, Ints], dict[str, Ints], dict[str, Ints]]:
    """Add SoC chains; energy missing at the end against the start costs the mean import price."""
    charge, discharge, stored = {}, {}, {}
    slots, hours = len(balance), stretch.hours
    for battery in site.batteries:
        name = battery.asset_id
        start = stretch.soc.get(name, battery.soc_min) * battery.capacity_kwh
        low = min(start, battery.soc_min * battery.capacity_kwh)
        high = max(start, battery.soc_max * battery.capacity_kwh)
        charge[name] = builder.columns(_names(f"charge_{name}", slots), upper=battery.max_charge_kw)
        wear = battery.wear_price_per_kwh * hours
        discharge[name] = builder.columns(
            _names(f"discharge_{name}", slots), upper=battery.max_discharge_kw, cost=wear
        )
        stored[name] = builder.columns(_names(f"stored_{name}", slots), lower=low, upper=high)
        first = np.zeros(slots)
        first[0] = start
        chain = builder.rows(_names(f"soc_{name}", slots), lower=first, upper=first)
        builder.put(chain, stored[name], 1.0)
        builder.put(chain[1:], stored[name][:-1], -1.0)
        builder.put(chain, charge[name], -battery.charge_efficiency * hours)
        builder.put(chain, discharge[name], hours / max(battery.discharge_efficiency, 0.01))
        builder.put(balance, charge[name], -1.0)
        builder.put(balance, discharge[name], 1.0)
        missing = builder.columns([f"missing_{name}"], cost=max(price, 0.0))
        end = builder.rows([f"end_{name}"], lower=start)
        builder.put(end, stored[name][-1:], 1.0)
        builder.put(end, missing, 1.0)
    return charge, discharge, stored


def deliverable(site: Site, session: PastSession) -> float:
    """Return what a session could take at most: its need, or its stay at full power (car's side, kWh)."""
    connector = next((c for c in site.connectors if c.asset_id == session.connector_id), None)
    if connector is None:
        return 0.0
    stay_h = max(0.0, (session.unplugged_at - session.plugged_in_at).total_seconds() / 3600.0)
    return min(session.energy_kwh, stay_h * connector.max_kw * connector.efficiency)


def _overlap(stretch: Stretch, session: PastSession) -> tuple[Ints, Floats]:
    """Return the slots that a session touches and the share of each in which the car is there."""
    begin = (session.plugged_in_at - stretch.starts_at).total_seconds() / stretch.slot_s
    end = (session.unplugged_at - stretch.starts_at).total_seconds() / stretch.slot_s
    begin, end = max(begin, 0.0), min(end, float(len(stretch.load_kw)))
    slots = np.arange(int(np.floor(begin)), int(np.ceil(end))) if end > begin else np.zeros(0, dtype=np.int64)
    return slots, np.minimum(slots + 1.0, end) - np.maximum(slots, begin)


def _car(
    builder: Builder, site: Site, stretch: Stretch, session: PastSession, balance: Ints
) -> tuple[Ints, Ints] | None:
    """Add a session's power in the slots that it touches, and its energy; returns slots and columns."""
    connector = next((c for c in site.connectors if c.asset_id == session.connector_id), None)
    slots, share = _overlap(stretch, session)
    if connector is None or not len(slots):
        return None
    name = session.session_id
    columns = builder.columns([f"car_{name}_{slot}" for slot in slots], upper=connector.max_kw * share)
    builder.put(balance[slots], columns, -1.0)
    need = min(
        deliverable(site, session),
        float(share.sum()) * stretch.hours * connector.max_kw * connector.efficiency,
    )
    short = builder.columns([f"short_{name}"], upper=need, cost=site.planning.shortfall_price_per_kwh)
    row = builder.rows([f"need_{name}"], lower=need, upper=need)
    builder.put(row, columns, stretch.hours * connector.efficiency)
    builder.put(row, short, 1.0)
    return slots, columns


def _months(site: Site, stretch: Stretch) -> tuple[Ints, list[float]]:
    """Return the billing month of each slot, counted from 0, and each month's price per kW."""
    price = site.tariff.peak_price_per_kw
    if stretch.one_month:
        return np.zeros(len(stretch.load_kw), dtype=np.int64), [price]
    keys = [site.tariff.billing_month(start) for start in stretch.starts]
    months = list(dict.fromkeys(keys))
    number = np.array([months.index(key) for key in keys])
    days = np.bincount(number) * stretch.hours / 24.0
    return number, [
        price * site.tariff.billed_share(month, day) for month, day in zip(months, days, strict=True)
    ]


def _demand(builder: Builder, site: Site, stretch: Stretch, imported: Ints) -> None:
    """Add each month's highest mean and its price."""
    number, prices = _months(site, stretch)
    peaks = builder.columns([f"peak_{month}" for month in range(len(prices))], cost=prices)
    rows = builder.rows(_names("below_peak", len(imported)), upper=site.tariff.free_kw)
    builder.put(rows, imported, 1.0)
    builder.put(rows, peaks[number], -1.0)


def _parts(site: Site, stretch: Stretch, columns: _Columns) -> list[Part]:
    """Return everything that loads the limit tree."""
    slots = np.arange(len(stretch.load_kw))
    parts = [Part(SUN, slots, columns.curtailed, np.maximum(0.0, -stretch.pv_kw))]
    for battery in site.batteries:
        name = battery.asset_id
        parts.append(Part(name, slots, columns.charge[name], battery.max_charge_kw))
        parts.append(Part(name, slots, columns.discharge[name], battery.max_discharge_kw, -1.0))
    for session in stretch.sessions:
        if session.session_id in columns.cars:
            there, powers = columns.cars[session.session_id]
            most_kw = site.by_id[session.connector_id].nameplate.max_kw
            parts.append(Part(session.connector_id, there, powers, most_kw))
    return parts


def _result(site: Site, stretch: Stretch, columns: _Columns, x: Floats, price: float) -> OracleResult:
    """Return the solution with its cost, the bill as anybody would write it."""
    grid_kw = x[columns.imported] - x[columns.exported]
    written = bill(site.tariff, stretch.starts, grid_kw.tolist())
    hours = stretch.hours
    charging = np.zeros(len(grid_kw))
    given, wanted = {}, {}
    for session in stretch.sessions:
        if session.session_id not in columns.cars:
            continue
        slots, powers = columns.cars[session.session_id]
        efficiency = next(c.efficiency for c in site.connectors if c.asset_id == session.connector_id)
        charging[slots] += x[powers]
        given[session.session_id] = float(x[powers].sum()) * hours * efficiency
        wanted[session.session_id] = deliverable(site, session)
    wear = missing = 0.0
    for battery in site.batteries:
        name = battery.asset_id
        wear += battery.wear_price_per_kwh * float(x[columns.discharge[name]].sum()) * hours
        start = stretch.soc.get(name, battery.soc_min) * battery.capacity_kwh
        missing += max(0.0, start - float(x[columns.stored[name][-1]])) * max(price, 0.0)
    short = sum(max(0.0, wanted[name] - given[name]) for name in given)
    return OracleResult(
        tuple(grid_kw.tolist()),
        tuple((stretch.pv_kw + x[columns.curtailed]).tolist()),
        tuple(charging.tolist()),
        {
            name: tuple((x[columns.charge[name]] - x[columns.discharge[name]]).tolist())
            for name in columns.charge
        },
        {
            b.asset_id: tuple((x[columns.stored[b.asset_id]] / b.capacity_kwh).tolist())
            for b in site.batteries
        },
        given,
        wanted,
        written.peak_kw,
        written.energy_cost,
        written.demand_cost,
        wear,
        short * site.planning.shortfall_price_per_kwh,
        missing,
    )
