"""Rows of the limit tree, the same for the planner's model and for the oracle's."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optimizer.matrix import Builder, Floats, Ints
from station.limits import Direction
from station.topology import Constraint, Site

SUN = "the sun"
"""Stands for all PV plants together: they share what is curtailed by their rating."""
EXPECTED_CARS = "cars to come"
"""Stand at nobody's connector yet: they count where the base load does."""


@dataclass(frozen=True, slots=True)
class Part:
    """Columns that load the site: ``steps[i]`` is when ``columns[i]`` flows, at most ``max_kw`` (scalar or each).

    ``sign`` is -1 for what relieves the import (discharging).
    """

    asset_id: str
    steps: Ints
    columns: Ints
    max_kw: float | Floats
    sign: float = 1.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is not decided, per step: base load and available PV, both >= 0; and the price per kW beyond a limit."""

    load_kw: Floats
    pv_kw: Floats
    over_price: float | Floats
    prefix: str = ""


def add_limits(builder: Builder, site: Site, known: Known, parts: Sequence[Part]) -> None:
    """Add every booked bound of the tree in the steps in which it can bind at all, each with a priced slack."""
    _add_all(builder, site, known, parts, site.constraints)


def add_safe_limits(builder: Builder, site: Site, known: Known, parts: Sequence[Part]) -> None:
    """Add the bounds that control will hold: less the base load's growth, and also should all support fail at once.

    Without these rows a plan gives cars what the safety gate then takes away again (``controller.envelope``).
    """
    growth_kw = site.base_load.growth_kw
    imports = [c for c in site.constraints if c.direction is Direction.IMPORT]
    standing = [replace(c, bound=c.bound - c.base_weight * growth_kw) for c in imports]
    loss = [replace(c, bound=site.loss_bound(c) - c.base_weight * growth_kw) for c in imports]
    exports = [c for c in site.constraints if c.direction is not Direction.IMPORT]
    _add_all(builder, site, known, parts, [*standing, *exports])
    alone = replace(known, pv_kw=np.zeros_like(known.pv_kw), prefix=f"{known.prefix}alone_")
    _add_all(builder, site, alone, [p for p in parts if p.sign > 0 and p.asset_id != SUN], loss)


def _add_all(
    builder: Builder, site: Site, known: Known, parts: Sequence[Part], constraints: Sequence[Constraint]
) -> None:
    for number, constraint in enumerate(constraints):
        _add_limit(
            builder,
            known,
            (number, constraint),
            [(p, weight_of(site, constraint, p.asset_id)) for p in parts],
        )


def weight_of(site: Site, constraint: Constraint, asset_id: str) -> float:
    """Return the weight of an asset, of the whole PV power or of cars to come in a constraint."""
    if asset_id == EXPECTED_CARS:
        return constraint.base_weight
    if asset_id == SUN:
        rated = sum(plant.rated_kw for plant in site.pv_plants)
        inside = sum(p.rated_kw * constraint.weights.get(p.asset_id, 0.0) for p in site.pv_plants)
        return inside / rated if rated > 0 else 0.0
    return constraint.weights.get(asset_id, 0.0)


def _add_limit(
    builder: Builder, known: Known, numbered: tuple[int, Constraint], weighted: Sequence[tuple[Part, float]]
) -> None:
    number, constraint = numbered
    way = 1.0 if constraint.direction is Direction.IMPORT else -1.0
    sun_weight = next((weight for part, weight in weighted if part.asset_id == SUN), 0.0)
    fixed = way * (constraint.base_weight * known.load_kw - sun_weight * known.pv_kw)
    most = fixed.copy()
    factors = [(part, way * part.sign * weight) for part, weight in weighted if weight and len(part.columns)]
    for part, factor in factors:
        np.add.at(most, part.steps, max(factor, 0.0) * part.max_kw)
    where = np.flatnonzero(most > constraint.bound)
    if not len(where):
        return
    names = [f"{known.prefix}limit{number}_{step}" for step in where.tolist()]
    rows = builder.rows(names, upper=constraint.bound - fixed[where])
    price = np.broadcast_to(known.over_price, most.shape)[where]
    heaviest = max([*constraint.weights.values(), 1e-9])
    builder.put(rows, builder.columns([f"over_{name}" for name in names], cost=price / heaviest), -1.0)
    row_of_step = np.full(len(most), -1)
    row_of_step[where] = rows
    for part, factor in factors:
        keep = row_of_step[part.steps] >= 0
        builder.put(row_of_step[part.steps[keep]], part.columns[keep], factor)
