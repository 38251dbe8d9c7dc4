"""Which readings are believed."""

from dataclasses import replace
from math import inf, nan

import pytest

from controller.judge import Seen, age_of, judge, stale_bound_s
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    Measurement,
    MeterReading,
    NoReading,
    Snapshot,
)
from station.topology import Control, Site
from tests.factories import a_site, an_instant, readings

NOW = an_instant()
SITE = a_site()


def believed(site: Site = SITE, **changed: Measurement) -> Seen:
    return judge(site, Snapshot(NOW, readings(site, NOW) | changed), NOW)


def a_battery_reading(**changes: float) -> BatteryReading:
    return replace(BatteryReading(NOW.mono_s, 0.0, 0.5, 100.0, 100.0, 0.0), **changes)


def a_connector_reading(**changes: object) -> ConnectorReading:
    fresh = readings(SITE, NOW, cars_kw={"ac1": 3.0})["ac1"]
    assert isinstance(fresh, ConnectorReading)
    return replace(fresh, **changes)  # type: ignore[arg-type]


def test_fresh_readings_of_every_kind_are_believed() -> None:
    seen = believed()
    assert not seen.lost
    assert isinstance(seen.meter, MeterReading)
    assert set(seen.batteries) == {"battery"}
    assert set(seen.pv_plants) == {"pv"}
    assert set(seen.connectors) == {"ac1", "ac2", "ac3", "ac4", "dc1"}


def test_a_reading_is_believed_up_to_the_stale_bound_and_not_beyond() -> None:
    old = NOW.mono_s - stale_bound_s(SITE)
    assert "battery" in believed(battery=a_battery_reading(measured_s=old)).batteries
    assert "battery" in believed(battery=a_battery_reading(measured_s=old - 0.01)).lost


def test_the_stale_bound_is_at_least_three_cycles() -> None:
    assert stale_bound_s(a_site(control=Control(cycle_s=60.0, stale_s=3.0))) == 180.0
    assert stale_bound_s(a_site(control=Control(cycle_s=0.5, stale_s=3.0))) == 3.0


@pytest.mark.parametrize("power_kw", [nan, inf, -inf, 1e200, -400.0 * 3])
def test_a_meter_that_shows_what_the_site_cannot_do_is_lost(power_kw: float) -> None:
    seen = believed(grid=MeterReading(NOW.mono_s, power_kw))
    assert isinstance(seen.meter, NoReading)
    assert "grid" in seen.lost


def test_a_meter_that_shows_more_than_is_declared_but_possible_is_believed() -> None:
    assert isinstance(believed(grid=MeterReading(NOW.mono_s, 200.0)).meter, MeterReading)


def test_what_is_not_a_meter_is_no_meter() -> None:
    assert believed(grid=a_battery_reading()).lost["grid"].cause == "not a meter"


def test_an_asset_that_answers_as_a_meter_is_lost() -> None:
    assert believed(pv=MeterReading(NOW.mono_s, 0.0)).lost["pv"].cause == "answers as a meter"


def test_a_missing_asset_is_lost() -> None:
    only_meter = {"grid": MeterReading(NOW.mono_s, 0.0)}
    seen = judge(SITE, Snapshot(NOW, only_meter), NOW)
    assert set(seen.lost) == set(SITE.by_id)
    assert seen.power_kw("battery") is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"power_kw": nan},
        {"power_kw": 122.0},
        {"power_kw": -122.0},
        {"soc": nan},
        {"soc": -0.01},
        {"soc": 1.01},
        {"max_charge_kw": -1.0},
        {"max_charge_kw": nan},
        {"max_discharge_kw": -1.0},
        {"max_discharge_kw": nan},
        {"measured_s": nan},
    ],
)
def test_a_battery_that_talks_nonsense_is_lost(nonsense: dict[str, float]) -> None:
    assert "battery" in believed(battery=a_battery_reading(**nonsense)).lost


@pytest.mark.parametrize(
    "edge",
    [{"soc": 0.0}, {"soc": 1.0}, {"max_charge_kw": 0.0}, {"max_discharge_kw": 0.0}, {"power_kw": 120.0}],
)
def test_a_battery_at_an_edge_is_believed(edge: dict[str, float]) -> None:
    assert "battery" in believed(battery=a_battery_reading(**edge)).batteries


@pytest.mark.parametrize(
    "name", ["setpoint_kw", "requested_kwh", "known_kwh", "soc", "capacity_kwh", "max_kw"]
)
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_is_not_a_number_beside_the_power_counts_as_unknown(name: str, value: float) -> None:
    seen = believed(ac1=a_connector_reading(**{name: value}))
    assert getattr(seen.connectors["ac1"], name) is None
    assert seen.connectors["ac1"].power_kw == 3.0


def test_what_is_a_number_is_kept() -> None:
    reading = a_connector_reading(setpoint_kw=5.0, soc=0.3)
    assert believed(ac1=reading).connectors["ac1"] is reading


def test_the_age_is_what_has_passed_since_the_value_was_alive() -> None:
    assert age_of(a_battery_reading(measured_s=NOW.mono_s - 2.0), NOW) == 2.0
