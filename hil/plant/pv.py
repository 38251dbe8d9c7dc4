"""A PV plant behind its inverter."""

from math import exp

from hil.plant.device import settle
from hil.plant.params import PlantParams
from hil.plant.state import PvState
from station.assets import PvPlant


def advance_pv(
    asset: PvPlant, params: PlantParams, state: PvState, available_kw: float, *, now_s: float, dt_s: float
) -> PvState:
    """Return the plant ``dt_s`` later. ``available_kw`` is what the sun would give, positive.

    A limit acts with a first-order lag; what the sun takes away is gone at once.
    """
    at_once = dt_s >= params.coarse_s
    held = settle(state.held, now_s, at_once)
    most_kw = min(max(available_kw, 0.0), asset.rated_kw)
    target_kw = max(-most_kw, min(held.acting_kw, 0.0))
    if at_once:
        return PvState(held, target_kw)
    lagged_kw = state.power_kw + (target_kw - state.power_kw) * (1.0 - exp(-dt_s / params.pv_tau_s))
    return PvState(held, max(lagged_kw, -most_kw))
