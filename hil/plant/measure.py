"""What the devices say about themselves."""

from collections.abc import Mapping

from hil.plant.battery import bms_limits_kw
from hil.plant.params import PlantParams
from hil.plant.state import BatteryState, ConnectorStatus, PlantState
from station.assets import Battery, Connector, ConnectorKind
from station.measurement import (
    BatteryReading,
    ConnectorReading,
    ConnectorState,
    Measurement,
    MeterReading,
    PvReading,
)
from station.topology import Site


def measure(site: Site, params: PlantParams, state: PlantState, now_s: float) -> Mapping[str, Measurement]:
    """Return every device's reading at ``now_s``. The base load has no meter.

    The grid meter shows the power of ``meter_lag_s`` ago under the instant of now: it doesn't know better.
    """
    readings: dict[str, Measurement] = {
        site.meter.asset_id: MeterReading(now_s, grid_kw_shown(params, state, now_s))
    }
    for battery, its in zip(site.batteries, state.batteries, strict=True):
        is_local = battery.asset_id in state.local
        readings[battery.asset_id] = _of_battery(battery, params, its, now_s, is_local)
    for plant, pv in zip(site.pv_plants, state.pv_plants, strict=True):
        is_local = plant.asset_id in state.local
        readings[plant.asset_id] = PvReading(now_s, pv.power_kw, pv.held.setpoint_kw, is_local)
    for connector, status in zip(site.connectors, state.connectors, strict=True):
        is_local = connector.asset_id in state.local
        readings[connector.asset_id] = _of_connector(connector, status, now_s, is_local)
    return readings


def grid_kw_shown(params: PlantParams, state: PlantState, now_s: float) -> float:
    """Return what the meter shows: the power of the step that held the instant ``meter_lag_s`` ago."""
    shown_s = now_s - params.meter_lag_s
    history = state.grid_history
    power_kw = history[0][1] if history else state.grid_kw
    for start_s, grid_kw in history:
        if start_s >= shown_s:
            break
        power_kw = grid_kw
    return power_kw


def _of_battery(
    asset: Battery, params: PlantParams, state: BatteryState, now_s: float, is_local: bool
) -> BatteryReading:
    soc = state.energy_kwh / asset.capacity_kwh
    charge_kw, discharge_kw = bms_limits_kw(asset, params, soc)
    return BatteryReading(
        now_s, state.power_kw, soc, charge_kw, discharge_kw, state.held.setpoint_kw, is_local
    )


def _of_connector(
    asset: Connector, status: ConnectorStatus, now_s: float, is_local: bool
) -> ConnectorReading:
    car, setpoint_kw = status.car, status.held.setpoint_kw
    if car is None:
        return ConnectorReading(
            now_s, 0.0, ConnectorState.FREE, max_kw=asset.max_kw, setpoint_kw=setpoint_kw, is_local=is_local
        )
    return ConnectorReading(
        now_s,
        status.power_kw,
        ConnectorState.CHARGING if status.power_kw > 0.0 else ConnectorState.PLUGGED,
        car.session_id,
        status.session_kwh,
        car.requested_kwh,
        car.estimated_unplug_at,
        car.energy_kwh if car.is_energy_known else None,
        soc_shown(asset, status),
        car.capacity_kwh if asset.kind is ConnectorKind.DC else None,
        asset.max_kw,
        setpoint_kw,
        is_local,
    )


def soc_shown(asset: Connector, status: ConnectorStatus) -> float | None:
    """Return the SoC that the car tells the charger: cars do at DC chargers only, where the study gave one."""
    car = status.car
    if asset.kind is not ConnectorKind.DC or car is None or car.arrival_soc is None or not car.capacity_kwh:
        return None
    return min(1.0, car.arrival_soc + status.session_kwh / car.capacity_kwh)
