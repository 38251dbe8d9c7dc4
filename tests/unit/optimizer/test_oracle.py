"""Perfect foresight, its costs, and the peak it teaches."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from optimizer.demand import expected_peak_kw
from optimizer.oracle import OracleResult, deliverable, oracle
from station.bill import bill
from station.session import PastSession
from station.topology import Site
from tests.unit.optimizer.cases import MONDAY, history, load_kw, past_sessions, site, sun_kw, tariff

STARTS = [MONDAY + timedelta(minutes=15 * slot) for slot in range(192)]
HOURS = [start.hour + start.minute / 60.0 for start in STARTS]
LOAD = [load_kw(hour) for hour in HOURS]
SUN = [sun_kw(hour) for hour in HOURS]


def solved(
    sessions: tuple[PastSession, ...] = (), where: Site | None = None, soc: float = 0.5
) -> OracleResult:
    """The oracle's answer for two days."""
    where = where or site()
    found = oracle(where, STARTS, LOAD, SUN, sessions, soc={b.asset_id: soc for b in where.batteries})
    assert found is not None
    return found


def one_car(kwh: float, hours: float, after_h: float = 2.0) -> PastSession:
    """A car that comes some hours after the start."""
    came = MONDAY + timedelta(hours=after_h)
    return PastSession("car", "c1", came, came + timedelta(hours=hours), kwh, None, None)


def test_its_powers_balance_and_its_cost_is_the_bill_of_its_grid() -> None:
    found = solved((one_car(30.0, 5.0),))
    total = (
        np.array(LOAD)
        + np.array(found.pv_kw)
        + np.array(found.charging_kw)
        + np.array(found.battery_kw["battery"])
    )
    assert np.array(found.grid_kw) == pytest.approx(total, abs=1e-5)
    written = bill(site().tariff, STARTS, found.grid_kw)
    assert found.energy_cost + found.demand_cost == pytest.approx(written.total_cost)


def test_it_costs_no_more_than_doing_nothing() -> None:
    idle = bill(site().tariff, STARTS, [load + sun for load, sun in zip(LOAD, SUN, strict=True)])
    assert solved().total_cost <= idle.total_cost


def test_a_car_gets_what_its_stay_allows() -> None:
    short = one_car(50.0, 0.5)
    assert deliverable(site(), short) == pytest.approx(11.0)
    found = solved((short,))
    assert found.charging_kwh["car"] == pytest.approx(11.0, abs=0.01)
    assert found.shortfall_cost == pytest.approx(0.0, abs=0.01)


def test_a_stay_inside_one_slot_is_worth_its_share() -> None:
    brief = one_car(50.0, 0.1, after_h=2.05)
    assert solved((brief,)).charging_kwh["car"] == pytest.approx(2.2, abs=0.01)


def test_the_limit_holds_and_a_shortfall_is_paid_for() -> None:
    found = solved((one_car(200.0, 10.0, after_h=12.0),), where=site(import_kw=22.0, batteries=[]))
    assert max(found.grid_kw) <= 22.0 + 1e-6
    assert found.shortfall_cost > 10.0


def test_energy_taken_from_the_battery_is_paid_at_the_end() -> None:
    dear = solved(where=site(prices=tariff(demand=0.0, night=0.2, day=0.2)), soc=0.9)
    assert dear.missing_energy_cost >= 0.0
    ends = dear.soc["battery"][-1]
    assert dear.missing_energy_cost == pytest.approx(max(0.0, 0.9 - ends) * 100.0 * 0.2, abs=1e-3)


def test_the_expected_peak_is_that_of_the_last_weeks() -> None:
    quiet = expected_peak_kw(site(), history(days=21), MONDAY)
    busy = expected_peak_kw(site(), history(days=21, sessions=past_sessions(ratio=4.0)), MONDAY)
    assert quiet is not None
    assert busy is not None
    assert 0.0 <= quiet < busy


def test_gaps_in_the_history_do_not_hide_the_peak() -> None:
    past = history(days=21)
    gaps = tuple(float("nan") if 100 < slot < 200 else value for slot, value in enumerate(past.load_kw))
    full, holed = (
        expected_peak_kw(site(), past, MONDAY),
        expected_peak_kw(site(), replace(past, load_kw=gaps), MONDAY),
    )
    assert full == pytest.approx(holed, abs=2.0)


def test_a_day_of_history_says_nothing_so_the_declared_load_speaks() -> None:
    assert expected_peak_kw(site(), history(days=1), MONDAY) == site().base_load.max_kw
