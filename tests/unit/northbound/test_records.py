"""One cycle as flat numbers: PV is positive, and NaN is what nobody measured."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isnan

import pytest

from configs.load import CONFIGS, load_site
from northbound.lines import influx_feed
from northbound.records import alarms_between, commands_of, record_of
from station.clock import Instant
from station.decision import Balance, ControlState, Decision, Grant, Reason, Setpoint, Withheld
from station.limits import ZERO, Interval
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    NoReading,
    PvReading,
    Snapshot,
)
from station.plan import Plan, PlanOrigin
from station.request import Request, RequestKind
from tests.line_protocol import points_of

NOW = Instant(datetime(2019, 9, 2, 18, tzinfo=UTC), 1000.0)
SITE = load_site(CONFIGS / "stations" / "demo.yaml").site


def snapshot() -> Snapshot:
    return Snapshot(
        NOW,
        {
            "pv": PvReading(NOW.mono_s, -42.0),
            "battery": BatteryReading(NOW.mono_s, -10.0, 0.5, 100.0, 90.0),
            "ac1": ConnectorReading(NOW.mono_s, 3.0, ConnectorState.CHARGING, "car", 1.5),
            "ac2": ConnectorReading(NOW.mono_s - 60.0, 3.0, ConnectorState.CHARGING, "old"),
            "ac3": NoReading("silent"),
        },
    )


def decision(**setpoints: Setpoint | Withheld) -> Decision:
    balance = Balance(
        grid_kw=None,
        base_kw=60.0,
        base_is_worst_case=True,
        pv_kw=-42.0,
        battery_kw=-10.0,
        charging_kw=3.0,
        lag_s=1.0,
        allowed_kw=116.0,
    )
    given: dict[str, Setpoint | Withheld] = {
        asset.asset_id: Setpoint(0.0, 30.0, False) for asset in SITE.controllables
    }
    reasons = (
        Reason("window", "", "peak 50 kW"),
        Reason("cap", "ac1", "feeder"),
        Reason("cap", "ac2", "other"),
    )
    return Decision({**given, **setpoints}, ControlState(0.0), balance, reasons, None)


def test_pv_is_shown_positive_measured_planned_and_commanded() -> None:
    plan = Plan(
        made_at=NOW.at,
        starts_at=NOW.at,
        slot_s=900.0,
        valid_until=NOW.later(3600.0).at,
        targets_kw={"pv": (-80.0,), "ac1": (5.0,)},
        sessions={},
        peak_kw=50.0,
        origin=PlanOrigin.OPTIMIZER,
        grid_kw=(0.0,),
    )
    record = record_of(SITE, snapshot(), decision(pv=Setpoint(-70.0, 30.0, False)), plan)
    assert (record["pv_kw"], record["pv.power_kw"]) == (42.0, 42.0)
    assert (record["pv.planned_kw"], record["pv.setpoint_kw"]) == (80.0, 70.0)
    assert (record["battery.power_kw"], record["battery_kw"], record["ac1.planned_kw"]) == (-10.0, -10.0, 5.0)


def test_what_nobody_measured_is_nan_and_never_zero() -> None:
    record = record_of(SITE, snapshot(), decision(ac1=Withheld("local mode")))
    missing = (
        "grid_kw",
        "base_load_kw",
        "ac2.power_kw",
        "ac3.power_kw",
        "ac4.power_kw",
        "ac1.setpoint_kw",
        "pv.planned_kw",
    )
    assert all(isnan(record[name]) for name in missing)
    silent = replace(snapshot(), readings={})
    assert isnan(record_of(SITE, silent, decision())["pv_kw"])


def test_the_names_never_change() -> None:
    full, empty = snapshot(), replace(snapshot(), readings={})
    assert list(record_of(SITE, full, decision())) == list(
        record_of(SITE, empty, decision(ac1=Withheld("local mode")))
    )


def test_only_new_commands_are_entered_with_their_own_reasons() -> None:
    before = decision(ac1=Setpoint(3.0, 30.0, False), pv=Setpoint(-100.0, 30.0, False))
    after = decision(
        ac1=Setpoint(3.05, 30.0, False), ac2=Withheld("local mode"), pv=Setpoint(-70.0, 30.0, makes_room=True)
    )
    rows = {row.asset_id: row for row in commands_of(SITE, before, after, NOW.at)}
    assert rows.keys() == {"ac2", "pv"}
    assert (rows["pv"].power_kw, rows["pv"].makes_room) == (70.0, True)
    assert rows["ac2"].reasons == ("withheld: local mode", "window: peak 50 kW", "cap: other")
    assert rows["ac2"].power_kw is None


def test_the_first_cycle_enters_every_command() -> None:
    assert len(commands_of(SITE, None, decision(), NOW.at)) == len(SITE.controllables)


def test_alarms_are_entered_when_they_change() -> None:
    assert alarms_between({"a", "b"}, {"b", "c"}) == (("c",), ("a",))


def test_no_power_is_a_negative_zero() -> None:
    record = record_of(SITE, snapshot(), decision())
    assert str(record["pv.setpoint_kw"]) == "0.0"
    assert record["pv.power_kw"] == pytest.approx(42.0)
    assert isnan(record["window_mean_kw"])


def test_what_a_cycle_costs_follows_the_tariff_and_an_unknown_price_is_never_zero() -> None:
    price = SITE.tariff.price_per_kwh(NOW.at)
    given = decision()
    importing = replace(given, balance=replace(given.balance, grid_kw=20.0))
    record = record_of(SITE, snapshot(), importing)
    assert (record["price_per_kwh"], record["cost_per_h"]) == (price, 20.0 * price)
    assert (record["pv_value_per_h"], record["battery_value_per_h"]) == (42.0 * price, 10.0 * price)
    tariff = replace(SITE.tariff, export_price_per_kwh=0.02)
    exporting = replace(given, balance=replace(given.balance, grid_kw=-20.0))
    record = record_of(replace(SITE, tariff=tariff), snapshot(), exporting)
    assert record["cost_per_h"] == pytest.approx(-0.4)
    unpriced = record_of(replace(SITE, tariff=replace(tariff, seasons=())), snapshot(), importing)
    assert all(isnan(unpriced[name]) for name in ("price_per_kwh", "cost_per_h", "pv_value_per_h"))
    assert isnan(record_of(SITE, snapshot(), given)["cost_per_h"])


def test_carbon_is_recorded_only_where_the_site_declares_it_and_only_for_import() -> None:
    green = replace(SITE, grid_kg_co2_per_kwh=0.25)
    given = decision()
    kg_per_h = [
        record_of(green, snapshot(), replace(given, balance=replace(given.balance, grid_kw=grid_kw)))[
            "kg_co2_per_h"
        ]
        for grid_kw in (20.0, -20.0)
    ]
    assert kg_per_h == [5.0, 0.0]
    assert isnan(record_of(green, snapshot(), given)["kg_co2_per_h"])
    assert "kg_co2_per_h" not in record_of(SITE, snapshot(), given)


def test_the_limit_in_force_is_the_sites_or_a_lower_one_that_the_operator_asked_for() -> None:
    def asked(kw: float, seconds: float) -> Request:
        expires_at = NOW.at + timedelta(seconds=seconds)
        return Request("r", RequestKind.OPERATOR_IMPORT_LIMIT, "grid", expires_at, Interval(0.0, kw))

    def limit_kw(*requests: Request) -> float:
        return record_of(SITE, replace(snapshot(), requests=requests), decision())["limit_kw"]

    assert limit_kw() == 120.0
    assert limit_kw(asked(50.0, 60.0), asked(10.0, 0.0)) == 50.0
    assert limit_kw(asked(500.0, 60.0)) == 120.0


def test_leases_age_quality_and_failed_reads_are_recorded() -> None:
    grants = {"ac1": (Grant(900.0, 990.0, ZERO), Grant(999.0, 1020.0, ZERO), Grant(950.0, 1100.0, ZERO))}
    given = decision()
    state = replace(given.state, grants=grants, alarms=frozenset({"a", "b"}))
    heard = replace(snapshot(), errors={"ac2": 7})
    record = record_of(SITE, heard, replace(given, state=state))
    assert record["ac1.lease_left_s"] == 20.0
    assert isnan(record["ac2.lease_left_s"])
    assert [record[f"{name}.quality"] for name in ("ac1", "ac2", "ac3", "grid")] == [1.0, 0.0, 0.0, 0.0]
    assert (record["ac1.age_s"], record["ac2.age_s"], record["ac2.errors"]) == (0.0, 60.0, 7.0)
    assert isnan(record["ac3.age_s"])
    assert isnan(record["ac1.errors"])
    assert (record["alarms"], record["cars"]) == (2.0, 0.0)


def test_every_signal_of_a_record_reaches_influxdb() -> None:
    site = replace(SITE, grid_kg_co2_per_kwh=0.25)
    names = [*record_of(site, snapshot(), decision()), "loop.lateness_ms", "loop.missed", "plan.solve_ms"]
    message = influx_feed(site).of_record(NOW.at, {name: float(i) for i, name in enumerate(names)})
    assert message is not None
    values = [value for point in points_of(message) for value in point.fields.values()]
    assert sorted(values) == [float(i) for i in range(len(names))]
