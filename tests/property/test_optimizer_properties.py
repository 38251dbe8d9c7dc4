"""Whatever the site, the cars and the past: a plan comes back, keeps the limits and is the same each time."""

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimizer.assemble import problem_of
from optimizer.model import build
from optimizer.oracle import oracle
from optimizer.problem import PlanningInput
from optimizer.solve import schedule
from optimizer.solvers import Answer, answer, cbc, highs
from station.bill import bill
from station.forecast import ExpectedSession, Forecast, History
from station.limits import Direction
from station.plan import PlanOrigin
from station.quantities import ALL_PHASES
from station.session import PastSession, Session
from tests.unit.optimizer.cases import MONDAY, battery, connector, load_kw, site, sun_kw, tariff

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def stations(draw: st.DrawFn) -> object:
    """Small stations of every shape; efficiencies, prices and limits vary."""
    places = [
        connector(
            f"c{i}",
            phases=draw(st.sampled_from([ALL_PHASES, ("L1",), ("L2",)])),
            max_kw=draw(st.floats(3, 50)),
            min_kw=1.4,
        )
        for i in range(draw(st.integers(0, 4)))
    ]
    batteries = [battery(charge_efficiency=draw(st.floats(0.6, 1.0)))] if draw(st.booleans()) else []
    prices = tariff(export=draw(st.sampled_from([0.0, 0.04, 0.3])), demand=draw(st.sampled_from([0.0, 15.0])))
    return site(connectors=places, batteries=batteries, prices=prices, import_kw=draw(st.floats(10, 100)))


@st.composite
def requests(draw: st.DrawFn) -> PlanningInput:
    """Any request: odd times, cars that said nonsense or nothing, gaps in the past."""
    where = draw(stations())
    now = MONDAY + timedelta(seconds=draw(st.integers(0, 40 * 86_400)))
    some = st.none() | st.floats(0.0, 80.0)
    cars = tuple(
        Session(
            session_id=f"s{place.asset_id}",
            connector_id=place.asset_id,
            plugged_in_at=now - timedelta(minutes=draw(st.integers(0, 600))),
            delivered_kwh=draw(st.floats(0.0, 40.0)),
            requested_kwh=draw(some),
            estimated_unplug_at=draw(
                st.none() | st.just(now + timedelta(minutes=draw(st.integers(-300, 900))))
            ),
            known_kwh=draw(some),
            soc=draw(st.none() | st.floats(0, 1)),
            capacity_kwh=draw(st.none() | st.floats(1, 80)),
            is_satisfied=draw(st.booleans()),
        )
        for place in where.connectors  # type: ignore[attr-defined]
        if draw(st.booleans())
    )
    values = st.one_of(st.just(float("nan")), st.floats(0.0, 60.0))
    slots = draw(st.integers(0, 60))
    load, pv = (draw(st.lists(values, min_size=slots, max_size=slots)) for _ in range(2))
    came = now - timedelta(days=draw(st.integers(1, 20)))
    past = [
        PastSession(
            f"p{i}", f"c{i % 3}", came, came + timedelta(hours=1 + i), float(i), 10.0 if i % 2 else None, None
        )
        for i in range(draw(st.integers(0, 4)))
    ]
    begins = now.replace(minute=0, second=0, microsecond=0) - timedelta(minutes=15 * slots)
    history = History(begins, 900.0, tuple(load), tuple(-value for value in pv), tuple(past))
    charge = {b.asset_id: draw(st.floats(0, 1)) for b in where.batteries}  # type: ignore[attr-defined]
    peak = draw(st.none() | st.floats(0, 80))
    return PlanningInput(where, now, history, cars, charge, draw(st.floats(0, 60)), expected_peak_kw=peak)  # type: ignore[arg-type]


@FEW
@given(requests())
def test_a_plan_always_comes_and_is_the_same_each_time(asked: PlanningInput) -> None:
    plan = schedule(asked)
    assert plan == schedule(asked)
    assert plan.origin is PlanOrigin.OPTIMIZER
    assert set(plan.targets_kw) == {asset.asset_id for asset in asked.site.controllables}
    assert all(math.isfinite(value) for values in plan.targets_kw.values() for value in values)
    assert plan.slot_at(asked.now) == 0
    for asset in asked.site.controllables:
        assert all(asset.nameplate.holds(value, 1e-6) for value in plan.targets_kw[asset.asset_id])
    for place in asked.site.connectors:
        first = plan.targets_kw[place.asset_id][0]
        assert first == 0.0 or first >= place.min_kw - 1e-6


@FEW
@given(requests())
def test_the_limits_hold_wherever_they_can(asked: PlanningInput) -> None:
    plan = schedule(asked)
    load, sun = np.array(plan.load_kw), np.array(plan.pv_kw)
    for constraint in asked.site.constraints:
        sign = 1.0 if constraint.direction is Direction.IMPORT else -1.0
        flow = sign * constraint.base_weight * load
        for name, weight in constraint.weights.items():
            flow = flow + sign * weight * (sun if name == "pv" else np.array(plan.targets_kw[name]))
        unavoidable = sign * constraint.base_weight * (load + sun) if sign > 0 else np.zeros(len(load))
        assert (flow <= np.maximum(constraint.bound, unavoidable) + 1e-2).all(), constraint.name


@FEW
@given(requests(), st.floats(0.1, 0.9))
def test_the_state_of_charge_stays_in_its_window(asked: PlanningInput, soc: float) -> None:
    inside = replace(asked, soc=dict.fromkeys(asked.soc, soc))
    for name, course in schedule(inside).soc.items():
        bank = next(b for b in asked.site.batteries if b.asset_id == name)
        assert min(course) >= bank.soc_min - 1e-6
        assert max(course) <= bank.soc_max + 1e-6


@FEW
@given(requests(), st.booleans())
def test_two_independent_solvers_agree(asked: PlanningInput, whole: bool) -> None:
    matrix = build(problem_of(asked), integer_steps=1 if whole else 0).matrix
    ours, other = answer(matrix, highs, 20.0, 1e-9), answer(matrix, cbc, 20.0, 1e-9)
    assert isinstance(ours, Answer)
    assert isinstance(other, Answer)
    assert ours.objective == pytest.approx(other.objective, rel=1e-6, abs=1e-4)


@FEW
@given(st.integers(0, 10_000), st.floats(5.0, 40.0), st.floats(0.2, 0.8))
def test_perfect_foresight_costs_no_more_than_a_plan_on_the_truth(
    seed: int, most_kw: float, soc: float
) -> None:
    chance = np.random.default_rng(seed)
    where = site(prices=tariff(demand=5.0))
    hours = [(7 + slot / 4.0) % 24 for slot in range(144)]
    load = [load_kw(hour) * chance.uniform(0.5, 1.5) for hour in hours]
    sun = [sun_kw(hour, most_kw) for hour in hours]
    truth = Forecast(MONDAY, 900.0, tuple(load), tuple(sun), ())
    cars = tuple(
        Session(
            f"s{i}",
            f"c{i}",
            MONDAY,
            0.0,
            None,
            MONDAY + timedelta(hours=float(chance.integers(2, 9))),
            float(chance.uniform(2, 12)),
        )
        for i in (1, 2)
    )
    asked = PlanningInput(
        where, MONDAY, History(MONDAY, 900.0, (), ()), cars, {"battery": soc}, known_forecast=truth
    )
    plan = schedule(asked)
    ended = tuple(
        PastSession(c.session_id, c.connector_id, MONDAY, c.estimated_unplug_at, c.known_kwh, None, None)  # type: ignore[arg-type]
        for c in cars
    )
    starts = [MONDAY + timedelta(minutes=15 * slot) for slot in range(144)]
    best = oracle(where, starts, load, sun, ended, soc={"battery": soc})
    assert best is not None
    # The plan's own grid on the true slots: what it does, against what then happens.
    done = sum(np.array(values) for name, values in plan.targets_kw.items() if name != "pv")
    grid = np.array(load) + np.array(plan.pv_kw) + done
    written = bill(where.tariff, starts, grid.tolist())
    wear = 0.02 * sum(-min(p, 0.0) for p in plan.targets_kw["battery"]) / 4.0
    price = float(np.mean([where.tariff.price_per_kwh(start) for start in starts]))
    missing = max(0.0, soc - plan.soc["battery"][-1]) * 100.0 * price
    short = sum(max(0.0, c.known_kwh - sum(plan.targets_kw[c.connector_id]) / 4.0) for c in cars)  # type: ignore[operator]
    assert best.total_cost <= written.total_cost + wear + missing + short + 1e-4


def test_expected_cars_are_demand_and_not_targets() -> None:
    coming = ExpectedSession("c1", MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=3), 10.0)
    where = site(batteries=[])
    truth = Forecast(MONDAY, 900.0, (10.0,) * 144, (0.0,) * 144, (coming,))
    plan = schedule(
        PlanningInput(where, MONDAY, History(MONDAY, 900.0, (), ()), month_peak_kw=30.0, known_forecast=truth)
    )
    assert sum(plan.targets_kw["c1"]) == 0.0
    assert sum(plan.grid_kw) / 4.0 == pytest.approx(360.0 + 10.0, abs=0.1)
