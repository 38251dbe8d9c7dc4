"""What past sessions teach about present ones."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from optimizer.needs import Past, arrival_groups, expected_sessions, need_blocks, stay_probability
from optimizer.problem import make_grid
from tests.unit.optimizer.cases import MONDAY, car, past_sessions, site

UTC_ZONE = ZoneInfo("UTC")
NOTHING = Past((), UTC_ZONE)
HALVES = Past(past_sessions(ratio=0.5), UTC_ZONE)


def test_a_revealed_need_is_exact() -> None:
    assert need_blocks(car(kwh=12.0, known=True, taken=2.0), HALVES) == ((10.0,), (1.0,))
    assert need_blocks(car(kwh=12.0, known=True, taken=12.0), HALVES) == ((), ())


def test_without_a_past_the_request_is_believed() -> None:
    kwh, p = need_blocks(car(kwh=12.0, taken=2.0), NOTHING)
    assert (sum(kwh), p) == (pytest.approx(10.0), (1.0,))


def test_drivers_who_take_half_of_what_they_ask_are_given_half() -> None:
    kwh, p = need_blocks(car(kwh=30.0), HALVES)
    assert sum(kwh) == pytest.approx(15.0)
    assert p == (1.0,)


def test_the_chance_of_a_need_falls_block_by_block() -> None:
    mixed = Past([*past_sessions(5, 0.2), *past_sessions(5, 0.5), *past_sessions(5, 0.9)], UTC_ZONE)
    kwh, p = need_blocks(car(kwh=20.0), mixed)
    assert len(kwh) > 1
    assert list(p) == sorted(p, reverse=True)
    expected = sum(block * chance for block, chance in zip(kwh, p, strict=True))
    assert expected == pytest.approx(20.0 * (0.2 + 0.5 + 0.9) / 3.0, rel=0.05)


def test_a_car_that_took_more_than_any_before_and_still_draws_gets_a_little_more() -> None:
    kwh, _ = need_blocks(car(kwh=20.0, taken=18.0), HALVES)
    assert 0.0 < sum(kwh) <= 2.0


def test_a_direct_current_car_is_never_planned_beyond_its_full_battery() -> None:
    kwh, _ = need_blocks(replace(car(kwh=60.0), soc=0.9, capacity_kwh=50.0), NOTHING)
    assert sum(kwh) <= 5.0 + 1e-9


def test_a_car_whose_driver_said_nothing_needs_what_others_took() -> None:
    kwh, _ = need_blocks(replace(car(), requested_kwh=None), HALVES)
    assert sum(kwh) == pytest.approx(10.0)


def test_punctual_drivers_are_expected_until_they_said() -> None:
    grid = make_grid(site(), MONDAY)
    stay = stay_probability(car(hours=8.0), HALVES, grid, UTC_ZONE)
    assert stay[0] == 1.0
    assert stay[grid.step_at(MONDAY + timedelta(hours=7))] == 1.0
    assert stay[grid.step_at(MONDAY + timedelta(hours=9))] == 0.0


def test_a_stay_unlike_any_other_is_judged_by_those_that_were() -> None:
    grid = make_grid(site(), MONDAY)
    stay = stay_probability(car(hours=30.0), HALVES, grid, UTC_ZONE)
    assert stay[grid.step_at(MONDAY + timedelta(hours=12))] == 0.0


def test_drivers_who_leave_early_are_expected_to_do_it_again() -> None:
    grid = make_grid(site(), MONDAY)
    early = Past(past_sessions(late_h=-2.0), UTC_ZONE)
    stay = stay_probability(car(hours=8.0), early, grid, UTC_ZONE)
    assert stay[grid.step_at(MONDAY + timedelta(hours=7))] == 0.0


def test_a_car_that_outstays_everything_known_may_leave_any_time() -> None:
    grid = make_grid(site(), MONDAY + timedelta(hours=10))
    stay = stay_probability(car(hours=4.0), HALVES, grid, UTC_ZONE)
    assert 0.5 < stay[0] < 1.0
    assert stay[8] < stay[4] < stay[0]


def test_the_cars_of_the_last_weeks_are_expected_again_on_average() -> None:
    coming = expected_sessions(site(), HALVES, MONDAY, 36.0)
    assert {session.arrives_at for session in coming} == {
        MONDAY.replace(hour=8),
        MONDAY.replace(hour=8) + timedelta(days=1),
    }
    assert sum(session.energy_kwh for session in coming) == pytest.approx(20.0)


def test_arrivals_are_gathered_into_few_groups_and_lose_no_energy() -> None:
    grid = make_grid(site(), MONDAY)
    groups = arrival_groups(site(), expected_sessions(site(), HALVES, MONDAY, 24.0), grid)
    assert len(groups) == 1
    assert sum(group.energy_kwh for group in groups) == pytest.approx(10.0)
    assert 0 <= groups[0].first <= groups[0].last < grid.steps
