"""One plan, whatever happens: HiGHS, else CBC, else the last plan moved on, else rules.

Every answer is checked against the matrix before it is believed; ``origin`` and ``note`` say which rung it came from.
"""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from optimizer.assemble import problem_of
from optimizer.baselines import Moment, rules
from optimizer.matrix import Floats
from optimizer.model import Model, build
from optimizer.problem import PlanningInput, Problem, window_means
from optimizer.solvers import Answer, NoAnswer, Solver, answer, cbc, highs
from station.plan import Plan, PlanOrigin

INTEGER_STEPS = 1
ROUNDS = 3
"""How often on/off choices are added for cars that fell below their minimum; what remains is rounded."""
GAP = 1e-3
VALID_S = 7200.0
NOTHING_KW = 1e-3
LADDER: tuple[tuple[str, Solver], ...] = (("HiGHS", highs), ("CBC", cbc))


def schedule(request: PlanningInput, ladder: tuple[tuple[str, Solver], ...] = LADDER) -> Plan:
    """Return the schedule for a request. Never fails on a valid site; worse rungs say so in ``note``."""
    problem = problem_of(request)
    causes: list[str] = []
    for name, solver in ladder:
        outcome = _solved(problem, solver, request.site.planning.timeout_s / (2 * len(ladder)))
        if isinstance(outcome, Plan):
            return replace(outcome, note="; ".join([*causes, name]))
        causes.append(f"{name} {outcome.cause}")
    moved = _last_plan_moved(request)
    if moved is not None:
        return replace(moved, note="; ".join([*causes, "last plan moved on"]))
    return replace(_by_rules(request, problem), note="; ".join([*causes, "rules"]))


def _solved(problem: Problem, solver: Solver, timeout_s: float) -> Plan | NoAnswer:
    """Solve the linear model, and once more with on/off choices where a car would get less than its minimum."""
    model = build(problem)
    found = answer(model.matrix, solver, timeout_s, GAP)
    if isinstance(found, NoAnswer):
        return found
    asked: frozenset[str] = frozenset()
    for _ in range(ROUNDS):
        small = _below_minimum(model, found)
        if not small:
            break
        asked |= small
        switched = build(problem, INTEGER_STEPS, asked)
        whole = answer(switched.matrix, solver, timeout_s / ROUNDS, GAP)
        if isinstance(whole, NoAnswer):
            break
        model, found = switched, whole
    return plan_of(model, found)


def _below_minimum(model: Model, found: Answer) -> frozenset[str]:
    """Return the sessions that would get more than nothing and less than their minimum in the first steps."""
    powers = {
        car.session_id: found.x[model.flows[0].cars[car.session_id][:INTEGER_STEPS]]
        for car in model.problem.cars
    }
    return frozenset(
        car.session_id
        for car in model.problem.cars
        if ((powers[car.session_id] > NOTHING_KW) & (powers[car.session_id] < car.min_kw - 1e-6)).any()
    )


def plan_of(model: Model, found: Answer) -> Plan:
    """Return the solution as a plan on slots; beyond the first steps a power may lie below the minimum."""
    problem, x = model.problem, found.x
    grid, flows, scenario = problem.grid, model.flows[0], problem.scenarios[0]
    targets: dict[str, Floats] = {}
    soc: dict[str, tuple[float, ...]] = {}
    for battery in problem.site.batteries:
        name = battery.asset_id
        targets[name] = x[flows.charge[name]] - x[flows.discharge[name]]
        soc[name] = _per_slot(problem, np.clip(x[flows.stored[name]] / battery.capacity_kwh, 0.0, 1.0))
    targets.update({connector.asset_id: np.zeros(grid.steps) for connector in problem.site.connectors})
    for car in problem.cars:
        columns = flows.cars[car.session_id]
        targets[car.connector_id][: len(columns)] = _rounded(x[columns], car.min_kw)
    curtailed = x[flows.curtailed]
    rated_kw = sum(plant.rated_kw for plant in problem.site.pv_plants)
    for plant in problem.site.pv_plants:
        left = (scenario.pv_kw - curtailed) * plant.rated_kw / max(rated_kw, 1e-9)
        targets[plant.asset_id] = np.where(curtailed > NOTHING_KW, -left, -plant.rated_kw)
    grid_kw = x[flows.imported] - x[flows.exported]
    peak_kw = max(problem.prior_kw, _peaks_kw(problem, grid_kw)[0])
    return Plan(
        made_at=grid.now,
        starts_at=grid.starts_at,
        slot_s=grid.slot_s,
        valid_until=min(grid.now + timedelta(seconds=VALID_S), _ends_at(problem)),
        targets_kw={name: _per_slot(problem, values) for name, values in targets.items()},
        sessions={car.connector_id: car.session_id for car in problem.cars},
        peak_kw=peak_kw,
        origin=PlanOrigin.OPTIMIZER,
        grid_kw=_per_slot(problem, grid_kw),
        load_kw=_per_slot(problem, scenario.load_kw),
        pv_kw=_per_slot(problem, curtailed - scenario.pv_kw),
        soc=soc,
        expected_cost=_cost(model, found),
    )


def _rounded(powers: Floats, min_kw: float) -> Floats:
    """Return powers without dust; in the first steps nothing remains between 0 and the minimum."""
    powers = np.where(powers > NOTHING_KW, powers, 0.0)
    first = powers[:INTEGER_STEPS]
    powers[:INTEGER_STEPS] = np.where(first < min_kw - 1e-6, 0.0, first)
    return powers


def _cost(model: Model, found: Answer) -> float:
    """Return what the plan is expected to add to the bill, and wear: no soft prices in it."""
    problem, flows, x = model.problem, model.flows[0], found.x
    hours = problem.grid.hours
    energy = problem.import_price @ (x[flows.imported] * hours) - problem.export_price @ (
        x[flows.exported] * hours
    )
    wear = sum(
        battery.wear_price_per_kwh * float(x[flows.discharge[battery.asset_id]] @ hours)
        for battery in problem.site.batteries
    )
    added_kw = sum(_peaks_kw(problem, x[flows.imported])) - float(problem.paid_kw.sum())
    return float(energy) + wear + problem.demand_price * added_kw


def _peaks_kw(problem: Problem, grid_kw: Floats) -> list[float]:
    """Return each month's highest billed mean: planned, or paid already."""
    share, used_kw = window_means(problem)
    means = share * np.maximum(grid_kw, 0.0) + used_kw
    months = range(len(problem.paid_kw))
    return [
        max(float(problem.paid_kw[m]), float(means[problem.month_of_step == m].max(initial=0.0)))
        for m in months
    ]


def _per_slot(problem: Problem, per_step: Floats) -> tuple[float, ...]:
    """Return values per step as values per slot."""
    return tuple((per_step[problem.grid.step_of_slot] + 0.0).tolist())


def _last_plan_moved(request: PlanningInput) -> Plan | None:
    """Return the last plan if it still reaches beyond now; its slots keep their own times."""
    last = request.last_plan
    if last is None or last.origin is not PlanOrigin.OPTIMIZER or last.slot_at(request.now) is None:
        return None
    here = {session.session_id for session in request.sessions}
    sessions = {connector: session for connector, session in last.sessions.items() if session in here}
    return replace(last, origin=PlanOrigin.LAST_PLAN, sessions=sessions)


def _by_rules(request: PlanningInput, problem: Problem) -> Plan:
    """Return the rules' plan for the present slot."""
    scenario = problem.scenarios[0]
    cap_kw = max(float(problem.paid_kw[0]), problem.prior_kw)
    moment = Moment(
        request.site,
        request.now,
        request.sessions,
        float(scenario.load_kw[0]),
        -float(scenario.pv_kw[0]),
        request.soc,
        request.unavailable,
        cap_kw if cap_kw > 0 else None,
    )
    return replace(rules(moment), origin=PlanOrigin.RULES)


def _ends_at(problem: Problem) -> datetime:
    grid = problem.grid
    return grid.starts_at + timedelta(seconds=grid.slot_s * grid.slots)
