"""What planner and bound see of a tariff that is more than prices by the clock and one demand charge."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from optimizer.assemble import problem_of
from optimizer.oracle import oracle
from optimizer.solve import schedule
from station.bill import bill
from station.charges import Blocks, Contract, Regime, Regimes, Scope
from station.plan import PlanOrigin
from station.price_series import Fallback, PriceSeries
from station.tariff import Tariff
from tests.unit.optimizer.cases import MONDAY, car, load_kw, request, site, tariff

STARTS = [MONDAY + timedelta(minutes=15 * slot) for slot in range(192)]
HOURS = [start.hour + start.minute / 60.0 for start in STARTS]


def blocks(count: int) -> Tariff:
    return replace(tariff(demand=0.0), blocks=Blocks(10.0, 20.0, count, 4.0))


def series(*prices: float, export: Sequence[float] = ()) -> Tariff:
    """Half-hourly prices from Monday on; the clock's prices after them."""
    export_series = PriceSeries(MONDAY, 1800.0, tuple(export), Fallback.PERIODS) if export else None
    imported = PriceSeries(MONDAY, 1800.0, prices, Fallback.PERIODS)
    return replace(tariff(demand=0.0), series=imported, export_series=export_series)


def test_subscribed_power_counts_as_paid() -> None:
    problem = problem_of(replace(request(where=site(prices=blocks(3))), month_peak_kw=12.0))
    assert problem.paid_kw.tolist() == [30.0] * len(problem.paid_kw)
    assert problem.demand_price == 4.0
    assert problem_of(replace(request(where=site(prices=blocks(3))), month_peak_kw=44.0)).paid_kw[0] == 44.0


def test_beyond_a_contract_a_kw_costs_its_excess() -> None:
    plain = tariff(demand=10.0)
    contracted = replace(plain, demand=replace(plain.demand, contract=Contract(20.0, 1.05, 2.0)))
    problem = problem_of(request(where=site(prices=contracted)))
    assert (problem.paid_kw[0], problem.demand_price) == (21.0, 20.0)


def test_the_expected_regime_adds_to_the_kwh_and_prices_the_kw() -> None:
    plain = tariff(demand=0.0, night=0.05, day=0.05)
    regimes = Regimes(2500.0, Regime(6.59, 0.0368), Regime(90.12, 0.0034))
    split = replace(plain, demand=replace(plain.demand, scope=Scope.YEAR), regimes=regimes)
    problem = problem_of(request(where=site(prices=split)))
    assert problem.import_price == pytest.approx(0.0868)
    assert problem.demand_price == 6.59
    above = replace(split, regimes=replace(regimes, expects_above=True))
    assert problem_of(request(where=site(prices=above))).demand_price == 90.12


def test_negative_prices_and_export_prices_by_the_half_hour_can_be_planned() -> None:
    priced = series(*[-0.2] * 6, *[0.3] * 60, export=[0.1, -0.3])
    asked = request(car("c1"), where=site(prices=priced))
    problem = problem_of(asked)
    assert problem.import_price[0] == pytest.approx(-0.2)
    assert problem.export_price[:4] == pytest.approx([-0.2, -0.2, -0.3, -0.3])
    plan = schedule(asked)
    assert plan.origin is PlanOrigin.OPTIMIZER
    paid_kw, dear_kw = np.array(plan.grid_kw[:12]), np.array(plan.grid_kw[12:40])
    assert paid_kw.mean() > dear_kw.mean()


def test_the_bound_leaves_subscribed_power_free_and_its_bill_agrees() -> None:
    load = [load_kw(hour) for hour in HOURS]
    sun = [0.0] * len(STARTS)
    where = site(prices=blocks(6))
    found = oracle(where, STARTS, load, sun, (), soc={"battery": 0.1})
    assert found is not None
    assert found.demand_cost == 0.0
    assert found.peak_kw > 20.0, "so much the battery draws in the cheap night, for nothing is to be shaved"
    few = oracle(site(prices=blocks(1)), STARTS, load, sun, (), soc={"battery": 0.1})
    assert few is not None
    assert few.peak_kw < found.peak_kw
    assert bill(blocks(1), STARTS, few.grid_kw).demand_cost == pytest.approx(few.demand_cost)
