"""When a new plan is due."""

from dataclasses import replace
from datetime import timedelta

import pytest

from controller.replan import replan_cause
from station.decision import ControlState
from station.plan import Plan
from station.session import Session
from tests.factories import a_plan, a_site, an_instant

SITE = a_site(ac=2, dc=0)
NOW = an_instant(5000.0)
CAR = Session("car", "ac1", NOW.at - timedelta(seconds=5), 0.0, None, None, None)


def cause(
    since_s: float,
    *,
    plan: Plan | None = None,
    old: dict[str, Session] | None = None,
    cars: dict[str, Session] | None = None,
) -> str | None:
    state = ControlState(0.0, planned_s=NOW.mono_s - since_s, sessions=old or {})
    return replan_cause(SITE, state, cars or {}, plan, NOW)


def a_running_plan(**sessions: str) -> Plan:
    return a_plan(NOW.later(-60.0), {}, sessions)


@pytest.mark.parametrize(("since_s", "expected"), [(299.9, None), (300.0, "interval")])
def test_a_plan_is_made_every_interval(since_s: float, expected: str | None) -> None:
    assert cause(since_s, plan=a_running_plan()) == expected


@pytest.mark.parametrize(("since_s", "expected"), [(19.9, None), (20.0, "no plan")])
def test_where_there_is_no_plan_another_is_asked_for_once_the_last_request_is_given_up(
    since_s: float, expected: str | None
) -> None:
    assert cause(since_s) == expected
    expired = replace(a_running_plan(), valid_until=NOW.at)
    assert cause(since_s, plan=expired) == expected


def test_the_first_plan_is_asked_for_at_once() -> None:
    assert replan_cause(SITE, ControlState(0.0), {}, None, NOW) == "interval"


def test_a_car_that_came_after_the_plan_was_made_asks_for_another() -> None:
    assert cause(10.0, plan=a_running_plan(), cars={"ac1": CAR}) == "arrival at ac1"
    assert cause(10.0, plan=a_running_plan(ac1="another"), cars={"ac1": CAR}) == "arrival at ac1"


def test_events_that_come_close_together_share_one_plan() -> None:
    assert cause(9.9, plan=a_running_plan(), cars={"ac1": CAR}) is None


def test_a_car_that_is_planned_for_or_was_left_out_on_purpose_asks_for_none() -> None:
    assert cause(10.0, plan=a_running_plan(ac1="car"), cars={"ac1": CAR}) is None
    older = replace(CAR, plugged_in_at=NOW.at - timedelta(seconds=61))
    assert cause(10.0, plan=a_running_plan(), cars={"ac1": older}) is None


def test_a_car_that_left_asks_for_another_plan_once() -> None:
    assert cause(10.0, plan=a_running_plan(ac1="car"), old={"ac1": CAR}) == "departure from ac1"
    assert cause(10.0, plan=a_running_plan(ac1="car")) is None, "it had left before"
    assert cause(10.0, plan=a_running_plan(), old={"ac1": CAR}) is None, "nobody planned for it"
