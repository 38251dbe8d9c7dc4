"""A battery behind its power conversion system."""

from math import exp

from hil.plant.device import approach, settle
from hil.plant.params import PlantParams
from hil.plant.state import BatteryState
from station.assets import Battery


def hard_edges(asset: Battery, params: PlantParams) -> tuple[float, float]:
    """Return the SoC at which the BMS stops discharging and charging: never inside the planning window."""
    return min(params.soc_hard_min, asset.soc_min), max(params.soc_hard_max, asset.soc_max)


def bms_limits_kw(asset: Battery, params: PlantParams, soc: float) -> tuple[float, float]:
    """Return what the BMS permits now: (charge, discharge), AC side, both positive."""
    low, high = hard_edges(asset, params)
    charge = _taper(high - soc, min(params.bms_taper_soc, high - asset.soc_max))
    discharge = _taper(soc - low, min(params.bms_taper_soc, asset.soc_min - low))
    return asset.max_charge_kw * charge, asset.max_discharge_kw * discharge


def _taper(distance_soc: float, width_soc: float) -> float:
    """Return the share of the nameplate that is left at this distance from a hard edge, 0..1."""
    if distance_soc <= 1e-9:
        return 0.0
    return min(1.0, distance_soc / width_soc) if width_soc > 1e-9 else 1.0


def advance_battery(
    asset: Battery, params: PlantParams, state: BatteryState, now_s: float, dt_s: float
) -> BatteryState:
    """Return the battery ``dt_s`` later: dead time, first-order lag, ramp, BMS limits, and exact energy."""
    at_once = dt_s >= params.coarse_s
    held = settle(state.held, now_s, at_once)
    charge_kw, discharge_kw = bms_limits_kw(asset, params, state.energy_kwh / asset.capacity_kwh)
    power_kw = min(max(held.acting_kw, -discharge_kw), charge_kw)
    if not at_once:
        lagged = (power_kw - state.power_kw) * (1.0 - exp(-dt_s / params.pcs_tau_s))
        power_kw = approach(state.power_kw, state.power_kw + lagged, asset.ramp_kw_per_s * dt_s)
    hours = dt_s / 3600.0
    low, high = hard_edges(asset, params)
    if power_kw > 0.0:
        room_kwh = max(high * asset.capacity_kwh - state.energy_kwh, 0.0)
        power_kw = min(power_kw, room_kwh / asset.charge_efficiency / hours)
        gained_kwh = power_kw * asset.charge_efficiency * hours
    else:
        left_kwh = max(state.energy_kwh - low * asset.capacity_kwh, 0.0)
        power_kw = max(power_kw, -left_kwh * asset.discharge_efficiency / hours)
        gained_kwh = power_kw / asset.discharge_efficiency * hours
    return BatteryState(held, state.energy_kwh + gained_kwh, power_kw)
