"""Small sites, snapshots and plans with good defaults; a test states only what matters to it."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta

from station.assets import BaseLoad, Battery, Connector, ConnectorKind, GridMeter, PvPlant
from station.clock import Instant
from station.limits import CurrentLimit, Direction, LimitClass, PowerLimit
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    Measurement,
    MeterReading,
    PvReading,
    Snapshot,
    WriteResult,
)
from station.plan import Plan, PlanOrigin
from station.quantities import ALL_PHASES, Phase
from station.tariff import DemandCharge, Period, Season, Tariff
from station.topology import Control, LimitNode, Planning, Site

START = datetime(2019, 9, 16, 15, 0, tzinfo=UTC)


def an_instant(mono_s: float = 1000.0) -> Instant:
    """Return an instant whose wall clock runs along with the monotonic one."""
    return Instant(START + timedelta(seconds=mono_s - 1000.0), mono_s)


def a_tariff(price: float = 0.1, demand_price: float = 15.0) -> Tariff:
    """Return a flat tariff with a demand charge on 15-minute blocks."""
    periods = (Period(time(0), time(0), price),)
    season = Season("all year", (1, 1), (12, 31), periods, periods)
    return Tariff("flat", "USD", "UTC", (season,), 0.0, DemandCharge(demand_price, 900.0), "test")


def a_battery(**changes: float) -> Battery:
    """Return a 200 kWh / 100 kW battery."""
    values = {
        "capacity_kwh": 200.0,
        "max_charge_kw": 100.0,
        "max_discharge_kw": 100.0,
        "charge_efficiency": 0.95,
        "discharge_efficiency": 0.95,
        "soc_min": 0.1,
        "soc_max": 0.9,
        "wear_price_per_kwh": 0.03,
        "ramp_kw_per_s": 50.0,
        "fallback_kw": 0.0,
        "lease_s": 10.0,
    }
    return Battery("battery", **(values | changes))


def a_connector(asset_id: str = "ac1", **changes: object) -> Connector:
    """Return a single-phase 32 A AC connector; ``changes`` replace fields."""
    values: dict[str, object] = {
        "kind": ConnectorKind.AC,
        "phases": (Phase.L1,),
        "voltage_v": 230.0,
        "max_kw": 7.36,
        "min_kw": 1.38,
        "efficiency": 1.0,
        "ramp_kw_per_s": 2.0,
        "fallback_kw": 1.38,
        "lease_s": 30.0,
    }
    return Connector(asset_id, **(values | changes))  # type: ignore[arg-type]


def a_site(
    *,
    ac: int = 4,
    dc: int = 1,
    batteries: tuple[Battery, ...] | None = None,
    limit_kw: float = 60.0,
    short_time_kw: float | None = None,
    short_time_s: float = 60.0,
    feeder_a: float | None = 60.0,
    base_max_kw: float = 30.0,
    growth_kw: float = 2.0,
    lag_s: float = 0.0,
    control: Control | None = None,
) -> Site:
    """Return a station with a battery, a PV plant, AC connectors on rotating phases and DC connectors."""
    phases = (Phase.L1, Phase.L2, Phase.L3)
    acs = tuple(a_connector(f"ac{i + 1}", phases=(phases[i % 3],)) for i in range(ac))
    dcs = tuple(
        a_connector(
            f"dc{i + 1}",
            kind=ConnectorKind.DC,
            phases=ALL_PHASES,
            max_kw=60.0,
            min_kw=5.0,
            fallback_kw=5.0,
            lease_s=10.0,
            ramp_kw_per_s=20.0,
        )
        for i in range(dc)
    )
    battery = (a_battery(),) if batteries is None else batteries
    pv = (PvPlant("pv", 50.0, -50.0, 10.0),)
    short_kw = 1.3 * limit_kw if short_time_kw is None else short_time_kw
    limits = tuple(
        PowerLimit(LimitClass.HARD, direction, limit_kw, short_kw, short_time_s, "breaker")
        for direction in Direction
    )
    others = ("building", *(asset.asset_id for asset in (*battery, *pv, *dcs)))
    feeder_limits = () if feeder_a is None else (CurrentLimit(feeder_a, "feeder fuse"),)
    nodes = (
        LimitNode("pcc", None, others, limits),
        LimitNode("ac_feeder", "pcc", tuple(c.asset_id for c in acs), feeder_limits),
    )
    return Site(
        "test",
        "UTC",
        34.2,
        -118.2,
        GridMeter("grid", lag_s),
        BaseLoad("building", base_max_kw, 0.0, growth_kw),
        battery,
        pv,
        (*acs, *dcs),
        nodes,
        a_tariff(),
        Planning(),
        control or Control(),
    )


def readings(
    site: Site,
    now: Instant,
    *,
    base_kw: float = 10.0,
    pv_kw: float = 0.0,
    battery_kw: float = 0.0,
    soc: float = 0.5,
    cars_kw: Mapping[str, float] | None = None,
    setpoints_kw: Mapping[str, float] | None = None,
) -> dict[str, Measurement]:
    """Return fresh readings of all devices whose powers add up; ``cars_kw`` names the occupied connectors."""
    cars_kw, held = cars_kw or {}, setpoints_kw or {}
    result: dict[str, Measurement] = {}
    for battery in site.batteries:
        result[battery.asset_id] = BatteryReading(
            now.mono_s,
            battery_kw,
            soc,
            battery.max_charge_kw,
            battery.max_discharge_kw,
            held.get(battery.asset_id, 0.0),
        )
    for plant in site.pv_plants:
        result[plant.asset_id] = PvReading(now.mono_s, pv_kw, held.get(plant.asset_id, -plant.rated_kw))
    for connector in site.connectors:
        key = connector.asset_id
        power_kw = cars_kw.get(key, 0.0)
        state = ConnectorState.FREE
        if key in cars_kw:
            state = ConnectorState.CHARGING if power_kw > 0 else ConnectorState.PLUGGED
        result[key] = ConnectorReading(
            now.mono_s,
            power_kw,
            state,
            f"{key}-s" if key in cars_kw else None,
            setpoint_kw=held.get(key, 0.0),
        )
    total_kw = base_kw + sum(reading.power_kw for reading in result.values())  # type: ignore[union-attr]
    result[site.meter.asset_id] = MeterReading(now.mono_s, total_kw)
    return result


def a_snapshot(
    now: Instant, measured: Mapping[str, Measurement], writes: Mapping[str, WriteResult] | None = None
) -> Snapshot:
    """Return a snapshot of these readings."""
    return Snapshot(now, measured, writes or {})


def a_plan(
    now: Instant, targets_kw: Mapping[str, float], sessions: Mapping[str, str], peak_kw: float = 50.0
) -> Plan:
    """Return a plan with the same targets in each of eight slots."""
    slots = 8
    return Plan(
        now.at,
        now.at,
        900.0,
        now.at + timedelta(hours=2),
        {key: (value,) * slots for key, value in targets_kw.items()},
        sessions,
        peak_kw,
        PlanOrigin.OPTIMIZER,
        grid_kw=(20.0,) * slots,
    )
