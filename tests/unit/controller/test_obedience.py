"""A device that does not do what it is told is found out."""

from dataclasses import replace

from controller.judge import judge
from controller.leases import grant_interval
from controller.obedience import astray_since_s, disobedient, strays
from station.decision import ControlState
from station.limits import Interval
from station.measurement import Snapshot
from station.topology import Control
from tests.factories import a_site, an_instant, readings

SITE = a_site(ac=1, dc=1)
CAR, BATTERY, PV = SITE.by_id["dc1"], SITE.by_id["battery"], SITE.by_id["pv"]
NOW = an_instant()


def test_a_device_within_its_grant_its_fallback_or_nothing_is_obedient() -> None:
    assert not strays(CAR, Interval(0.0, 20.0), 20.0)
    assert not strays(CAR, None, 5.0)
    assert not strays(BATTERY, Interval(-50.0, -50.0), 0.0), "a battery may give less: its BMS decides"
    assert not strays(PV, Interval(-20.0, 0.0), -15.0)


def test_a_device_may_miss_its_setpoint_by_a_tenth_of_its_rating_and_half_a_kilowatt() -> None:
    assert not strays(CAR, Interval(0.0, 20.0), 26.5)
    assert strays(CAR, Interval(0.0, 20.0), 26.51)


def test_a_battery_that_runs_the_wrong_way_strays() -> None:
    assert strays(BATTERY, grant_interval(BATTERY, 40.0), -20.0)
    assert strays(BATTERY, None, 20.0)


def since_s(power_kw: float, state: ControlState, **changes: object) -> dict[str, float]:
    shown = readings(SITE, NOW, cars_kw={"dc1": power_kw})
    shown["dc1"] = replace(shown["dc1"], **changes)  # type: ignore[arg-type]
    live = dict.fromkeys(SITE.by_id, None) | {"dc1": Interval(0.0, 10.0)}
    return astray_since_s(SITE, state, judge(SITE, Snapshot(NOW, shown), NOW), live, NOW)


def test_it_is_remembered_since_when_a_device_strays() -> None:
    assert since_s(50.0, ControlState(0.0)) == {"dc1": NOW.mono_s}
    assert since_s(50.0, ControlState(0.0, astray_s={"dc1": 990.0})) == {"dc1": 990.0}
    assert since_s(9.0, ControlState(0.0, astray_s={"dc1": 990.0})) == {}


def test_nobody_judges_a_device_in_local_mode_or_one_that_cannot_be_read() -> None:
    assert since_s(50.0, ControlState(0.0), is_local=True) == {}
    assert since_s(50.0, ControlState(0.0), measured_s=0.0) == {}


def test_a_device_has_the_time_of_the_slowest_car_to_follow() -> None:
    assert disobedient(SITE, {"dc1": NOW.mono_s - 11.9}, NOW) == frozenset()
    assert disobedient(SITE, {"dc1": NOW.mono_s - 12.0}, NOW) == frozenset({"dc1"})
    coarse = a_site(control=Control(cycle_s=60.0))
    assert disobedient(coarse, {"dc1": NOW.mono_s - 60.0}, NOW) == frozenset()
    assert disobedient(coarse, {"dc1": NOW.mono_s - 120.0}, NOW) == frozenset({"dc1"})
