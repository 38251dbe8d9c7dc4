"""A charging connector and the car at it."""

from hil.plant.device import Held, approach, settle
from hil.plant.params import PlantParams
from hil.plant.state import Car, ConnectorStatus
from station.assets import Connector, ConnectorKind

ASLEEP_S = float("inf")
_EPSILON = 1e-9


def command_delay_s(asset: Connector, params: PlantParams) -> float:
    """Return how long a new limit takes from the charger to the car's current."""
    return params.ac_delay_s if asset.kind is ConnectorKind.AC else params.dc_dead_s


def advance_connector(
    asset: Connector, params: PlantParams, state: ConnectorStatus, now_s: float, dt_s: float
) -> ConnectorStatus:
    """Return the connector ``dt_s`` later.

    The car draws the least of what is permitted, the connector's maximum, its own maximum and what finishes its
    energy (or its stay) within the step. Below ``min_kw`` nothing flows; after a pause it needs time to wake.
    """
    at_once = dt_s >= params.coarse_s
    held = settle(state.held, now_s, at_once)
    car = state.car
    if car is None:
        return state if held is state.held else ConnectorStatus(held)
    offered_kw = _offered_kw(asset, held, car)
    if offered_kw <= 0.0 or state.remaining_kwh <= 0.0:
        target_kw, awake_s = 0.0, ASLEEP_S
    else:
        awake_s = state.awake_s if state.awake_s < ASLEEP_S else now_s + _wake_s(asset, params)
        target_kw = offered_kw if at_once or now_s >= awake_s - _EPSILON else 0.0
    power_kw = target_kw if at_once else approach(state.power_kw, target_kw, asset.ramp_kw_per_s * dt_s)
    hours = dt_s / 3600.0
    power_kw = min(power_kw, state.remaining_kwh / asset.efficiency / hours)
    if car.unplugged_s < now_s + dt_s:
        power_kw *= max(0.0, (car.unplugged_s - now_s) / dt_s)
    gained_kwh = power_kw * asset.efficiency * hours
    left_kwh = state.remaining_kwh - gained_kwh
    return ConnectorStatus(
        held,
        car,
        left_kwh if left_kwh > _EPSILON else 0.0,
        state.session_kwh + gained_kwh,
        power_kw,
        awake_s,
    )


def _offered_kw(asset: Connector, held: Held, car: Car) -> float:
    """Return the AC power that the car may and can draw; 0 where the charger must pause it."""
    permitted_kw = min(held.acting_kw, asset.max_kw)
    if permitted_kw < asset.min_kw - _EPSILON:
        return 0.0
    if car.max_power_kw is None:
        return permitted_kw
    return min(permitted_kw, car.max_power_kw / asset.efficiency)


def _wake_s(asset: Connector, params: PlantParams) -> float:
    return params.ac_wake_s if asset.kind is ConnectorKind.AC else params.dc_wake_s
