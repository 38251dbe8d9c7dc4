"""What a schedule promises."""

import pickle
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from optimizer.assemble import problem_of
from optimizer.matrix import Matrix
from optimizer.model import build
from optimizer.solve import schedule
from optimizer.solvers import Answer, NoAnswer, answer, cbc, highs, to_pulp
from station.plan import PlanOrigin
from tests.unit.optimizer.cases import (
    MONDAY,
    battery,
    car,
    connector,
    history,
    known,
    past_sessions,
    request,
    site,
    tariff,
)

FLAT = known([10.0] * 144, [0.0] * 144)


def test_every_controllable_asset_has_a_target_in_every_slot() -> None:
    asked = request(car("c1"), car("c3"))
    plan = schedule(asked)
    assert plan.origin is PlanOrigin.OPTIMIZER
    assert set(plan.targets_kw) == {asset.asset_id for asset in asked.site.controllables}
    assert all(len(values) == 144 for values in plan.targets_kw.values())
    assert plan.sessions == {"c1": "s-c1", "c3": "s-c3"}
    assert plan.slot_at(MONDAY) == 0
    assert plan.valid_until == MONDAY + timedelta(hours=2)


def test_the_same_input_gives_the_same_plan_and_survives_a_pickle() -> None:
    asked = request(car("c1"), car("c2"), car("c4"))
    assert schedule(asked) == schedule(pickle.loads(pickle.dumps(asked)))


def test_a_car_gets_its_known_energy_before_it_leaves() -> None:
    plan = schedule(request(car("c1", kwh=15.0, hours=4.0, known=True)))
    assert sum(plan.targets_kw["c1"][:16]) / 4.0 == pytest.approx(15.0, abs=0.01)
    assert sum(plan.targets_kw["c1"][16:]) == pytest.approx(0.0, abs=0.01)


def test_a_satisfied_car_gets_nothing() -> None:
    plan = schedule(request(replace(car("c1"), is_satisfied=True)))
    assert sum(plan.targets_kw["c1"]) == 0.0


def test_without_a_peak_price_the_battery_is_filled_in_the_cheap_hours_and_used_in_the_dear_ones() -> None:
    cheap_then_dear = replace(
        request(where=site(prices=tariff(demand=0.0))),
        known_forecast=FLAT,
        now=MONDAY.replace(hour=4),
        soc={"battery": 0.1},
    )
    powers = np.array(schedule(cheap_then_dear).targets_kw["battery"])
    assert powers[:16].max() > 0
    assert powers[:16].min() >= -1e-6
    assert powers[16:64].min() < 0


def test_a_demand_charge_makes_the_battery_hold_the_peak() -> None:
    load = [10.0] * 8 + [40.0] * 4 + [10.0] * 132
    plan = schedule(replace(request(), known_forecast=known(load, [0.0] * 144)))
    assert max(plan.grid_kw) < 20.0


def test_below_the_peak_that_is_paid_already_power_costs_no_demand() -> None:
    load = [10.0] * 8 + [40.0] * 4 + [10.0] * 132
    plan = schedule(replace(request(), known_forecast=known(load, [0.0] * 144), month_peak_kw=45.0))
    assert plan.peak_kw == pytest.approx(45.0)


def test_what_the_running_window_has_imported_counts_towards_its_mean() -> None:
    now = MONDAY + timedelta(minutes=10)
    asked = replace(
        request(car("c1", kwh=50.0, hours=2.0, now=now, known=True), now=now, where=site(batteries=[])),
        known_forecast=FLAT,
        month_peak_kw=20.0,
        window_energy_kwh=5.0,
        window_starts_at=MONDAY,
    )
    assert schedule(asked).grid_kw[0] == pytest.approx(10.0, abs=0.1)  # 5 kWh in 10 minutes are 20 kW already
    fresh = schedule(replace(asked, window_energy_kwh=0.0))
    assert fresh.grid_kw[0] > 25.0
    assert fresh.peak_kw < 21.0  # the mean of the window, not the power in its last minutes


def test_the_next_month_starts_with_no_peak_paid() -> None:
    now = MONDAY.replace(day=30, hour=20)
    problem = problem_of(replace(request(now=now), month_peak_kw=80.0))
    assert problem.paid_kw.tolist() == [80.0, 0.0]
    assert problem.month_of_step[0] == 0
    assert problem.month_of_step[-1] == 1


def test_powers_in_the_first_slot_are_nothing_or_at_least_the_minimum() -> None:
    cars = [car(f"c{i}", kwh=3.0, hours=0.5, known=True) for i in range(1, 6)]
    asked = replace(request(*cars, where=site(import_kw=18.0)), known_forecast=FLAT, soc={"battery": 0.1})
    plan = schedule(asked)
    for place in asked.site.connectors:
        first = plan.targets_kw[place.asset_id][0]
        assert first == 0.0 or first >= place.min_kw - 1e-6


def test_single_phase_cars_keep_the_feeder_of_each_phase() -> None:
    places = [connector(f"c{i}", phases=("L1",), max_kw=7.36, min_kw=1.38) for i in range(1, 5)]  # type: ignore[arg-type]
    station = site(connectors=places, feeder_a=40.0, import_kw=500.0)
    plan = schedule(request(*(car(f"c{i}", kwh=30.0, known=True) for i in range(1, 5)), where=station))
    amps = sum(np.array(plan.targets_kw[f"c{i}"]) for i in range(1, 5)) * 1000.0 / 230.0
    assert amps.max() <= 40.0 + 1e-3


def test_the_sun_is_left_free_unless_the_export_limit_asks_otherwise() -> None:
    free = schedule(replace(request(), known_forecast=known([5.0] * 144, [-30.0] * 144)))
    assert set(free.targets_kw["pv"]) == {-50.0}
    full = request(where=site(batteries=[]))
    tight = schedule(replace(full, known_forecast=known([0.0] * 144, [-50.0] * 144)))
    assert tight.targets_kw["pv"][0] == pytest.approx(-40.0, abs=0.1)


@pytest.mark.parametrize("soc", [0.0, 0.05, 0.97, 1.0])
def test_a_battery_outside_its_window_is_led_back(soc: float) -> None:
    plan = schedule(replace(request(soc=soc), known_forecast=FLAT))
    assert plan.origin is PlanOrigin.OPTIMIZER
    assert 0.1 - 1e-4 <= plan.soc["battery"][8] <= 0.9 + 1e-4


def test_a_battery_of_unknown_charge_or_without_control_rests() -> None:
    assert set(schedule(replace(request(), soc={})).targets_kw["battery"]) == {0.0}
    assert set(schedule(replace(request(), unavailable=frozenset({"battery"}))).targets_kw["battery"]) == {
        0.0
    }


def test_a_base_load_above_the_limit_still_gives_a_plan() -> None:
    plan = schedule(replace(request(), known_forecast=known([500.0] * 144, [0.0] * 144)))
    assert plan.origin is PlanOrigin.OPTIMIZER


def test_the_plan_stands_still_when_nothing_has_changed() -> None:
    asked = request(car("c1", hours=10.0), car("c2", hours=10.0), car("c3", hours=10.0))
    first = schedule(asked)
    second = schedule(replace(asked, last_plan=first))
    for name, values in first.targets_kw.items():
        assert second.targets_kw[name][0] == pytest.approx(values[0], abs=0.05)


def test_a_plan_gives_cars_no_more_than_stays_safe_when_sun_and_battery_fail() -> None:
    where = site(import_kw=30.0, feeder_a=500.0)
    where = replace(where, base_load=replace(where.base_load, growth_kw=3.0))
    asked = replace(request(car("c1", kwh=60.0, hours=4.0), car("c2", kwh=60.0, hours=4.0)), site=where)
    plan = schedule(asked)
    cars_kw = np.array(plan.targets_kw["c1"]) + np.array(plan.targets_kw["c2"])
    alone_kw = np.array(plan.load_kw) + cars_kw + np.maximum(plan.targets_kw["battery"], 0.0)
    assert cars_kw.max() > 10.0
    assert (alone_kw[:16] <= 30.0 - 3.0 + 1e-3).all()


def broken(_matrix: Matrix, _timeout_s: float, _gap: float) -> NoAnswer:
    """A solver that fails."""
    raise ValueError("no licence")


def test_when_the_first_solver_fails_the_next_one_answers() -> None:
    plan = schedule(request(car("c1")), (("Broken", broken), ("CBC", cbc)))
    assert plan.origin is PlanOrigin.OPTIMIZER
    assert plan.note == "Broken failed: ValueError; CBC"


def test_without_any_solver_the_last_plan_moves_on_and_then_rules_speak() -> None:
    asked = request(car("c1"))
    first = schedule(asked)
    later = replace(asked, now=MONDAY + timedelta(minutes=30), last_plan=first)
    moved = schedule(later, (("Broken", broken),))
    assert moved.origin is PlanOrigin.LAST_PLAN
    assert moved.targets_kw == first.targets_kw
    ruled = schedule(replace(later, now=MONDAY + timedelta(hours=3)), (("Broken", broken),))
    assert ruled.origin is PlanOrigin.RULES
    assert "rules" in ruled.note


def test_a_solution_that_breaks_the_model_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = build(problem_of(request(car("c1")))).matrix
    assert isinstance(answer(matrix, highs, 5.0, 1e-3), Answer)
    monkeypatch.setattr(Matrix, "worst_violation", lambda self, x: 0.5)
    assert isinstance(answer(matrix, highs, 5.0, 1e-3), NoAnswer)


def test_the_check_sees_broken_rows_bounds_and_values() -> None:
    matrix = build(problem_of(request(car("c1")))).matrix
    found = answer(matrix, highs, 5.0, 1e-3)
    assert isinstance(found, Answer)
    assert matrix.worst_violation(found.x) <= 1e-4
    wrong = found.x.copy()
    wrong[0] = -5.0
    assert matrix.worst_violation(wrong) >= 1.0
    wrong[0] = np.nan
    assert matrix.worst_violation(wrong) == float("inf")


def test_the_model_can_be_written_for_people_to_read(tmp_path: Path) -> None:
    problem, _ = to_pulp(build(problem_of(request(car("c1")))).matrix)
    path = tmp_path / "schedule.lp"
    problem.writeLP(str(path))
    text = path.read_text(encoding="utf-8")
    assert "car_c1_0" in text
    assert "soc_battery_3" in text


def test_history_full_of_gaps_is_enough() -> None:
    nothing = float("nan")
    empty = replace(history(), load_kw=(nothing,) * 1344, pv_kw=(nothing,) * 1344)
    plan = schedule(replace(request(car("c1")), history=empty))
    assert plan.origin is PlanOrigin.OPTIMIZER
    assert all(np.isfinite(plan.grid_kw))


def test_cars_to_come_are_part_of_the_expected_import() -> None:
    places = site(batteries=[])
    free = schedule(request(where=places)).grid_kw
    busy = schedule(replace(request(where=places), history=history(sessions=past_sessions()))).grid_kw
    assert sum(busy) > sum(free) + 4 * 5.0


def test_charging_losses_reach_the_battery_model() -> None:
    asked = replace(request(where=site(batteries=[battery(charge_efficiency=0.5)])), known_forecast=FLAT)
    plan = schedule(replace(asked, soc={"battery": 0.1}))
    charged = sum(p for p in plan.targets_kw["battery"] if p > 0) / 4.0
    gained = max(plan.soc["battery"]) * 100.0 - 10.0
    assert gained <= 0.5 * charged + 0.1
