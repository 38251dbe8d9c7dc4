"""One scenario of the planning model: its powers, energies and limits as columns and rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.bounds import EXPECTED_CARS, SUN, Known, Part, add_safe_limits
from optimizer.matrix import Builder, Floats, Ints
from optimizer.peaks import add_peaks
from optimizer.problem import Problem, Scenario
from station.assets import Battery

OVER_LIMIT = 500.0
SOC_OUTSIDE = 5.0
LATER = 1e-4
RISK = 3.0
"""Energy that is put off is dreaded so much more than its chance of being missed: the model plans as if it could still
be made good for every car, while all that leave early want the same room. Source: 17-19 September of ``months.yaml``,
cost with shortfall 725 $ at 1, 707 $ at 3, 710 $ at 6; delivered 0.982, 0.991, 0.990.
"""
LEAST_STAY = 0.05
"""A car is not planned for in steps in which it is there with less than this probability."""
WASTED = 1e-5
"""Price per kWh of sun that is curtailed: enough to export it rather where that costs nothing."""
SHARED_STEPS = 1
"""Scenarios agree on what is done in the first steps: one decision for an unknown future."""


@dataclass(frozen=True)
class Flows:
    """The column numbers of one scenario. ``cars`` is by session id and holds columns for steps 0 to its length."""

    charge: Mapping[str, Ints]
    discharge: Mapping[str, Ints]
    stored: Mapping[str, Ints]
    curtailed: Ints
    cars: Mapping[str, Ints]
    imported: Ints
    exported: Ints


class ScenarioRows:
    """Adds one scenario's columns and rows to a builder."""

    def __init__(
        self, builder: Builder, problem: Problem, scenario: Scenario, number: int, first: Flows | None
    ) -> None:
        self.builder, self.problem, self.scenario = builder, problem, scenario
        self.first, self.weight, self.prefix = first, scenario.weight, f"s{number}_" if number else ""
        self.hours = problem.grid.hours
        self.steps = problem.grid.steps

    def build(self) -> Flows:
        """Add everything; returns where the columns are."""
        net = self.scenario.load_kw - self.scenario.pv_kw
        self.balance = self.builder.rows(self._names("balance", self.steps), lower=net, upper=net)
        charge, discharge, stored = self._batteries()
        curtailed = self._columns("curtail", self.scenario.pv_kw, WASTED * self.hours)
        self.builder.put(self.balance, curtailed, -1.0)
        flows = Flows(charge, discharge, stored, curtailed, self._cars(), *self._grid())
        over = OVER_LIMIT * self.weight * self.hours
        known = Known(self.scenario.load_kw, self.scenario.pv_kw, over, self.prefix)
        add_safe_limits(self.builder, self.problem.site, known, [*self._parts(flows), self._arrivals()])
        add_peaks(self.builder, self.problem, flows.imported, self.weight, self.prefix)
        return flows

    def _parts(self, flows: Flows) -> list[Part]:
        """Return everything that loads the tree, cars to come excepted."""
        steps = np.arange(self.steps)
        parts = [Part(SUN, steps, flows.curtailed, self.scenario.pv_kw)]
        for battery in self.problem.site.batteries:
            name = battery.asset_id
            parts.append(Part(name, steps, flows.charge[name], battery.max_charge_kw))
            parts.append(Part(name, steps, flows.discharge[name], battery.max_discharge_kw, -1.0))
        for car in self.problem.cars:
            columns = flows.cars[car.session_id]
            parts.append(Part(car.connector_id, steps[: len(columns)], columns, car.max_kw))
        return parts

    def _names(self, what: str, count: int) -> list[str]:
        return [f"{self.prefix}{what}_{step}" for step in range(count)]

    def _columns(
        self, what: str, upper: float | Floats, cost: float | Floats = 0.0, count: int | None = None
    ) -> Ints:
        """Add one column per step; the cost is weighted by the scenario's probability."""
        count = self.steps if count is None else count
        return self.builder.columns(
            self._names(what, count), upper=upper, cost=np.multiply(cost, self.weight)
        )

    def _decision(
        self, what: str, upper: float | Floats, cost: float | Floats, shared: Ints | None, count: int
    ) -> Ints:
        """Add the columns of something that is decided; all scenarios share those of the first steps."""
        agreed = 0 if shared is None else min(SHARED_STEPS, count)
        weight = np.full(count, self.weight)
        if shared is None:
            weight[:SHARED_STEPS] = 1.0
        costs = np.broadcast_to(np.multiply(cost, weight), (count,))
        limits = np.broadcast_to(np.asarray(upper, dtype=np.float64), (count,))
        own = self.builder.columns(
            self._names(what, count)[agreed:], upper=limits[agreed:], cost=costs[agreed:]
        )
        return own if shared is None else np.concatenate([shared[:agreed], own])

    def _batteries(self) -> tuple[dict[str, Ints], dict[str, Ints], dict[str, Ints]]:
        charge, discharge, stored = {}, {}, {}
        for battery in self.problem.site.batteries:
            name = battery.asset_id
            off = 0.0 if name in self.problem.unavailable or name not in self.problem.start_kwh else 1.0
            shared = (
                (None, None) if self.first is None else (self.first.charge[name], self.first.discharge[name])
            )
            wear = battery.wear_price_per_kwh * self.hours + 1e-6
            charge[name] = self._decision(
                f"charge_{name}", battery.max_charge_kw * off, 0.0, shared[0], self.steps
            )
            discharge[name] = self._decision(
                f"discharge_{name}", battery.max_discharge_kw * off, wear, shared[1], self.steps
            )
            self.builder.put(self.balance, charge[name], -1.0)
            self.builder.put(self.balance, discharge[name], 1.0)
            stored[name] = self._stored(battery, charge[name], discharge[name])
        return charge, discharge, stored

    def _stored(self, battery: Battery, charge: Ints, discharge: Ints) -> Ints:
        """Add the SoC chain; what is left at the end is worth the mean import price, less the way out."""
        name, start = battery.asset_id, self.problem.start_kwh.get(battery.asset_id, 0.0)
        low, high = battery.soc_min * battery.capacity_kwh, battery.soc_max * battery.capacity_kwh
        price = float(np.average(self.problem.import_price, weights=self.hours))
        worth = np.full(self.steps, -LATER * 0.5) * self.hours
        worth[-1] -= max(price, 0.0) * battery.discharge_efficiency
        outside = start < low or start > high or name not in self.problem.start_kwh
        stored = self._columns(f"stored_{name}", np.inf if outside else high, worth)
        if not outside:
            self.builder.lower[-1] = np.full(self.steps, low)
        chain = self.builder.rows(self._names(f"soc_{name}", self.steps), lower=0.0, upper=0.0)
        self.builder.row_lower[-1] = self.builder.row_upper[-1] = np.r_[start, np.zeros(self.steps - 1)]
        self.builder.put(chain, stored, 1.0)
        self.builder.put(chain[1:], stored[:-1], -1.0)
        self.builder.put(chain, charge, -battery.charge_efficiency * self.hours)
        self.builder.put(chain, discharge, self.hours / max(battery.discharge_efficiency, 0.01))
        if outside and name in self.problem.start_kwh:
            self._soft_window(name, stored, low, high)
        return stored

    def _soft_window(self, name: str, stored: Ints, low: float, high: float) -> None:
        """Price a SoC outside its window, for a battery that begins there."""
        slack = self._columns(f"outside_{name}", np.inf, SOC_OUTSIDE * self.hours)
        below = self.builder.rows(self._names(f"low_{name}", self.steps), lower=low)
        above = self.builder.rows(self._names(f"high_{name}", self.steps), upper=high)
        for rows, side in ((below, 1.0), (above, -1.0)):
            self.builder.put(rows, stored, 1.0)
            self.builder.put(rows, slack, side)

    def _cars(self) -> dict[str, Ints]:
        """Add each car's power, and its need blocks with the value of serving them."""
        found = {}
        price = self.problem.site.planning.shortfall_price_per_kwh
        for car in self.problem.cars:
            absent = np.flatnonzero(car.stay_p < LEAST_STAY)
            count = int(absent[0]) if len(absent) else self.steps
            count = 0 if car.connector_id in self.problem.unavailable else max(1, count)
            usual = float(np.dot(car.block_kwh, car.block_p) / sum(car.block_kwh))
            missed = RISK * price * usual * car.efficiency * (1.0 - car.stay_p[:count])
            later = LATER * np.maximum(self.problem.grid.middle_h[:count], 0.0)
            shared = None if self.first is None else self.first.cars[car.session_id]
            columns = self._decision(
                f"car_{car.connector_id}", car.max_kw, (missed + later) * self.hours[:count], shared, count
            )
            found[car.session_id] = columns
            self.builder.put(self.balance[:count], columns, -1.0)
            need = self.builder.rows([f"{self.prefix}need_{car.connector_id}"], lower=0.0, upper=0.0)
            self.builder.put(need, columns, car.efficiency * self.hours[:count])
            worth = price * np.array(car.block_p)
            served = self._columns(f"served_{car.connector_id}", np.array(car.block_kwh), -worth, len(worth))
            self.builder.put(need, served, -1.0)
            self.builder.offset += self.weight * float(worth @ np.array(car.block_kwh))
        return found

    def _arrivals(self) -> Part:
        """Add the expected cars, all groups at once."""
        groups = self.scenario.arrivals
        steps = np.concatenate(
            [np.arange(g.first, g.last + 1) for g in groups] or [np.zeros(0, dtype=np.int64)]
        )
        group = np.repeat(np.arange(len(groups)), [g.last - g.first + 1 for g in groups])
        max_kw = np.array([g.max_kw for g in groups])[group] if len(groups) else np.zeros(0)
        energy = np.array([g.energy_kwh for g in groups])
        price = self.problem.site.planning.shortfall_price_per_kwh
        later = LATER * np.maximum(self.problem.grid.middle_h[steps], 0.0) * self.hours[steps]
        names = [
            f"{self.prefix}arrival_{of}_{step}"
            for of, step in zip(group.tolist(), steps.tolist(), strict=True)
        ]
        columns = self.builder.columns(names, upper=max_kw, cost=later * self.weight)
        missing = self._columns("missing", energy, price, len(groups))
        need = self.builder.rows(self._names("expected", len(groups)), lower=energy, upper=energy)
        self.builder.put(self.balance[steps], columns, -1.0)
        self.builder.put(need[group], columns, self.hours[steps])
        self.builder.put(need, missing, 1.0)
        return Part(EXPECTED_CARS, steps, columns, max_kw)

    def _grid(self) -> tuple[Ints, Ints]:
        imported = self._columns("import", np.inf, self.problem.import_price * self.hours)
        exported = self._columns("export", np.inf, -(self.problem.export_price - 1e-6) * self.hours)
        self.builder.put(self.balance, imported, 1.0)
        self.builder.put(self.balance, exported, -1.0)
        return imported, exported
