"""What is wanted: the plan's powers, or plain rules."""

from dataclasses import replace
from datetime import timedelta
from math import inf, nan

import pytest

from controller.follow import Wanted, expected_draw_kw, follow, hold, laxity_s
from controller.judge import judge
from station.clock import Instant
from station.measurement import NoReading, Snapshot
from station.plan import Plan, PlanOrigin
from station.session import Session
from tests.factories import a_plan, a_site, an_instant, readings

SITE = a_site(ac=2, dc=1)
NOW = an_instant()
POWERS_KW = {"battery": -20.0, "pv": -30.0, "ac1": 5.0, "ac2": 0.0, "dc1": 40.0}


def a_session(connector_id: str = "ac1", session_id: str = "car", **changes: object) -> Session:
    session = Session(session_id, connector_id, NOW.at - timedelta(seconds=60), 0.0, None, None, None)
    return replace(session, **changes)  # type: ignore[arg-type]


def planned(plan: Plan | None, *sessions: Session, month_peak_kw: float = 10.0, now: Instant = NOW) -> Wanted:
    return follow(SITE, plan, {session.connector_id: session for session in sessions}, month_peak_kw, now)


def test_the_plan_is_followed_slot_by_slot() -> None:
    plan = replace(
        a_plan(NOW, POWERS_KW, {"ac1": "car"}), targets_kw={"battery": (-20.0, 30.0), "ac1": (5.0, 7.0)}
    )
    assert planned(plan, a_session()).powers_kw["battery"] == -20.0
    later = planned(plan, a_session(), now=NOW.later(900.0))
    assert (later.powers_kw["battery"], later.powers_kw["ac1"]) == (30.0, 7.0)
    assert not later.follows_rules
    assert later.planned_grid_kw == 20.0


def test_what_the_plan_does_not_say_is_rest_for_a_battery_and_freedom_for_pv() -> None:
    wanted = planned(replace(a_plan(NOW, {}, {"ac1": "car"})), a_session())
    assert wanted.powers_kw == {"battery": 0.0, "pv": -50.0, "ac1": 0.0, "ac2": 0.0, "dc1": 0.0}


@pytest.mark.parametrize("wild_kw", [nan, inf, -inf])
def test_a_target_that_is_not_a_number_is_none(wild_kw: float) -> None:
    plan = a_plan(NOW, dict.fromkeys(POWERS_KW, wild_kw), {"ac1": "car"})
    wanted = planned(replace(plan, grid_kw=(wild_kw,) * 8), a_session())
    assert wanted.powers_kw == {"battery": 0.0, "pv": -50.0, "ac1": 0.0, "ac2": 0.0, "dc1": 0.0}
    assert wanted.planned_grid_kw is None


@pytest.mark.parametrize(
    "late", [NOW.later(7200.0), NOW.later(-1.0), NOW.later(1e6)], ids=["expired", "before", "long after"]
)
def test_outside_its_time_a_plan_gives_way_to_rules(late: Instant) -> None:
    wanted = planned(a_plan(NOW, POWERS_KW, {"ac1": "car"}), a_session(), now=late)
    assert wanted.follows_rules
    assert wanted.powers_kw == {"battery": 0.0, "pv": -50.0, "ac1": 7.36, "ac2": 0.0, "dc1": 0.0}
    assert [reason.rule for reason in wanted.reasons] == ["no plan"]


def test_the_peak_that_is_held_is_never_below_what_the_month_has_seen() -> None:
    assert planned(a_plan(NOW, POWERS_KW, {}, peak_kw=50.0), month_peak_kw=60.0).peak_kw == 60.0
    assert planned(a_plan(NOW, POWERS_KW, {}, peak_kw=50.0), month_peak_kw=20.0).peak_kw == 50.0
    assert planned(a_plan(NOW, POWERS_KW, {}, peak_kw=nan), month_peak_kw=20.0).peak_kw == 20.0
    assert planned(a_plan(NOW, POWERS_KW, {}, peak_kw=inf), month_peak_kw=20.0).peak_kw == 20.0


def test_a_baseline_may_hold_no_peak_at_all() -> None:
    baseline = replace(a_plan(NOW, POWERS_KW, {}, peak_kw=inf), origin=PlanOrigin.BASELINE)
    assert planned(baseline).peak_kw == inf
    assert planned(replace(baseline, peak_kw=nan)).peak_kw == 10.0


def test_a_car_that_the_plan_does_not_know_gets_its_minimum() -> None:
    wanted = planned(a_plan(NOW, POWERS_KW, {"ac1": "another car"}), a_session())
    assert wanted.powers_kw["ac1"] == 1.38
    assert [(reason.rule, reason.asset_id) for reason in wanted.reasons] == [("new car", "ac1")]


def test_a_car_that_no_plan_has_known_for_two_intervals_charges_at_once() -> None:
    plan = a_plan(NOW, POWERS_KW, {"ac1": "another car"})
    waiting = a_session(plugged_in_at=NOW.at - timedelta(seconds=601))
    assert planned(plan, waiting).powers_kw["ac1"] == 7.36
    just_not = a_session(plugged_in_at=NOW.at - timedelta(seconds=600))
    assert planned(plan, just_not).powers_kw["ac1"] == 1.38
    known = replace(waiting, session_id="another car")
    assert planned(plan, known).powers_kw["ac1"] == 5.0


@pytest.mark.parametrize("target_kw", [0.0, 5.0])
def test_a_car_that_wants_nothing_is_offered_the_minimum_so_that_it_can_change_its_mind(
    target_kw: float,
) -> None:
    plan = a_plan(NOW, POWERS_KW | {"ac1": target_kw}, {"ac1": "car"})
    assert planned(plan, a_session(is_satisfied=True)).powers_kw["ac1"] == 1.38
    assert planned(None, a_session(is_satisfied=True)).powers_kw["ac1"] == 1.38


def test_at_the_start_everything_goes_on_as_it_was_found() -> None:
    wanted = hold(SITE, POWERS_KW)
    assert wanted.powers_kw == POWERS_KW
    assert wanted.peak_kw == inf
    assert not wanted.follows_rules


def test_the_car_that_must_charge_all_the_time_is_most_urgent() -> None:
    car = SITE.connectors[0]
    leaves_at = NOW.at + timedelta(hours=2)
    relaxed = a_session(estimated_unplug_at=leaves_at, requested_kwh=7.36)
    assert laxity_s(relaxed, car, NOW) == pytest.approx(3600.0)
    assert laxity_s(replace(relaxed, delivered_kwh=3.68), car, NOW) == pytest.approx(5400.0)
    assert laxity_s(replace(relaxed, known_kwh=14.72), car, NOW) == pytest.approx(0.0), (
        "what is known beats what was said"
    )
    assert laxity_s(None, car, NOW) == inf


def test_a_driver_who_said_nothing_stays_four_hours_for_ten_kwh() -> None:
    car = SITE.connectors[0]
    assert laxity_s(a_session(), car, NOW) == pytest.approx(4 * 3600.0 - 10.0 / 7.36 * 3600.0)
    over = a_session(delivered_kwh=50.0)
    assert laxity_s(over, car, NOW) == pytest.approx(4 * 3600.0 - 0.5 / 7.36 * 3600.0)


def test_a_car_is_expected_to_take_what_is_added_and_no_more_than_it_draws_of_less() -> None:
    car = SITE.connectors[0]
    seen = judge(SITE, Snapshot(NOW, readings(SITE, NOW, cars_kw={"ac1": 3.0})), NOW)
    assert expected_draw_kw(car, 6.0, 4.0, seen) == 5.0
    assert expected_draw_kw(car, 3.5, 4.0, seen) == 3.0
    assert expected_draw_kw(car, 2.0, 4.0, seen) == 2.0
    unseen = judge(SITE, Snapshot(NOW, {"ac1": NoReading("silent")}), NOW)
    assert expected_draw_kw(car, 6.0, 4.0, unseen) == 1.38
