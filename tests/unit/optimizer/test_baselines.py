"""The simple strategies keep limits and their own order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from optimizer.baselines import Moment, capped_llf, edf, llf, round_robin, rules, uncontrolled
from station.limits import Direction
from station.plan import Plan, PlanOrigin
from station.session import Session
from tests.unit.optimizer.cases import MONDAY, car, site

CONTROLLED = [edf, llf, round_robin, capped_llf, rules]


def moment(*sessions: Session, load: float = 10.0, sun: float = 0.0, cap: float | None = None) -> Moment:
    """A moment at the small station."""
    return Moment(site(), MONDAY, sessions, load, -sun, {"battery": 0.5}, cap_kw=cap)


FIVE = tuple(car(f"c{i}", hours=2.0 + i) for i in range(1, 6))


@pytest.mark.parametrize("strategy", CONTROLLED)
@pytest.mark.parametrize("load", [0.0, 10.0, 35.0, 59.0])
def test_import_and_feeder_limits_are_kept(strategy: Callable[[Moment], Plan], load: float) -> None:
    now = moment(*FIVE, load=load)
    plan = strategy(now)
    powers = {name: values[0] for name, values in plan.targets_kw.items()} | {"pv": 0.0}
    for constraint in now.site.constraints:
        if constraint.direction is Direction.IMPORT:
            flow = sum(weight * powers[name] for name, weight in constraint.weights.items())
            assert flow + constraint.base_weight * load <= constraint.bound + 1e-6


@pytest.mark.parametrize("strategy", [*CONTROLLED, uncontrolled])
def test_a_connector_gets_nothing_or_at_least_its_minimum(strategy: Callable[[Moment], Plan]) -> None:
    now = moment(*FIVE, load=40.0)
    plan = strategy(now)
    assert plan.origin is PlanOrigin.BASELINE
    assert len(plan.grid_kw) == 1
    for place in now.site.connectors:
        power = plan.targets_kw[place.asset_id][0]
        assert power == 0.0 or place.min_kw - 1e-9 <= power <= place.max_kw


def test_uncontrolled_looks_at_no_limit() -> None:
    plan = uncontrolled(moment(*FIVE, load=50.0))
    assert plan.grid_kw[0] > 60.0


def test_the_earliest_departure_comes_first() -> None:
    plan = edf(moment(car("c1", hours=5.0), car("c2", hours=1.0), load=38.0))
    assert plan.targets_kw["c2"][0] == 22.0
    assert plan.targets_kw["c1"][0] == 0.0


def test_the_least_laxity_comes_first() -> None:
    plan = llf(moment(car("c1", hours=5.0, kwh=100.0), car("c2", hours=1.0, kwh=5.0), load=38.0))
    assert plan.targets_kw["c1"][0] == 22.0
    assert plan.targets_kw["c2"][0] == 0.0


def test_round_robin_gives_equal_shares() -> None:
    plan = round_robin(moment(car("c1"), car("c2"), load=40.0))
    assert plan.targets_kw["c1"][0] == pytest.approx(plan.targets_kw["c2"][0], abs=0.3)
    assert plan.targets_kw["c1"][0] > 9.0


def test_the_battery_holds_the_cap_and_is_filled_below_it() -> None:
    shaving = capped_llf(moment(load=40.0, cap=25.0))
    assert shaving.targets_kw["battery"][0] == pytest.approx(-15.0)
    filling = capped_llf(moment(load=10.0, cap=25.0))
    assert filling.targets_kw["battery"][0] == pytest.approx(15.0)
    assert shaving.grid_kw[0] == pytest.approx(25.0)


def test_a_full_battery_is_not_charged_and_an_empty_one_gives_nothing() -> None:
    full = replace(moment(load=10.0, cap=25.0), soc={"battery": 0.9})
    empty = replace(moment(load=40.0, cap=25.0), soc={"battery": 0.1})
    assert capped_llf(full).targets_kw["battery"][0] == pytest.approx(0.0, abs=1e-9)
    assert capped_llf(empty).targets_kw["battery"][0] == 0.0


def test_rules_store_the_spare_sun() -> None:
    assert rules(moment(load=10.0, sun=30.0)).targets_kw["battery"][0] == pytest.approx(20.0)


def test_rules_serve_a_car_that_cannot_wait_above_the_cap() -> None:
    pressed = replace(moment(car("c1", kwh=20.0, hours=1.0), load=25.0, cap=25.0), soc={"battery": 0.1})
    assert rules(pressed).targets_kw["c1"][0] > 20.0
    assert capped_llf(pressed).targets_kw["c1"][0] == 0.0


def test_satisfied_and_unreachable_cars_get_nothing() -> None:
    now = moment(replace(car("c1"), is_satisfied=True), car("c2"))
    plan = llf(replace(now, unavailable=frozenset({"c2"})))
    assert plan.targets_kw["c1"][0] == plan.targets_kw["c2"][0] == 0.0


def test_a_car_that_has_all_it_asked_for_and_still_draws_is_served() -> None:
    assert llf(moment(car("c1", kwh=20.0, taken=25.0))).targets_kw["c1"][0] > 0.0


def test_the_plan_is_for_the_running_slot() -> None:
    plan = llf(replace(moment(), now=MONDAY + timedelta(minutes=7)))
    assert plan.starts_at == MONDAY
    assert plan.slot_at(MONDAY + timedelta(minutes=10)) == 0
