"""The planning model: from a ``Problem`` to a matrix, and from its solution to powers.

Money is in the tariff's currency, energy in kWh, powers in kW on the AC side. Everything that physics does not set is
soft and priced, so the model always has a solution. The prices, ranked:

* ``OVER_LIMIT`` per kWh beyond a limit of the tree, ``SOC_OUTSIDE`` per kWh and hour outside the SoC window;
* the site's shortfall price times the probability of the need, per kWh that a driver misses;
* the tariff: energy, demand, the battery's wear, and the value of what is left in it;
* ``RESTLESS`` per kWh for leaving the last published plan, ``LATER`` per kWh and hour to break ties.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from optimizer.flows import Flows, ScenarioRows
from optimizer.matrix import Builder, Ints, Matrix
from optimizer.problem import Car, Problem

RESTLESS = 0.01
RESTLESS_STEPS = 2


@dataclass(frozen=True)
class Model:
    """The matrix and where to find things in it; ``switched`` are the on/off columns by session id."""

    problem: Problem
    matrix: Matrix
    flows: tuple[Flows, ...]
    switched: Mapping[str, Ints] = field(default_factory=dict)


def build(problem: Problem, integer_steps: int = 0, only: frozenset[str] | None = None) -> Model:
    """Return the model; with ``integer_steps`` plugged cars get 0 or at least their minimum in the first steps.

    ``only`` names the sessions for which this is asked, None asks it for all.
    """
    builder = Builder()
    flows: list[Flows] = []
    for number, scenario in enumerate(problem.scenarios):
        flows.append(ScenarioRows(builder, problem, scenario, number, flows[0] if flows else None).build())
    switched = {
        car.session_id: _minimum_power(builder, car, flows[0].cars[car.session_id][:integer_steps])
        for car in problem.cars
        if integer_steps
        and car.min_kw > 0
        and len(flows[0].cars[car.session_id])
        and (only is None or car.session_id in only)
    }
    _keep_still(builder, problem, flows[0])
    return Model(problem, builder.finish(), tuple(flows), switched)


def _minimum_power(builder: Builder, car: Car, columns: Ints) -> Ints:
    """Add on/off columns: off is 0, on is at least the minimum."""
    names = [f"on_{car.connector_id}_{step}" for step in range(len(columns))]
    switches = builder.columns(names, upper=1.0, integer=True)
    low = builder.rows([f"min_{name}" for name in names], lower=0.0)
    builder.put(low, columns, 1.0)
    builder.put(low, switches, -car.min_kw)
    high = builder.rows([f"max_{name}" for name in names], upper=0.0)
    builder.put(high, columns, 1.0)
    builder.put(high, switches, -car.max_kw)
    return switches


def _keep_still(builder: Builder, problem: Problem, flows: Flows) -> None:
    """Price the distance from the last published plan in the first steps."""
    moved: dict[str, list[tuple[Ints, float]]] = {
        name: [(flows.charge[name], 1.0), (flows.discharge[name], -1.0)] for name in flows.charge
    }
    moved.update({car.connector_id: [(flows.cars[car.session_id], 1.0)] for car in problem.cars})
    for name, parts in moved.items():
        last = problem.last_kw.get(name, ())
        steps = min(RESTLESS_STEPS, len(last), *(len(columns) for columns, _ in parts))
        if steps < 1:
            continue
        target = np.array(last[:steps])
        names = [f"move_{name}_{step}" for step in range(steps)]
        distance = builder.columns(names, cost=RESTLESS * problem.grid.hours[:steps])
        for side in (1.0, -1.0):
            rows = builder.rows(
                [f"{text}_{'up' if side > 0 else 'down'}" for text in names], lower=-side * target
            )
            builder.put(rows, distance, 1.0)
            for columns, sign in parts:
                builder.put(rows, columns[:steps], -side * sign)
